"""Finds the runs below a path."""

from __future__ import annotations

import glob
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlog._cli.errors import CommandError
from jaxlog._cli.filters import filter_of
from jaxlog._host.status import facts_of
from jaxlog._paths import is_address
from jaxlog._reading.finding import check_run, run_path, runs_of
from jaxlog._reading.run_filter import no_such_names
from jaxlog._watching.observed_run import time_of
from jaxlog._watching.run_index import IndexedRun, names_of, selected, unknown_names

DIRECTORY = Path("runs")
"""The directory that commands use by default."""


def located(path: Path) -> Path:
    """Returns a path, or for an address the directory with the local copies of its runs.

    Raises:
      CommandError: it is the address of something else.
      OSError: the store cannot be read, or has no run there.
    """
    if not is_address(path):
        return path
    try:
        return run_path(path)
    except ValueError as error:
        raise CommandError(str(error)) from None


def followed(command: str, path: Path) -> Path:
    """Returns a path like `located`, for commands that find new runs.

    Raises:
      CommandError: it is an address with a pattern, or that of something else.
      OSError: the store cannot be read, or has no run there.
    """
    if is_address(path) and glob.has_magic(str(path)):
        raise CommandError(
            f"{command}: got a pattern, expected the address of a run or of a directory of runs"
        )
    return located(path)


def written(command: str, path: Path, program: str = "the store's own program") -> Path:
    """Returns a path that is not an address, for what a command writes.

    Args:
      command: the name of the command, for errors.
      path: the path.
      program: what copies the result to a store.

    Raises:
      CommandError: it is an address.
    """
    if is_address(path):
        raise CommandError(
            f"{command}: --output: got an address, expected a path on this machine; copy what is "
            f"written there to the store with {program}"
        )
    return path


def local(command: str, path: Path) -> Path:
    """Returns a path that is not an address, for commands that change a run.

    Raises:
      CommandError: it is an address.
    """
    if is_address(path):
        raise CommandError(
            f"{command}: got an address, expected a directory on this machine; the command changes "
            "files of a run, and those in a store are written by the run alone"
        )
    return path


def named(path: Path) -> list[Path]:
    """Lists the run in a directory, or else the runs below it or of a pattern, newest first.

    Raises:
      OSError: there is no run, or the directory cannot be read.
    """
    return sorted(runs_of(located(path)), key=_start_time, reverse=True)


def _start_time(path: Path) -> float:
    began = time_of(facts_of(path), "started")
    return path.stat().st_mtime if began is None else began


def indexed(path: Path) -> list[IndexedRun]:
    """Lists the run in a directory, or else the runs below it or of a pattern, with their names.

    Raises:
      OSError: there is no run, or the directory cannot be read.
    """
    path = located(path)
    found = runs_of(path)
    if found == [path]:
        return [IndexedRun(path, path.resolve().name)]
    while not path.is_dir():  # of a pattern, the directory that it is in
        path = path.parent
    start = len(str(path)) + 1
    inside = path != Path()  # paths below the working directory do not begin with a dot
    return [IndexedRun(one, str(one)[start:] if inside else str(one)) for one in found]


def chosen(command: str, path: Path, where: str = "") -> list[tuple[Path, Mapping[str, Any]]]:
    """Lists the run in a directory, or with a filter the runs below it that match.

    Args:
      command: the name of the command, for errors.
      path: the directory.
      where: the filter; empty for one run.

    Returns:
      The path of each run, and the facts in its run.json.

    Raises:
      CommandError: the filter cannot be read, no run matches, or the path is an address.
      OSError: there is no run, or the directory cannot be read.
    """
    path = local(command, path)
    if not where:
        check_run(path)
        return [(path, facts_of(path))]
    terms = filter_of(f"{command}: --where", where)
    found = indexed(path)
    if missing := unknown_names(terms.names, found):
        raise CommandError(f"{command}: --where: {no_such_names(missing, names_of(found))}")
    matching = selected(found, terms, time.time())
    if not matching:
        raise CommandError(f"{command}: --where: no run of {len(found):,} matches {where}")
    return [(one.path, facts_of(one.path)) for one in matching]
