"""Writes the tables of one run as drafts of files of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from jaxlog._dataset.manifest import (
    DatasetError,
    DatasetTable,
    ExportedRun,
    source_of,
)
from jaxlog._dataset.table_file import (
    SchemaNames,
    TableFile,
    names_of_types,
    types_of,
)
from jaxlog._format.columnar import RUN
from jaxlog._format.lines import over_lanes_table
from jaxlog._format.named_files import named_files
from jaxlog._format.run_file import id_of
from jaxlog._host.status import facts_of
from jaxlog._reading.concatenate import fitted, frame_of_rows
from jaxlog._reading.finding import files_of_tables
from jaxlog._reading.pieces import Piece, pieces
from jaxlog._reading.run_config import CONFIG, config_of

_LEFT_OUT = ("arrays",)
"""The tables of runs that data sets do not have: arrays of any shape and size."""


class RunsToWrite(NamedTuple):
    """Some runs that are to be written into a data set.

    Attributes:
      directory: that of the data set.
      runs: the name and the directory of each run.
      tables: the tables as they are now.
    """

    directory: Path
    runs: Sequence[tuple[str, Path]]
    tables: Mapping[str, DatasetTable]


class WrittenTable(NamedTuple):
    """A table of a run that was written as a draft.

    Attributes:
      rows: the number of its rows.
      schema: the types of its columns.
      config: the columns that are keys of the run's config.
      draft: the file.
      size: its bytes.
    """

    rows: int
    schema: SchemaNames
    config: Sequence[str]
    draft: Path
    size: int


class WrittenRun(NamedTuple):
    """A run that was written.

    Attributes:
      name: its name in the data set.
      run: the run, without its files.
      tables: its tables, by their names.
      error: why it was not written; empty if it was.
    """

    name: str
    run: ExportedRun
    tables: Mapping[str, WrittenTable]
    error: str = ""

    @property
    def size(self) -> int:
        """The bytes of its drafts."""
        return sum(table.size for table in self.tables.values())


def with_config(frame: pl.DataFrame, name: str, config: pl.DataFrame) -> pl.DataFrame:
    """Puts columns with the name of the run and with its config before those of a frame.

    Args:
      frame: rows of the run.
      name: its name.
      config: one row, or none without columns.
    """
    row = [pl.lit(config[key]).first().alias(key) for key in config.columns]
    return frame.select(pl.lit(name, pl.String()).alias(RUN), *row, *frame.columns)


class RunSource:
    """A run as data sets need it.

    Args:
      path: its directory.

    Attributes:
      path: its directory, without links.
      id: the id in its run.json; None if it has none.
      config: its config by the names of columns.
      files: the files of its tables.
      state: the state of its files; see `source_of`.

    Raises:
      OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        facts = facts_of(path)
        self.id = id_of(facts)
        self.config = config_of(facts)
        files = files_of_tables(named_files(path))
        self.files = {k: v for k, v in files.items() if k not in _LEFT_OUT}
        self.state = source_of([one for own in self.files.values() for one in own], self.config)


def write_runs(job: RunsToWrite) -> list[WrittenRun]:
    """Writes some runs, each table of each as a draft."""
    schemas = {name: types_of(table.schema) for name, table in job.tables.items()}
    found: list[WrittenRun] = []
    for name, path in job.runs:
        one = ExportedRun(str(path), None, [])
        try:
            run = RunSource(path)
            one = ExportedRun(str(run.path), run.id, run.state)
            found.append(WrittenRun(name, one, _written(job, name, run, schemas)))
        except (DatasetError, OSError) as error:
            found.append(WrittenRun(name, one, {}, f"{path}: {error}"))
    return found


def _written(
    job: RunsToWrite, name: str, run: RunSource, schemas: dict[str, dict[str, pl.DataType]]
) -> dict[str, WrittenTable]:
    config = frame_of_rows([run.config], list(run.config))
    found: dict[str, WrittenTable] = {}
    for stem in run.files:
        for table, file in _write_table(job, name, run, stem, config, schemas).items():
            draft, names = file.close(), names_of_types(schemas[table])
            size = draft.stat().st_size
            found[table] = WrittenTable(file.rows, names, config.columns, draft, size)
    return found


def _write_table(
    job: RunsToWrite,
    name: str,
    run: RunSource,
    stem: str,
    config: pl.DataFrame,
    schemas: dict[str, dict[str, pl.DataType]],
) -> dict[str, TableFile]:
    """Writes the files of a table, in one pass, or in two if later rows widen the schema.

    Returns:
      The files by the names of their tables; there may also be one over lanes.
    """
    while True:
        files: dict[str, TableFile] = {}
        has_grown = False
        try:
            for piece in pieces(run.files[stem], stem, run.id):
                for table, frame in _named(stem, piece):
                    _check_names(job, table, frame, config)
                    before = schemas.get(table, {})
                    rows = fitted(with_config(frame, name, config), before)
                    schemas[table] = dict(rows.schema)
                    has_grown |= table in files and schemas[table] != before
                    if not has_grown:
                        if table not in files:
                            files[table] = TableFile(job.directory, schemas[table])
                        files[table].write(rows)
        except BaseException:
            _discard(files)
            raise
        if not has_grown:
            return files
        _discard(files)


def _discard(files: Mapping[str, TableFile]) -> None:
    for file in files.values():
        file.discard()


def _named(stem: str, piece: Piece) -> Iterator[tuple[str, pl.DataFrame]]:
    """The frames of a piece that have rows, by their tables."""
    table, over_lanes = piece
    if len(table.frame):
        yield stem, table.frame
    if over_lanes is not None and len(over_lanes.frame):
        yield over_lanes_table(stem), over_lanes.frame


def _check_names(job: RunsToWrite, table: str, frame: pl.DataFrame, config: pl.DataFrame) -> None:
    known = {*config.columns, *(job.tables[table].config if table in job.tables else ())}
    if both := known.intersection(frame.columns):
        name = min(both)
        raise DatasetError(
            f"{table} has a value named {name!r}, as the column of the config's "
            f"{name.removeprefix(CONFIG)!r} is named; left out: rename one of them"
        )
