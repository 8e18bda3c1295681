"""Lists the files of a run in its directory by their names."""

from __future__ import annotations

import os
from pathlib import Path

from jaxlog import _run_files
from jaxlog._format.arrow_stream import begins_like_own
from jaxlog._format.lines import METRICS, NAMES
from jaxlog._format.segment import Segment, segment_of
from jaxlog._store import known


def line_files(directory: Path) -> list[Path]:
    """The regular files of a directory that are named like files with lines."""
    return [path for path in named_like_lines(directory) if _run_files.is_regular(path)]


def named_like_lines(directory: Path) -> list[Path]:
    """The paths that are named like files with lines, also links, pipes and directories."""
    found = names_in(directory)
    named = [name for name in found if name.endswith(METRICS) or name in NAMES]
    return [directory / name for name in sorted(named if found else NAMES)]


def names_in(directory: Path) -> list[str]:
    """The names in a directory; none if it is not there, or cannot be listed."""
    known.bring(directory)
    try:
        return os.listdir(directory)  # noqa: PTH208  paths of all files would take longer
    except OSError:
        return []


def column_files(directory: Path) -> list[Path]:
    """The columnar files that jaxlog wrote into a directory; those of a call in their order."""
    found: list[tuple[Segment, Path]] = []
    for path in named_like_columns(directory):
        segment = segment_of(path.name)
        if segment is not None and _run_files.is_regular(path):
            with path.open("rb") as file:
                if begins_like_own(file):
                    found.append((segment, path))
    return [path for _, path in sorted(found)]


def named_like_columns(directory: Path) -> list[Path]:
    """The paths that are named like columnar files, also links, pipes and directories."""
    return [directory / name for name in sorted(filter(segment_of, names_in(directory)))]
