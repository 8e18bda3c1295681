"""Rows of a call as arrays, from a frame or from lines that are all alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from jaxlog._page.plain_lines import PlainLines
from jaxlog._reading.all_nonfinite import count_column
from jaxlog._reading.columns import TableFrame
from jaxlog._reading.layouts import LANES

AXES = ("step", "env_step", "timestamp")
"""The axes along which lanes end."""


class SummaryRows:
    """Some rows of a call.

    Args:
      rows: the rows.

    Attributes:
      labels: the names of the labels.
      types: the type of each column.
      numbers: the names of the metrics that are numbers.
      along: float64 of shape (axis, row): the places along each of `AXES`, NaN where there is none.
      lane: int64 of shape (row,).
    """

    def __init__(self, rows: TableFrame | PlainLines) -> None:
        self.labels = tuple(rows.labels)
        if isinstance(rows, PlainLines):
            self._frame, self._metrics, self._labels = pl.DataFrame(), rows.metrics, rows.labels
            self.types = {name: rows.type_of(name) for name in (*rows.labels, *rows.metrics)}
            self.numbers = list(rows.metrics)
            nothing = np.full(len(rows.fields["step"]), np.nan)
            self.along = np.stack([rows.fields.get(name, nothing) for name in AXES])
            self.lane = rows.fields["lane"].astype(np.int64)
            return
        frame = self._frame = rows.frame
        self._metrics, self._labels = {}, {}
        self.types = dict(frame.schema)
        self.numbers = [
            name
            for name, kind in frame.schema.items()
            if name not in LANES.own and name not in rows.labels and _is_number(kind)
        ]
        self.along = np.stack([_floats(frame, name) for name in AXES])
        self.lane = frame["lane"].to_numpy()

    def __len__(self) -> int:
        return len(self.lane)

    def step(self) -> np.ndarray:
        """The steps, int64 of shape (row,)."""
        if "step" in self._frame.columns:
            return self._frame["step"].to_numpy()
        return self.along[0].astype(np.int64)

    def value(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """The values of a metric, float64, and whether each row has one, bool."""
        if key in self._metrics:
            return np.array(self._metrics[key], np.float64), np.ones(len(self), np.bool_)
        column = self._frame[key]
        return column.cast(pl.Float64).to_numpy(), column.is_not_null().to_numpy()

    def is_partial(self, key: str) -> np.ndarray | None:
        """True for a value that was computed without some not finite; None if there is none."""
        count = count_column(key, self._frame.columns)
        return None if count is None else self._frame[count].fill_null(0).to_numpy() > 0

    def distinct(self, names: Sequence[str]) -> tuple[list[dict[str, Any]], np.ndarray]:
        """The different values of labels or of `lane`, and the place of those of each row."""
        if self._metrics:
            own = [self.lane.tolist() if name == "lane" else self._labels[name] for name in names]
            found: dict[tuple[Any, ...], int] = {}
            places = [found.setdefault(key, len(found)) for key in zip(*own, strict=True)]
            return [dict(zip(names, key, strict=True)) for key in found], np.array(places)
        rows = self._frame.select(names)
        distinct = rows.unique(maintain_order=True)
        numbers = pl.Series("jaxlog.series", range(len(distinct)), dtype=pl.Int64)
        joined = rows.join(
            distinct.with_columns(numbers),
            on=names,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        return list(distinct.iter_rows(named=True)), joined["jaxlog.series"].to_numpy()


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in (pl.Boolean, pl.Null)


def _floats(frame: pl.DataFrame, name: str) -> np.ndarray:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return frame[name].cast(pl.Float64).to_numpy()
