"""Extends a data set by runs: writes those that are new or have changed, and no others."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from jaxlog._dataset.manifest import (
    DRAFTS,
    MANIFEST,
    DatasetError,
    DatasetTable,
    Manifest,
    RunFile,
    file_name,
    is_dataset,
    manifest_of,
    schema_key,
    text_name,
)
from jaxlog._dataset.run_tables import (
    FilesToRewrite,
    RunSource,
    RunsToWrite,
    WrittenRun,
    WrittenTable,
    rewrite_files,
    write_runs,
)
from jaxlog._dataset.table_file import unified
from jaxlog._host.annotations import locked
from jaxlog._reading.executing import results

LOCK = "dataset.lock"
"""The file that is locked while a data set is extended."""

_TOGETHER = 8
"""The runs of a job."""
_SAVED = 2.0
"""The seconds after which the manifest is written again: a killed export has to do them again."""


@dataclass
class Extended:
    """The result of extending a data set.

    Attributes:
      manifest: the manifest of the data set.
      written: the number of runs written.
      unchanged: the number of runs that the data set had already.
      rewritten: the number of files written again because the columns of their table have changed.
      widened: a text for each column that became text because its types have no other in common.
      failed: a text for each run that could not be written.
    """

    manifest: Manifest
    written: int = 0
    unchanged: int = 0
    rewritten: int = 0
    widened: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def extend(directory: Path, runs: Mapping[str, Path], executor: Executor | None = None) -> Extended:
    """Writes runs into a data set, which is made if it is not there.

    Args:
      directory: that of the data set.
      runs: the directory of each run, by its name.
      executor: where runs are read and written; None for this thread.

    Raises:
      DatasetError: the directory has something else, or a data set of another format; or a name
        is that of another run in it.
      OSError: the directory cannot be written.
    """
    if not is_dataset(directory) and directory.is_dir() and any(directory.iterdir()):
        others = {path.name for path in directory.iterdir()} - {LOCK, DRAFTS}
        if others:
            raise DatasetError(
                f"{directory}: has {min(others)!r} and no {MANIFEST}, expected a data set, or an "
                "empty or new directory"
            )
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / LOCK):
        manifest = manifest_of(directory) if is_dataset(directory) else Manifest()
        drafts = directory / DRAFTS
        for draft in drafts.iterdir() if drafts.is_dir() else ():  # of an export that was killed
            draft.unlink()
        found = Extended(manifest)
        manifest.is_complete = False
        manifest.save(directory)
        try:
            _write(directory, runs, executor, found)
            _rewrite(directory, executor, found)
            manifest.is_complete = True
        finally:
            manifest.save(directory)
            with contextlib.suppress(OSError):
                drafts.rmdir()
    return found


def _write(
    directory: Path, runs: Mapping[str, Path], executor: Executor | None, found: Extended
) -> None:
    manifest = found.manifest
    saved = time.monotonic()
    changed = _changed(runs, found)

    def jobs() -> Iterator[RunsToWrite]:
        while some := list(itertools.islice(changed, _TOGETHER)):
            # Copies, since another thread may pickle them later.
            tables = {
                name: DatasetTable(dict(table.schema), list(table.config))
                for name, table in manifest.tables.items()
            }
            yield RunsToWrite(directory, some, tables)

    for several in results(write_runs, jobs(), executor):
        for run in several:
            if run.error:
                found.failed.append(run.error)
            else:
                _add(directory, run, found)
        if time.monotonic() - saved > _SAVED:
            manifest.save(directory)
            saved = time.monotonic()


def _changed(runs: Mapping[str, Path], found: Extended) -> Iterator[tuple[str, Path]]:
    """The runs that the data set does not have as they are now, under their names in it."""
    known = found.manifest.runs
    by_path = {one.path: name for name, one in known.items()}
    by_id = {one.id: name for name, one in known.items() if one.id is not None}
    for given, path in runs.items():
        name = text_name(given)
        try:
            run = RunSource(path)
        except OSError as error:
            found.failed.append(f"{path}: {error}")
            continue
        place = str(run.path)
        moved = None if run.id is None else by_id.get(run.id)
        if place in by_path:
            name = by_path[place]
        elif moved is not None and not Path(known[moved].path).exists():
            name = moved
        elif name in known and Path(known[name].path).exists():
            raise DatasetError(
                f"{path}: the data set has another run named {name!r}, from {known[name].path}; "
                "export the directory that both are in, so that their names differ, or to another "
                "data set"
            )
        before = known.get(name)
        if before is not None and before.source == run.state and before.id == run.id:
            before.path = place
            found.unchanged += 1
        else:
            yield name, path


def _add(directory: Path, run: WrittenRun, found: Extended) -> None:
    """Takes a run that was written into the manifest."""
    before = found.manifest.runs.get(run.name)
    for table in before.files.keys() - run.tables.keys() if before is not None else ():
        (directory / table / file_name(run.name)).unlink(missing_ok=True)
    for name, written in run.tables.items():
        _widen(name, written, found)
        key = schema_key(written.schema)
        run.run.files[name] = RunFile(file_name(run.name), written.rows, key)
    found.manifest.runs[run.name] = run.run
    found.written += 1


def _widen(name: str, written: WrittenTable, found: Extended) -> None:
    """Widens the schema of a table by that of a file."""
    table = found.manifest.tables.setdefault(name, DatasetTable(dict(written.schema), []))
    table.config += [key for key in written.config if key not in table.config]
    before, table.schema = table.schema, unified(table.schema, written.schema)
    for column, kind in table.schema.items():
        kinds = {repr(one[column]) for one in (before, written.schema) if column in one}
        if kind == "string" and kinds - {"'string'", "'null'"}:
            found.widened.append(
                f"{name}: {column} has texts and other values, which no type holds; it is text, "
                "and the others are JSON"
            )
        elif kind == "int128" and kinds - {"'int128'"}:
            found.widened.append(
                f"{name}: {column} has integers beyond 64 bits, which no type of Parquet that all "
                "readers know holds; it is float64"
            )


def _rewrite(directory: Path, executor: Executor | None, found: Extended) -> None:
    """Gives all files of a table the schema that it has now."""
    waiting: deque[tuple[str, Sequence[RunFile]]] = deque()

    def jobs() -> Iterator[FilesToRewrite]:
        for name, table in found.manifest.tables.items():
            key = schema_key(table.schema)
            every = (run.files[name] for run in found.manifest.runs.values() if name in run.files)
            older = (file for file in every if file.schema != key)
            while some := list(itertools.islice(older, _TOGETHER)):
                waiting.append((key, some))
                names = [file.name for file in some]
                yield FilesToRewrite(directory, name, names, table.schema)

    for _ in results(rewrite_files, jobs(), executor):
        key, files = waiting.popleft()
        for file in files:
            file.schema = key
        found.rewritten += len(files)
