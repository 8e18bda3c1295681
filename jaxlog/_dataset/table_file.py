"""Writes a Parquet file of a data set as a draft."""

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
    """A Parquet file that is being written, as a draft.

    Readers, which take all files of a folder, never see a part of one: it is in a folder of its
    own until it is moved to its place.

    Args:
      directory: that of the data set.
      schema: the types of its columns.

    Attributes:
      rows: the number of rows written.
    """

    def __init__(self, directory: Path, schema: Mapping[str, Any]) -> None:
        self.rows = 0
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

    def close(self) -> Path:
        """Ends the file, and returns its path."""
        self._writer.close()
        return self._draft

    def discard(self) -> None:
        """Removes the file, if it is a draft still."""
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
