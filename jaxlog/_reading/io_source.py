"""The part of a lazy frame's rows that polars asks its source for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl


def rows_asked_for(
    frames: Iterable[pl.DataFrame], predicate: pl.Expr | None, n_rows: int | None
) -> Iterator[pl.DataFrame]:
    """Yields the rows of frames that match, and no more frames than are needed.

    Args:
      frames: of one schema; they are read one after the other.
      predicate: which rows; None for all.
      n_rows: the most rows in all; None for no limit.
    """
    for frame in frames:
        rows = frame if predicate is None else frame.filter(predicate)
        rows = rows if n_rows is None else rows.head(n_rows)
        yield rows
        if n_rows is not None:
            n_rows -= len(rows)
            if n_rows <= 0:
                return
