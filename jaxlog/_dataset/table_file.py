"""Writes a Parquet file of a data set: whole, or not at all."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet

from jaxlog._dataset.column_types import in_parquet, name_of, type_of
from jaxlog._dataset.manifest import DRAFTS
from jaxlog._reading.concatenate import fitted

SchemaNames = Mapping[str, Any]
"""The types of columns, as `column_types.name_of` has them, in their order."""


def unified(one: SchemaNames, other: SchemaNames) -> dict[str, Any]:
    """Returns a schema that holds the values of both: the columns of the first come first."""
    if list(one.items()) == list(other.items()):
        return dict(one)
    return names_of_types(fitted(pl.DataFrame(schema=types_of(other)), types_of(one)).schema)


class TableFile:
    """A Parquet file that is being written; `keep` gives it its name.

    Readers, which take all files of a folder, never see a part of one: until then, it is in a
    folder of its own.

    Args:
      directory: that of the data set.
      table: the name of the table.
      name: the name of the file.
      schema: the types of its columns.

    Attributes:
      rows: the number of rows written.
    """

    def __init__(self, directory: Path, table: str, name: str, schema: Mapping[str, Any]) -> None:
        self.rows = 0
        self._target = directory / table / name
        self._types = pl.Schema({key: in_parquet(kind) for key, kind in schema.items()})
        (directory / DRAFTS).mkdir(exist_ok=True)
        self._draft = directory / DRAFTS / secrets.token_hex(8)
        self._writer = pyarrow.parquet.ParquetWriter(
            self._draft,
            _arrow(pl.DataFrame(schema=self._types)).schema,
            compression="zstd",
            store_schema=False,  # the types are those of Parquet, for all readers
        )

    def write(self, frame: pl.DataFrame) -> None:
        """Writes rows with the columns of the schema, as a row group."""
        self._writer.write_table(_arrow(frame.cast(self._types)))
        self.rows += len(frame)

    def keep(self) -> None:
        """Ends the file and puts it in its place."""
        self._writer.close()
        self._target.parent.mkdir(exist_ok=True)
        self._draft.replace(self._target)

    def discard(self) -> None:
        """Removes what is not in its place."""
        with contextlib.suppress(OSError, pyarrow.ArrowException):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._draft.unlink()


def _arrow(frame: pl.DataFrame) -> Any:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def types_of(schema: SchemaNames) -> dict[str, pl.DataType]:
    """Returns the types that their names stand for."""
    return {key: type_of(name) for key, name in schema.items()}


def names_of_types(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the names of types."""
    return {key: name_of(kind) for key, kind in schema.items()}


def rewrite(directory: Path, table: str, name: str, schema: SchemaNames) -> None:
    """Writes a file again, with another schema that holds its values.

    Raises:
      OSError: it cannot be read or written.
    """
    types = types_of(schema)
    new = TableFile(directory, table, name, types)
    try:
        with pyarrow.parquet.ParquetFile(directory / table / name) as old:
            for group in range(old.num_row_groups):
                frame = pl.from_arrow(old.read_row_group(group))
                assert isinstance(frame, pl.DataFrame)
                new.write(fitted(frame, types))
        new.keep()
    finally:
        new.discard()
