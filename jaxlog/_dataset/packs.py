"""Writes the packs of a data set: Parquet files that have the rows of several runs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow.parquet

from jaxlog._dataset.column_types import in_parquet
from jaxlog._dataset.table_file import SchemaNames, TableFile, types_of
from jaxlog._format.columnar import RUN
from jaxlog._reading.concatenate import fitted

_GROUP = 2**17
"""The rows after which a row group ends with the next part."""
_GROUP_BYTES = 2**25
"""The bytes in memory after which a row group ends with the next part."""


class PackPart(NamedTuple):
    """A file whose rows go into a pack.

    Attributes:
      path: the file.
      without: the runs whose rows do not.
    """

    path: Path
    without: Sequence[str] = ()


class PackToWrite(NamedTuple):
    """A pack that is to be written.

    Attributes:
      directory: that of the data set.
      table: the name of the table.
      name: the name of the pack; None for a draft, which `write_pack` leaves.
      parts: the files of its rows.
      schema: the types of the columns of the table.
    """

    directory: Path
    table: str
    name: str | None
    parts: Sequence[PackPart]
    schema: SchemaNames


def new_name() -> str:
    """Returns the name of a new pack, which any reader, shell and file system takes as it is."""
    return f"runs-{secrets.token_hex(8)}.parquet"


def is_name(name: str) -> bool:
    """True if a name is one of `new_name`."""
    return re.fullmatch(r"runs-[0-9a-f]{16}\.parquet", name) is not None


def write_pack(job: PackToWrite) -> Path:
    """Writes a pack in the place of the one of its name: at once, so that no reader has a part.

    A pack without rows is removed.

    Returns:
      The path of the pack or draft.

    Raises:
      OSError: it cannot be written.
    """
    types = types_of(job.schema)
    file = TableFile(job.directory, types)
    try:
        for frame in _groups(_frames(job.parts, types)):
            file.write(frame)
        draft = file.close()
        if job.name is None:
            return draft
        target = job.directory / job.table / job.name
        if file.rows:
            target.parent.mkdir(exist_ok=True)
            draft.replace(target)
        else:
            target.unlink(missing_ok=True)
            file.discard()
        return target
    except BaseException:
        file.discard()
        raise


def _frames(parts: Sequence[PackPart], types: dict[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    in_file = pl.Schema({key: in_parquet(kind) for key, kind in types.items()})
    for part in parts:
        with pyarrow.parquet.ParquetFile(part.path) as old:
            for group in range(old.num_row_groups):
                frame = pl.from_arrow(old.read_row_group(group))
                assert isinstance(frame, pl.DataFrame)
                if part.without:
                    frame = frame.filter(~pl.col(RUN).is_in(list(part.without)))
                if len(frame):
                    yield fitted(frame, types).select(*types).cast(in_file)


def _groups(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Joins small frames of one schema."""
    some: list[pl.DataFrame] = []
    rows, size = 0, 0
    for frame in frames:
        some.append(frame)
        rows += len(frame)
        size += int(frame.estimated_size())
        if rows >= _GROUP or size >= _GROUP_BYTES:
            yield pl.concat(some, how="vertical")
            some, rows, size = [], 0, 0
    if some:
        yield pl.concat(some, how="vertical")
