"""Puts what was written in its place in a data set, so that a kill at any step loses no run.

A reader that takes all files of a folder has never a run twice. A pack is moved to its place at
once, with all its runs. A changed run is replaced by moving a new pack over the one that has it.
Where one file replaces several, they are removed first. The manifest is saved before, with the
columns and with what will be merged, and after, with the runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from jaxlog._dataset.manifest import DRAFTS, Manifest, Merge, RunFile, schema_key
from jaxlog._dataset.packs import PackPart, PackToWrite, is_name, new_name, write_pack
from jaxlog._dataset.run_tables import WrittenRun, WrittenTable

LARGEST = 2**24
"""The most bytes of a pack of several runs, as drafts. Packs of less than half of it are small."""
MOST_SMALL = 8
"""The most packs of a table that are small; more are merged."""


def commit(directory: Path, manifest: Manifest, staged: Sequence[WrittenRun]) -> None:
    """Puts runs in their places, and saves the manifest.

    Args:
      directory: that of the data set.
      manifest: its manifest, which has the columns of the runs.
      staged: the runs, whose tables are drafts.

    Raises:
      OSError: the directory cannot be written.
    """
    if not staged:
        return
    manifest.save(directory)  # columns that no file has yet do no harm; others would be lost
    runs = {run.name: run for run in staged}
    for run in runs.values():
        known = manifest.runs.get(run.name)
        run.run.files.update({} if known is None else known.files)
    for table in manifest.tables:
        _replace(directory, manifest, table, runs)
        _append(directory, manifest, table, runs)
    manifest.runs |= {name: run.run for name, run in runs.items()}
    manifest.save(directory)


def _replace(directory: Path, manifest: Manifest, table: str, runs: dict[str, WrittenRun]) -> None:
    """Writes the packs again that have runs which have changed."""
    changed: dict[str, list[WrittenRun]] = {}
    for run in runs.values():
        if table in run.run.files:
            changed.setdefault(run.run.files[table].name, []).append(run)
    for name, several in changed.items():
        new = {run.name: run.tables[table] for run in several if table in run.tables}
        parts = [PackPart(directory / table / name, [run.name for run in several])]
        for run in several:
            del run.run.files[table]
        _pack(directory, manifest, table, name, parts, new, runs)
        key = schema_key(manifest.tables[table].schema)
        for one in manifest.runs.values():
            if table in one.files and one.files[table].name == name:
                one.files[table].schema = key


def _append(directory: Path, manifest: Manifest, table: str, runs: dict[str, WrittenRun]) -> None:
    """Writes new packs of runs that are not in one."""
    new = {
        name: run.tables[table]
        for name, run in runs.items()
        if table in run.tables and table not in run.run.files
    }
    for several in _chunks(((name, one.size) for name, one in new.items())):
        of_pack = {name: new[name] for name in several}
        _pack(directory, manifest, table, new_name(), [], of_pack, runs)


def _pack(
    directory: Path,
    manifest: Manifest,
    table: str,
    name: str,
    parts: list[PackPart],
    new: dict[str, WrittenTable],
    runs: dict[str, WrittenRun],
) -> None:
    schema = manifest.tables[table].schema
    drafts = [PackPart(one.draft) for one in new.values()]
    write_pack(PackToWrite(directory, table, name, [*parts, *drafts], schema))
    for run, written in new.items():
        runs[run].run.files[table] = RunFile(name, written.rows, schema_key(schema))
        written.draft.unlink()


def _chunks(sizes: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    some: list[str] = []
    total = 0
    for name, size in sizes:
        if some and total + size > LARGEST:
            yield some
            some, total = [], 0
        some.append(name)
        total += size
    if some:
        yield some


def merge_small(directory: Path, manifest: Manifest) -> None:
    """Merges the small packs of each table that has many of them.

    Raises:
      OSError: the directory cannot be written.
    """
    merging: list[Merge] = []
    for table, of_table in manifest.tables.items():
        names = _names(manifest, table)
        sizes = {name: (directory / table / name).stat().st_size for name in names}
        small = {name: size for name, size in sizes.items() if size < LARGEST // 2}
        if len(small) <= MOST_SMALL:
            continue
        for members in _chunks(small.items()):
            if len(members) > 1:
                parts = [PackPart(directory / table / name) for name in members]
                draft = write_pack(PackToWrite(directory, table, None, parts, of_table.schema))
                merging.append(Merge(table, draft.name, new_name(), members))
    if merging:
        manifest.merging = merging
        manifest.save(directory)
        finish_merges(directory, manifest)
        manifest.save(directory)


def finish_merges(directory: Path, manifest: Manifest) -> None:
    """Puts merged packs in the places of their members.

    Raises:
      OSError: the directory cannot be written.
    """
    for merge in manifest.merging:
        draft, folder = directory / DRAFTS / merge.draft, directory / merge.table
        if draft.exists():
            for member in merge.members:
                (folder / member).unlink(missing_ok=True)
            draft.replace(folder / merge.name)
        if (folder / merge.name).exists():
            for run in manifest.runs.values():
                file = run.files.get(merge.table)
                if file is not None and file.name in merge.members:
                    file.name = merge.name
    manifest.merging = []


def forget_lost(directory: Path, manifest: Manifest) -> None:
    """Removes files that the manifest does not know, and forgets those that are not there.

    The first are of an export that was killed: their runs will be written again. So will those of
    the second.

    Raises:
      OSError: the directory cannot be read or written.
    """
    for folder in directory.iterdir():
        if folder.name == DRAFTS or not folder.is_dir():
            continue
        names = set(_names(manifest, folder.name))
        for file in folder.iterdir():
            if file.name not in names and is_name(file.name):
                file.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()  # if it is empty
    for run in manifest.runs.values():
        for table, file in list(run.files.items()):
            if not (directory / table / file.name).exists():
                del run.files[table]
                run.source = []


def _names(manifest: Manifest, table: str) -> list[str]:
    """The files of a table, each once."""
    files = (run.files[table].name for run in manifest.runs.values() if table in run.files)
    return list(dict.fromkeys(files))


def files_of(manifest: Manifest, table: str, exists: Callable[[str], bool]) -> list[str]:
    """Returns the files that have the rows of a table, of which some may be in a merge.

    Args:
      manifest: the manifest of the data set.
      table: the name of the table.
      exists: whether there is a file of a name.

    Returns:
      The names of the files below the directory of the data set, with `/` between folders.
    """
    merged: dict[str, str] = {}
    for merge in manifest.merging:
        if merge.table == table:
            for new in (f"{DRAFTS}/{merge.draft}", f"{table}/{merge.name}"):
                if exists(new):
                    merged |= dict.fromkeys(merge.members, new)
                    break
    names = _names(manifest, table)
    return list(dict.fromkeys(merged.get(name, f"{table}/{name}") for name in names))
