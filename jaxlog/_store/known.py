"""The local copies of stored runs that this process reads, for the code that reads their files.

Readers work on directories. A run in a store is read from a copy in a local directory, and the code
that lists and opens files asks here first, so that the copy gets what is read, when it is read.
Without an address, nothing is registered and nothing of a store is imported.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class CopiedRun(Protocol):
    """A local copy of one stored run."""

    address: str

    def look(self) -> bool:
        """Brings run.json up to date; returns whether the run is live."""
        ...

    def bring(self) -> None:
        """Brings the files with lines and columns up to date."""

    def bring_file(self, inside: str) -> None:
        """Brings one file of a folder of the run, if the store has it."""


class CopiedTree(Protocol):
    """The local copies of the runs below one address."""

    address: str

    def look(self) -> None:
        """Finds the runs again, if that was long ago."""


_runs: dict[str, CopiedRun] = {}
_trees: dict[str, CopiedTree] = {}


def add_run(directory: Path, run: CopiedRun) -> None:
    """Registers the copy of a run by its directory."""
    _runs[str(directory)] = run


def remove_run(directory: Path) -> None:
    """Forgets the copy of a run, which the store has no more."""
    _runs.pop(str(directory), None)


def add_tree(directory: Path, tree: CopiedTree) -> None:
    """Registers the copies below an address by their common directory."""
    _trees[str(directory)] = tree


def look(directory: str | os.PathLike[str]) -> bool | None:
    """Brings run.json of a copy up to date.

    Returns:
      Whether the stored run is live; None if the directory is not the copy of a stored run.
    """
    run = _runs.get(str(directory)) if _runs else None
    return None if run is None else run.look()


def bring(directory: str | os.PathLike[str]) -> None:
    """Brings the files with lines and columns of a copy up to date."""
    if _runs and (run := _runs.get(str(directory))) is not None:
        run.bring()


def bring_file(directory: str | os.PathLike[str], inside: str) -> None:
    """Brings one file below the directory of a copy, such as a picture."""
    if _runs and (run := _runs.get(str(directory))) is not None:
        run.bring_file(inside)


def look_below(directory: str | os.PathLike[str]) -> None:
    """Finds the runs below an address again, if that was long ago."""
    if _trees and (tree := _trees.get(str(directory))) is not None:
        tree.look()


def shown(directory: str | os.PathLike[str]) -> str:
    """The address of a copy, or of what is below one; the path itself of another directory."""
    text = str(directory)
    if not _runs and not _trees:
        return text
    for above in (text, *map(str, Path(text).parents)):
        found = _runs.get(above) or _trees.get(above)
        if found is not None:
            return found.address + text[len(above) :]
    return text
