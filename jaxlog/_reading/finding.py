"""Finds the directories of runs, and suggests nearby ones if a path is not a run."""

from __future__ import annotations

import contextlib
import difflib
import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from jaxlog._format.lines import METRICS, START
from jaxlog._format.named_files import NamedFiles, named_files, own_columns
from jaxlog._format.segment import segment_of
from jaxlog._host.directory import RUN_FILE
from jaxlog._paths import is_address, local_path
from jaxlog._reading.columnar_lines import forwards, is_columnar
from jaxlog._run_files import LONGEST, NotReadError, is_regular, lines_from, open_file, why_not
from jaxlog._store import known
from jaxlog._text import counted

_NAMED = 5
"""The most runs that an error names."""

DEPTH = 2
"""The depth to which runs are searched for: `runs/cartpole` and `runs/sweep/0`."""

_NUMBERS = re.compile(r"([0-9]+)")

Where = str | os.PathLike[str]


def run_path(value: Where, name: str = "path") -> Path:
    """Returns a path from a user; for the address of runs in a store, that of their local copies.

    The copies get run.json at once, and the files with values when they are read.

    Args:
      value: the path, or an address like `s3://bucket/runs/first`, also with a pattern.
      name: the first word of an error, such as the name of the argument.

    Raises:
      OSError: the store cannot be read, or has no run there.
      ValueError: it is empty, or an address of something else.
    """
    if not is_address(value):
        return local_path(value, name)
    from jaxlog._store.copies import copied  # the extra `cloud` is not always there

    return copied(os.fsdecode(value), name)


def run_files(named: NamedFiles) -> list[Path]:
    """Lists the files of a directory that have lines of a run, or its metrics in columns."""
    found = [*filter(_has_lines, named.lines), *own_columns(named.columns)]
    return sorted(found, key=lambda path: (stem_of(path), path)) if len(found) > 1 else found


def files_of_tables(named: NamedFiles) -> dict[str, list[Path]]:
    """Lists the files of `run_files` by their tables."""
    found: dict[str, list[Path]] = {}
    for path in run_files(named):
        found.setdefault(stem_of(path), []).append(path)
    return found


def event_files(directory: Path) -> list[Path]:
    """Lists the files of a run in which each of its events is once.

    If a run has both sinks, its metrics are in lines and in columns; the columns are then left out.
    If its sink was changed when it was resumed, both are needed.
    """
    files = run_files(named_files(directory))
    lines = {stem_of(path): path for path in files if not is_columnar(path)}
    return [
        path
        for path in files
        if not is_columnar(path) or not _has_rows_of(lines.get(stem_of(path)), path)
    ]


def _has_rows_of(lines: Path | None, columns: Path) -> bool:
    """True if a file with lines has the first row of a columnar file."""
    if lines is None:
        return False
    first = next((line for _, line in forwards(columns)), None)
    if first is None:
        return True
    row = first.split(b",", 2)[:2]  # its time and its step
    with open_file(lines) as file:
        return any(line.split(b",", 2)[:2] == row for _, line in lines_from(file, 0))


def stem_of(path: Path) -> str:
    """The name of the table that a file is a part of: `batch_metrics`, `episodes`.

    >>> stem_of(Path("batch_metrics.jsonl")), stem_of(Path("batch_over_lanes.1.arrows"))
    ('batch_metrics', 'batch_metrics')
    """
    return _stem_of(path.name)


@lru_cache(1000)  # thousands of runs have the same names
def _stem_of(name: str) -> str:
    segment = segment_of(name)
    return Path(name if segment is None else f"{segment.call}{METRICS}").stem


def not_read(named: NamedFiles, read: Collection[str] = ()) -> list[str]:
    """Returns the reason for each file of a run that is not read: a link, a pipe, or too large.

    Args:
      named: the files.
      read: the names of those that are known to be read.
    """
    others = [path for path in (*named.lines, *named.columns) if path.name not in read]
    reasons = [] if RUN_FILE in read else [why_not(named.directory / RUN_FILE, LONGEST)]
    reasons += map(why_not, others)
    return [reason for reason in reasons if reason is not None]


def check_run(path: Path) -> None:
    """Checks that a directory is that of a run.

    Raises:
      FileNotFoundError: it is not, or does not exist.
      NotADirectoryError: it is a file.
    """
    if is_run(path):
        return
    shown = known.shown(path)
    expected = "expected the directory of a run"
    if path.is_file():
        found = f"; give {known.shown(path.parent)}" if is_run(path.parent) else ""
        raise NotADirectoryError(f"{shown}: got a file, {expected}{found}")
    if not path.exists():
        raise FileNotFoundError(f"{shown}: does not exist, {expected}{_nearby(path)}")
    inside = children(path)
    if inside:
        raise FileNotFoundError(
            f"{shown}: got a directory of {counted(len(inside), 'run')}, {expected}: "
            f"{_names(inside)}; jaxlog.read_runs reads all of them"
        )
    if left_out := not_read(named_files(path)):
        raise FileNotFoundError("; ".join(left_out))
    raise FileNotFoundError(
        f"{shown}: has neither {RUN_FILE} nor lines of a run, {expected}{_nearby(path)}"
    )


