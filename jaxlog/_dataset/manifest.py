"""The manifest of a data set: its format, the columns of its tables, and the runs that it has."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from jaxlog._run_files import loads, read_small, replacing

FORMAT = 1
"""The number of the format of data sets.

It increases when an older jaxlog would misread or damage a data set.
"""
MANIFEST = "dataset.json"
"""The name of the manifest in the directory of a data set."""
DRAFTS = "drafts"
"""The folder of files that are being written: readers take all files of a table's folder."""

_MARK = "jaxlog_dataset"
_LARGEST = 2**30


class DatasetError(ValueError):
    """A data set cannot be read or extended. Its text says why, and what to do."""


@dataclass
class RunFile:
    """The file that has the rows of a run in a table, and perhaps those of other runs.

    Attributes:
      name: its name in the folder of the table.
      rows: the number of the run's rows.
      schema: the key of the file's schema; see `schema_key`.
    """

    name: str
    rows: int
    schema: str


@dataclass
class ExportedRun:
    """A run in a data set.

    Attributes:
      path: its directory when it was exported.
      id: the id in its run.json; None if it has none.
      source: the state of its files then; see `source_of`.
      files: its file in each table.
    """

    path: str
    id: str | None
    source: list[Any]
    files: dict[str, RunFile] = field(default_factory=dict)


@dataclass
class DatasetTable:
    """A table of a data set: a folder of Parquet files.

    Attributes:
      schema: the types of the columns, as `column_types.name_of` has them. All files have it if the
        data set is complete.
      config: the columns that are keys of the runs' config.
    """

    schema: dict[str, Any]
    config: list[str]


@dataclass
class Merge:
    """Files of a table that are being merged into one.

    Attributes:
      table: the name of the table.
      draft: the name of the new file while it is a draft.
      name: its name in the folder of the table: it is there when the others are not.
      members: the names of the files that it replaces.
    """

    table: str
    draft: str
    name: str
    members: list[str]


@dataclass
class Manifest:
    """The facts about a data set.

    Attributes:
      tables: its tables, by their names, which are those of their folders.
      runs: its runs, by their names.
      is_complete: False while it is extended, and after such an export was killed: files may then
        have other schemas than their table.
      merging: the merges of files that are begun.
    """

    tables: dict[str, DatasetTable] = field(default_factory=dict)
    runs: dict[str, ExportedRun] = field(default_factory=dict)
    is_complete: bool = True
    merging: list[Merge] = field(default_factory=list)

    def save(self, directory: Path) -> None:
        """Writes it.

        Raises:
          OSError: it cannot be written.
        """
        with replacing(directory / MANIFEST) as file:
            file.write(orjson.dumps({_MARK: FORMAT, **vars(self)}))


def is_dataset(path: Path) -> bool:
    """True if a directory is that of a data set."""
    return (path / MANIFEST).is_file()


def manifest_of(directory: Path) -> Manifest:
    """Reads the manifest of a data set.

    Raises:
      DatasetError: it is of another format, or damaged.
      OSError: it cannot be read.
    """
    return manifest_in(read_small(directory / MANIFEST, _LARGEST), str(directory))


def manifest_in(data: bytes, directory: str) -> Manifest:
    """Reads the manifest of a data set from its bytes.

    Raises:
      DatasetError: as `manifest_of`.
    """
    try:
        found = loads(data)
        number = found[_MARK]
    except (ValueError, KeyError, TypeError):
        raise DatasetError(
            f"{directory}: {MANIFEST} is not the manifest of a data set; export the runs to a new "
            "directory"
        ) from None
    if number != FORMAT:
        newer = isinstance(number, int) and number > FORMAT
        what = "update jaxlog (pip install -U jaxlog)" if newer else _AGAIN
        raise DatasetError(
            f"{directory}: got a data set of the format {number!r:.40}, expected {FORMAT}; {what}"
        )
    try:
        tables = {name: DatasetTable(**one) for name, one in found["tables"].items()}
        runs = {name: _run(one) for name, one in found["runs"].items()}
        merging = [_merge(one) for one in found.get("merging", ())]
    except (AttributeError, KeyError, TypeError):
        raise DatasetError(f"{directory}: {MANIFEST} is damaged; {_AGAIN}") from None
    return Manifest(tables, runs, found.get("is_complete") is True, merging)


_AGAIN = "export the runs to a new directory"


def _run(one: Mapping[str, Any]) -> ExportedRun:
    files = {table: RunFile(**file) for table, file in one["files"].items()}
    _check_names([file.name for file in files.values()])
    return ExportedRun(one["path"], one["id"], one["source"], files)


def _merge(one: Mapping[str, Any]) -> Merge:
    found = Merge(**one)
    _check_names([found.table, found.draft, found.name, *found.members])
    return found


def _check_names(names: list[str]) -> None:
    if any(Path(name).name != name for name in names):
        raise TypeError


def source_of(files: list[Path], config: Any) -> list[Any]:
    """The state of a run's files, by which it is seen that a run has changed.

    Args:
      files: the files that are exported.
      config: the config of the run.
    """
    text = orjson.dumps(config, default=str, option=orjson.OPT_SORT_KEYS)
    found: list[Any] = [hashlib.blake2s(text, digest_size=8).hexdigest()]
    for path in files:
        state = path.stat()
        found.append([path.name, state.st_size, state.st_mtime_ns])
    return found


def schema_key(schema: Mapping[str, Any]) -> str:
    """A short text that differs for different schemas, as names of types."""
    return hashlib.blake2s(orjson.dumps(schema), digest_size=8).hexdigest()


def text_name(name: str) -> str:
    """A name of a run that UTF-8 can hold, since Parquet's texts are UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")
