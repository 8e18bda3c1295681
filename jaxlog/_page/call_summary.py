"""The metrics of one call of a run, combined over lanes as they are read, in bounded memory.

Of each step it keeps, for each series of lanes, the number, mean, spread and extremes of the
values: those of several series and runs can be combined exactly. New rows of a live run are added.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from jaxlog._format.names import EPISODE_COUNT
from jaxlog._page.cell_values import CellsOfMetric, CellValues, no_values
from jaxlog._page.growing_arrays import GrowingArrays
from jaxlog._page.lane_ends import GrowingLanes, LaneEnds
from jaxlog._page.row_stream import RowStream
from jaxlog._page.summary_rows import SummaryRows
from jaxlog._reading.all_nonfinite import count_column
from jaxlog._reading.layouts import LANES

MOST_KEYS = 64
"""Up to this number of metrics, those of a file of lines are all combined when it is read."""
MOST_CELLS = 4_000_000
"""The most series and steps of one metric: more than these would take too much memory."""
_numbers = itertools.count()


class TooManyCellsError(ValueError):
    """There are too many groups, each with too many steps."""


class CallSummary:
    """Combines the rows of a call over lanes.

    Args:
      path: the directory of the run.
      call: the name of the call.
      by: the names of labels that tell series of lanes apart; `lane` for each lane. A name that is
        no label of the run is ignored.
      key: a metric that is needed.
      only: True to combine no other metric, since there are many runs.

    Attributes:
      by: the same names.
      series: the values of `by` of each series.
      labels: the names of the labels.
      types: the type of each column that was read.
    """

    def __init__(
        self, path: Path, call: str, by: Sequence[str], key: str, *, only: bool = False
    ) -> None:
        self.by = tuple(by)
        self.series: dict[tuple[Any, ...], int] = {}
        self.labels: tuple[str, ...] = ()
        self.types: dict[str, pl.DataType] = {}
        self._key, self._most_keys = key, 0 if only else MOST_KEYS
        self._number = next(_numbers)
        self._stream = RowStream(path, call, self._wanted)
        self._keys: tuple[str, ...] | None = None
        self._is_partial = False
        self._lanes = GrowingLanes()
        self._cells = GrowingArrays(
            series=np.int32, step=np.int64, env_step=np.float64, timestamp=np.float64
        )
        self._values: dict[str, CellsOfMetric] = {}
        self._odd: dict[str, np.ndarray] = {}  # by series: values not finite, and partly finite

    def has(self, key: str) -> bool:
        """True if a metric was combined, or if it is in none of the rows."""
        if self._keys is None or key in self._keys:
            return True
        return key not in self.types and not self._is_partial

    @property
    def key(self) -> tuple[int, int]:
        """A value that changes when series come, or when it is made anew."""
        return self._number, len(self.series)

    @property
    def notes(self) -> Sequence[str]:
        """Sentences that say which rows could not be read."""
        return self._stream.notes

    @property
    def num_bytes(self) -> int:
        """The memory that it takes, about."""
        values = sum(own.num_bytes for own in self._values.values())
        return 4096 + self._cells.num_bytes + values + 200 * len(self._lanes)

    def update(self) -> bool:
        """Reads what is new; False if files were cut back or replaced, so that it has to be anew.

        Raises:
          NotInOrderError: lanes have rows that replace others.
          OSError: a file was removed, or cannot be read.
          TooManyCellsError: it would take too much memory.
        """
        if not self._stream.is_continued:
            return False
        for rows in self._stream.rows():
            self._add(SummaryRows(rows))
        return True

    def _wanted(self, columns: Sequence[str], _: Sequence[str]) -> list[str]:
        """The columns of a columnar file that are needed."""
        count = count_column(self._key, columns)
        others = {*LANES.own, *self.by, self._key, EPISODE_COUNT, *([count] if count else [])}
        found = [name for name in columns if name in others]
        self._is_partial = self._is_partial or len(found) < len(columns)
        return found

    def _add(self, rows: SummaryRows) -> None:
        """Combines some rows."""
        before = self.types.keys()
        self.labels = tuple(dict.fromkeys((*self.labels, *rows.labels)))
        numbers = rows.numbers
        if self._keys is None:
            self._keys = tuple(numbers) if len(numbers) <= self._most_keys else (self._key,)
        else:  # a metric that comes late; of others, the rows before have been passed over
            late = [name for name in numbers if name not in before and name not in self._keys]
            if self._key in late or len(self._keys) + len(late) <= self._most_keys:
                late = [self._key] if len(late) > self._most_keys else late
                self._keys = (*self._keys, *late)
        self.types |= rows.types
        series = self._series_of(rows)
        slot = self._lanes.slots(series, rows.lane)
        order = np.argsort(slot, kind="stable")
        self._lanes.extend(slot[order], rows.along[:, order])
        step = rows.step()
        by_cell = np.lexsort((step, series))
        is_first = np.ones(len(step), np.bool_)
        is_first[1:] = (np.diff(series[by_cell]) != 0) | (np.diff(step[by_cell]) != 0)
        cell = np.empty(len(step), np.int64)
        cell[by_cell] = np.cumsum(is_first) - 1
        first = by_cell[is_first]
        if len(self._cells) + len(first) > MOST_CELLS:
            raise TooManyCellsError(
                f"got more than {MOST_CELLS:,} steps of groups, expected at most as many; choose "
                "another grouping"
            )
        place = _RowPlaces(series, slot, order, cell, len(first))
        for key in self._keys:
            values = self._values.get(key)
            if values is None:
                values = self._values[key] = CellsOfMetric(len(self._cells))
            if key in numbers:
                self._combine(values, rows, key, place)
            else:
                values.append_nothing(len(first))
        self._cells.append(
            series=series[first],
            step=step[first],
            env_step=rows.along[1][first],
            timestamp=rows.along[2][first],
        )

    def _series_of(self, rows: SummaryRows) -> np.ndarray:
        """The series of each row."""
        names = [name for name in self.by if name in rows.labels or name == "lane"]
        if not names:
            key = (None,) * len(self.by)
            return np.full(len(rows), self.series.setdefault(key, len(self.series)))
        distinct, place = rows.distinct(names)
        keys = [tuple(one.get(name) for name in self.by) for one in distinct]
        numbers = [self.series.setdefault(_hashable(key), len(self.series)) for key in keys]
        return np.array(numbers, np.int64)[place]

    def _combine(self, into: CellsOfMetric, rows: SummaryRows, key: str, place: _RowPlaces) -> None:
        """Combines one metric of some rows, by cell."""
        value, has = rows.value(key)
        finite = has & np.isfinite(value)
        self._count_odd(rows, key, has, finite, place.series)
        order = place.order[has[place.order]]
        died = self._lanes.deaths(
            key, place.cell[order], place.cells, place.slot[order], finite[order]
        )
        if place.cells == len(rows):  # one row in each
            own = np.empty(place.cells)
            own[place.cell] = np.where(finite, value, np.nan)
            into.append_single(own, died)
        else:
            into.append(_combined(value[finite], place.cell[finite], place.cells, died))

    def _count_odd(
        self,
        rows: SummaryRows,
        key: str,
        has: np.ndarray,
        finite: np.ndarray,
        series: np.ndarray,
    ) -> None:
        odd = self._odd.setdefault(key, np.zeros((2, 0), np.int64))
        missing = len(self.series) - odd.shape[1]
        if missing:
            odd = np.concatenate([odd, np.zeros((2, missing), np.int64)], axis=1)
        if not finite.all():
            odd[0] += np.bincount(series[has & ~finite], minlength=len(self.series))
        partial = rows.is_partial(key)
        if partial is not None:
            odd[1] += np.bincount(series[finite & partial], minlength=len(self.series))
        self._odd[key] = odd

    def cells_of(self, key: str, axis: str) -> tuple[np.ndarray, np.ndarray, CellValues]:
        """The series and the place of each cell along an axis, and what is known of a metric.

        Args:
          key: the metric.
          axis: one of `AXES`.
        """
        own = self._values.get(key)
        values = no_values(len(self._cells)) if own is None else own.values()
        return self._cells["series"], self._cells[axis], values

    def lanes_of(self, key: str, axis: str) -> LaneEnds:
        """The lanes that have a value of a metric.

        Args:
          key: the metric.
          axis: one of `AXES`.
        """
        return self._lanes.of(key, axis)

    def odd_of(self, key: str) -> np.ndarray:
        """By series, how many values are not finite, and how many are partly: int64[2, series]."""
        found = np.zeros((2, len(self.series)), np.int64)
        own = self._odd.get(key)
        if own is not None:
            found[:, : own.shape[1]] = own
        return found


class _RowPlaces(NamedTuple):
    """Where rows belong.

    Attributes:
      series: the series of each row.
      slot: the slot of its lane.
      order: the rows in the order of their slots, those of each in their order.
      cell: the cell of each row.
      cells: the number of cells.
    """

    series: np.ndarray
    slot: np.ndarray
    order: np.ndarray
    cell: np.ndarray
    cells: int


def _combined(value: np.ndarray, cell: np.ndarray, cells: int, died: np.ndarray) -> CellValues:
    """The statistics of finite values, by cell."""
    count = np.bincount(cell, minlength=cells)
    least, greatest = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(least, cell, value)
    np.maximum.at(greatest, cell, value)
    with np.errstate(all="ignore"):  # the sum of the largest floats; 0 / 0
        mean = np.bincount(cell, value, cells) / count
        mean = np.where(least == greatest, least, np.clip(mean, least, greatest))
        mean = np.where(count > 0, mean, np.nan)
        squares = np.bincount(cell, np.square(value - mean[cell]), cells)
    return CellValues(count, mean, squares, least, greatest, died)


def _hashable(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of labels as a key: NaN is equal to itself, and lists can be one."""
    return tuple(
        "nan" if one != one else repr(one) if isinstance(one, list) else one for one in key
    )
