"""Extends a data set by runs: writes those that are new or have changed, and no others."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from jaxlog._dataset.commit import commit, finish_merges, forget_lost, merge_small
from jaxlog._dataset.manifest import (
    DRAFTS,
    MANIFEST,
    DatasetError,
    DatasetTable,
    Manifest,
    RunFile,
    is_dataset,
    manifest_of,
    schema_key,
    text_name,
)
from jaxlog._dataset.packs import PackPart, PackToWrite, write_pack
from jaxlog._dataset.run_tables import RunSource, RunsToWrite, WrittenRun, WrittenTable, write_runs
from jaxlog._dataset.table_file import unified
from jaxlog._host.annotations import locked
from jaxlog._reading.executing import results

LOCK = "dataset.lock"
"""The file that is locked while a data set is extended."""

_TOGETHER = 8
"""The runs of a job."""
_STAGED = 2**26
"""The bytes of drafts after which they are put in their places: a killed export has to do them
again."""


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
        finish_merges(directory, manifest)  # of an export that was killed
        forget_lost(directory, manifest)
        _clear(drafts, manifest)
        found = Extended(manifest)
        manifest.is_complete = False
        manifest.save(directory)
        try:
            _write(directory, runs, executor, found)
            _rewrite(directory, executor, found)
            merge_small(directory, manifest)
            manifest.is_complete = True
        finally:
            manifest.save(directory)
            with contextlib.suppress(OSError):
                _clear(drafts, manifest)
                drafts.rmdir()
    return found


def _clear(drafts: Path, manifest: Manifest) -> None:
    """Removes drafts, but those that have the only rows of a merge."""
    needed = {merge.draft for merge in manifest.merging}
    for draft in drafts.iterdir() if drafts.is_dir() else ():
        if draft.name not in needed:
            draft.unlink()


def _write(
    directory: Path, runs: Mapping[str, Path], executor: Executor | None, found: Extended
) -> None:
    manifest = found.manifest
    changed = _changed(runs, found)

    def jobs() -> Iterator[RunsToWrite]:
        while some := list(itertools.islice(changed, _TOGETHER)):
            # Copies, since another thread may pickle them later.
            tables = {
                name: DatasetTable(dict(table.schema), list(table.config))
                for name, table in manifest.tables.items()
            }
            yield RunsToWrite(directory, some, tables)

    staged: list[WrittenRun] = []
    for several in results(write_runs, jobs(), executor):
        for run in several:
            if run.error:
                found.failed.append(run.error)
            else:
                _take_columns(run, found)
                staged.append(run)
        if sum(run.size for run in staged) > _STAGED:
            commit(directory, manifest, staged)
            staged = []
    commit(directory, manifest, staged)


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


def _take_columns(run: WrittenRun, found: Extended) -> None:
    """Takes the columns of a run that was written into the manifest."""
    for name, written in run.tables.items():
        _widen(name, written, found)
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

    def jobs() -> Iterator[PackToWrite]:
        for name, table in found.manifest.tables.items():
            key = schema_key(table.schema)
            older: dict[str, list[RunFile]] = {}
            for run in found.manifest.runs.values():
                if name in run.files and run.files[name].schema != key:
                    older.setdefault(run.files[name].name, []).append(run.files[name])
            for file, of_runs in older.items():
                waiting.append((key, of_runs))
                part = PackPart(directory / name / file)
                yield PackToWrite(directory, name, file, [part], table.schema)

    for _ in results(write_pack, jobs(), executor):
        key, of_runs = waiting.popleft()
        for file in of_runs:
            file.schema = key
        found.rewritten += 1