def run_directories(where: Where | Iterable[Where]) -> list[Path]:
    """Lists the directories of runs, as `named_runs`."""
    return list(_by_place(where).values())


def named_runs(where: Where | Iterable[Where]) -> dict[str, Path]:
    """Finds the directories of runs, each once; those of a pattern are sorted by their numbers.

    Args:
      where: the directory of a run, a directory with runs below it, a pattern, or several of these.

    Returns:
      The directories by their names: the paths below the directory that all have in common.

    Raises:
      FileNotFoundError: no run is found.
      NotADirectoryError: the path is that of a file.
    """
    found = _by_place(where)
    common = os.path.commonpath({os.path.dirname(place) for place in found}) if found else ""  # noqa: PTH120
    names = (place[len(common) :].lstrip(os.sep).replace(os.sep, "/") for place in found)
    return dict(zip(names, found.values(), strict=True))


def _by_place(where: Where | Iterable[Where]) -> dict[str, Path]:
    """The directories of runs by their paths without links."""
    each = [where] if isinstance(where, str | os.PathLike) else list(where)
    found: dict[str, Path] = {}
    parents: dict[str, str] = {}
    for path in (path for one in each for path in runs_of(one)):
        found.setdefault(_place(str(path), parents), path)
    return found


def _place(path: str, parents: dict[str, str]) -> str:
    """A path without links; quickly, if thousands of them are in the same directories.

    Args:
      path: the path.
      parents: the directories that were resolved before; it is added to.
    """
    parent, name = os.path.split(path)
    if name in ("", ".", "..") or os.path.islink(path):  # noqa: PTH114  as fast as it can be
        return os.path.realpath(path)
    if parent not in parents:
        parents[parent] = os.path.realpath(parent)
    return os.path.join(parents[parent], name)  # noqa: PTH118


def runs_of(where: Where) -> list[Path]:
    """Lists the run in a directory, those that a pattern matches, or those below a directory.

    Raises:
      OSError: as `named_runs`.
    """
    path = run_path(where)
    if is_run(path):
        return [path]
    if not path.exists() and glob.has_magic(os.fspath(path)):
        matches = glob.glob(os.fspath(path), recursive=True)  # noqa: PTH207  also absolute patterns
        runs = sorted(filter(is_run, map(Path, matches)), key=by_number)
        if not runs:
            raise FileNotFoundError(
                f"{known.shown(path)}: got {len(matches)} matches, none of them a run; expected a "
                f"pattern that matches directories with {RUN_FILE}, like 'runs/*'{_nearby(path)}"
            )
        return runs
    found = below(path)
    if not found:
        check_run(path)
    return found


def below(path: Path) -> list[Path]:
    """Lists the runs in a directory and in its subdirectories, sorted by their numbers."""
    known.look_below(path)
    return sorted(_below(path, DEPTH), key=by_number)


def _below(path: Path, depth: int) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(path) as entries:  # not a file, and can be read
        for entry in entries:
            with contextlib.suppress(OSError):
                if not entry.is_dir():
                    continue
                inner = Path(entry.path)
                # A text, since making a Path takes long where there are thousands of runs.
                if is_regular(f"{entry.path}/{RUN_FILE}") or run_files(named_files(inner)):
                    yield inner
                elif depth > 1 and not entry.name.startswith("."):
                    yield from _below(inner, depth - 1)


def is_run(path: Path) -> bool:
    """True if a directory has run.json or lines of a run."""
    return path.is_dir() and (is_regular(path / RUN_FILE) or bool(run_files(named_files(path))))


def _has_lines(path: Path) -> bool:
    """True if a file has a line that jaxlog wrote; other programs may use the same file names."""
    try:
        file = open_file(path)
    except (FileNotFoundError, NotReadError):
        return False
    with file:
        start = file.read(len(START))
        if start == START[: len(start)]:
            return True
        return any(line.startswith(START) for _, line in lines_from(file, 0))  # a damaged file


def children(path: Path) -> list[Path]:
    """Lists the runs directly in a directory, sorted by their numbers."""
    if not path.is_dir():
        return []
    return sorted(filter(is_run, path.iterdir()), key=by_number)


def by_number(path: Path) -> list[tuple[int, str]]:
    """Splits a path into texts and numbers, so that `seed_2` sorts before `seed_10`."""
    parts = _NUMBERS.split(str(path))
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


def _nearby(path: Path) -> str:
    """Names runs in the nearest directory that exists: those of a similar name, or else all."""
    parent = next((p for p in path.absolute().parents if p.is_dir()), None)
    runs = children(parent) if parent is not None else []
    if not runs:
        return ""
    similar = difflib.get_close_matches(path.name, [run.name for run in runs], _NAMED)
    return f"; nearby runs: {_names([run for run in runs if run.name in similar] or runs)}"


def _names(runs: list[Path]) -> str:
    names = ", ".join(known.shown(run) for run in runs[:_NAMED])
    return f"{names}, …" if len(runs) > _NAMED else names
