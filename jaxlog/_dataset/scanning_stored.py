"""Makes a lazy frame of the metrics in a data set that is in a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
import pyarrow.parquet
from polars.io.plugins import register_io_source

from jaxlog._dataset.column_types import in_parquet
from jaxlog._dataset.commit import files_of
from jaxlog._dataset.manifest import MANIFEST, manifest_in
from jaxlog._dataset.scanning import table_of
from jaxlog._dataset.table_file import types_of
from jaxlog._format.columnar import RUN
from jaxlog._reading.concatenate import fitted
from jaxlog._reading.io_source import rows_asked_for
from jaxlog._store.objects import ObjectStore


def scan_stored(store: ObjectStore, call: str | None, *, config: bool) -> pl.LazyFrame | None:
    """A lazy frame of the metrics of all runs, as `scan_dataset`; None if there is no data set.

    Raises:
      DatasetError: the data set is of another format, or damaged.
      LookupError: there is no such call.
      StoreError: the store cannot be read.
    """
    try:
        data = store.get(MANIFEST)
    except FileNotFoundError:
        return None
    manifest = manifest_in(data, str(store.address))
    name = table_of(manifest, call, str(store.address))
    table = manifest.tables[name]
    left_out = () if config else table.config
    types = {key: kind for key, kind in types_of(table.schema).items() if key not in left_out}
    found = StoredTable(store, files_of(manifest, name, store.exists), types)
    return register_io_source(found.rows, schema=found.schema, is_pure=True)


class StoredTable:
    """A table of a data set in a store.

    Args:
      store: the objects of the data set.
      files: the names of those of the table.
      types: the types of its columns.

    Attributes:
      schema: the types that its columns have in files.
    """

    def __init__(
        self, store: ObjectStore, files: Sequence[str], types: dict[str, pl.DataType]
    ) -> None:
        self._store = store
        self._files = files
        self._types = types
        self.schema = pl.Schema({key: in_parquet(kind) for key, kind in types.items()})

    def rows(
        self,
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,  # noqa: ARG002  a row group is a batch
    ) -> Iterator[pl.DataFrame]:
        """Yields the rows of a row group at a time; polars calls it."""
        columns = self.schema.names() if with_columns is None else with_columns
        return rows_asked_for(self._read(columns), predicate, n_rows)

    def _read(self, columns: list[str]) -> Iterator[pl.DataFrame]:
        wanted = columns or [RUN]  # to count rows, one is needed
        types = {key: self._types[key] for key in wanted}
        in_files = pl.Schema({key: self.schema[key] for key in wanted})
        for name in self._files:
            with self._store.opened(name) as opened, pyarrow.parquet.ParquetFile(opened) as file:
                # An export that was ended early has left files with fewer columns.
                own = [key for key in wanted if key in file.schema_arrow.names]
                for group in range(file.num_row_groups):
                    frame = pl.from_arrow(file.read_row_group(group, columns=own or [RUN]))
                    assert isinstance(frame, pl.DataFrame)
                    yield fitted(frame, types).select(wanted).cast(in_files)
