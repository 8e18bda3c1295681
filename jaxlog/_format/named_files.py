"""Lists the files of a run in its directory by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jaxlog import _run_files
from jaxlog._format.arrow_stream import begins_like_own
from jaxlog._format.lines import METRICS, NAMES
from jaxlog._format.segment import Segment, segment_of
from jaxlog._store import known


class NamedFiles(NamedTuple):
    """The paths in a directory that are named like files of a run, also links and directories.

    Attributes:
      directory: the directory.
      lines: those named like files with lines, in order.
      columns: those named like columnar files, in order.
    """

    directory: Path
    lines: list[Path]
    columns: list[Path]

    def regular_lines(self) -> list[Path]:
        """The regular files among those named like files with lines."""
        return list(filter(_run_files.is_regular, self.lines))


def named_files(directory: Path) -> NamedFiles:
    """Lists a directory, once."""
    found = names_in(directory)
    lines = [name for name in found if name.endswith(METRICS) or name in NAMES]
    columns = filter(segment_of, found)
    return NamedFiles(
        directory,
        [directory / name for name in sorted(lines if found else NAMES)],
        [directory / name for name in sorted(columns)],
    )


def line_files(directory: Path) -> list[Path]:
    """The regular files of a directory that are named like files with lines."""
    return named_files(directory).regular_lines()


def names_in(directory: Path) -> list[str]:
    """The names in a directory; none if it is not there, or cannot be listed."""
    known.bring(directory)
    try:
        return os.listdir(directory)  # noqa: PTH208  paths of all files would take longer
    except OSError:
        return []


def column_files(directory: Path) -> list[Path]:
    """The columnar files that jaxlog wrote into a directory; those of a call in their order."""
    return own_columns(named_files(directory).columns)


def own_columns(paths: Iterable[Path]) -> list[Path]:
    """Those of some paths that are columnar files of jaxlog; those of a call in their order."""
    found: list[tuple[Segment, Path]] = []
    for path in paths:
        segment = segment_of(path.name)
        if segment is not None and _run_files.is_regular(path):
            with path.open("rb") as file:
                if begins_like_own(file):
                    found.append((segment, path))
    return [path for _, path in sorted(found)]
