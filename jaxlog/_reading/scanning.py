"""Makes a lazy frame of the metrics of a call: nothing is read before it is collected."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from jaxlog._format.segment import segment_of
from jaxlog._reading.tables import columnar_rows


def scan(
    paths: Sequence[Path], run_id: str | None, whole: Callable[[], pl.DataFrame]
) -> pl.LazyFrame:
    """A lazy frame of the rows of lanes.

    Args:
      paths: the files of the call.
      run_id: the id of the run, from run.json; None if it is not known.
      whole: reads all rows, from all files.
    """
    if not paths or any(segment_of(path.name) is None for path in paths):
        return pl.defer(whole, schema=lambda: whole().schema)
    read = functools.cache(lambda: columnar_rows(paths, "metrics", run_id))

    def rows(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,  # noqa: ARG001  all rows are one batch
    ) -> Iterator[pl.DataFrame]:
        frame = read().frame(with_columns)
        frame = frame if with_columns is None else frame.select(with_columns)
        frame = frame if predicate is None else frame.filter(predicate)
        yield frame if n_rows is None else frame.head(n_rows)

    return register_io_source(rows, schema=lambda: read().schema, is_pure=True)
