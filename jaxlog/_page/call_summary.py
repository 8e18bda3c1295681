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
from jaxlog._page.growing_arrays import GrowingArrays
from jaxlog._page.parsed_lines import ParsedLines
from jaxlog._page.row_stream import RowStream
from jaxlog._reading.all_nonfinite import count_column
from jaxlog._reading.layouts import LANES

MOST_KEYS = 64
"""Up to this number of metrics, those of a file of lines are all combined when it is read."""
MOST_CELLS = 4_000_000
"""The most series and steps of one metric: more than these would take too much memory."""
AXES = ("step", "env_step", "timestamp")
"""The axes along which lanes end."""
_LANE = 2**32
_numbers = itertools.count()


class TooManyCellsError(ValueError):
    """There are too many groups, each with too many steps."""


class NotInOrderError(ValueError):
    """A lane has rows of a step that is not after the one before, so that rows replace others."""


class CellValues(NamedTuple):
    """The statistics of one metric in each cell: of one series of lanes at one step.

    Attributes:
      finite: int64, the number of finite values.
      mean: float64, their mean.
      squares: float64, the sum of the squares of their distances from it.
      least: float64, the least of them; infinity if there are none.
      greatest: float64, the greatest.
      died: int64, how many more lanes have a last value that is not finite than before.
    """

    finite: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    died: np.ndarray


class CallSummary:
    """Combines the rows of a call over lanes.

    Args:
      path: the directory of the run.
      call: the name of the call.
      by: the names of labels that tell series of lanes apart; `lane` for each lane. A name that is
        no label of the run is ignored.
      key: a metric that is needed.
      parsed: as in `RowStream`.

    Attributes:
      by: the same names.
      series: the values of `by` of each series.
      labels: the names of the labels.
      types: the type of each column that was read.
    """

    def __init__(
        self,
        path: Path,
        call: str,
        by: Sequence[str],
        key: str,
        parsed: ParsedLines | None = None,
    ) -> None:
        self.by = tuple(by)
        self.series: dict[tuple[Any, ...], int] = {}
        self.labels: tuple[str, ...] = ()
        self.types: dict[str, pl.DataType] = {}
        self._key = key
        self._number = next(_numbers)
        self._stream = RowStream(path, call, self._wanted, parsed)
        self._keys: tuple[str, ...] | None = None
        self._is_partial = False
        self._rows = 0
        self._slots: dict[int, int] = {}  # of a series and a lane
        self._lanes = GrowingArrays(series=np.int64)
        self._ends = np.empty((len(AXES), 0))
        self._gaps = np.empty((len(AXES), 0))
        self._cells = GrowingArrays(
            series=np.int32, step=np.int64, env_step=np.float64, timestamp=np.float64
        )
        self._values: dict[str, GrowingArrays] = {}
        self._last: dict[str, np.ndarray] = {}  # by lane: -1 without a value, 0 finite, 1 not
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
        return 4096 + self._cells.num_bytes + values + 200 * len(self._slots)

    def update(self) -> bool:
        """Reads what is new; False if files were cut back or replaced, so that it has to be anew.

        Raises:
          NotInOrderError: lanes have rows that replace others.
          OSError: a file was removed, or cannot be read.
          TooManyCellsError: it would take too much memory.
        """
        if not self._stream.is_continued:
            return False
        for table in self._stream.tables():
            self._add(table.frame, table.labels)
        return True

    def _wanted(self, columns: Sequence[str], _: Sequence[str]) -> list[str]:
        """The columns of a columnar file that are needed."""
        count = count_column(self._key, columns)
        others = {*LANES.own, *self.by, self._key, EPISODE_COUNT, *([count] if count else [])}
        found = [name for name in columns if name in others]
        self._is_partial = self._is_partial or len(found) < len(columns)
        return found

    def _add(self, frame: pl.DataFrame, labels: Sequence[str]) -> None:
        """Combines some rows."""
        before = self.types.keys()
        self.labels = tuple(dict.fromkeys((*self.labels, *labels)))
        numbers = [
            name
            for name, kind in frame.schema.items()
            if name not in LANES.own and name not in labels and _is_number(kind)
        ]
        if self._keys is None:
            self._keys = tuple(numbers) if len(numbers) <= MOST_KEYS else (self._key,)
        else:  # a metric that comes late; of others, the rows before have been passed over
            late = [name for name in numbers if name not in before and name not in self._keys]
            if self._key in late or len(self._keys) + len(late) <= MOST_KEYS:
                late = [self._key] if len(late) > MOST_KEYS else late
                self._keys = (*self._keys, *late)
        self.types |= frame.schema
        series = self._series_of(frame, labels)
        slot = self._slots_of(series, frame["lane"].to_numpy())
        along = np.stack([_floats(frame, name) for name in AXES])
        order = np.argsort(slot, kind="stable")
        self._extend_ends(slot[order], along[:, order])
        step = frame["step"].to_numpy()
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
        self._cells.append(
            series=series[first],
            step=step[first],
            env_step=along[1][first],
            timestamp=along[2][first],
        )
        self._rows += len(frame)
        for key in self._keys:
            values = self._values.get(key)
            if values is None:
                values = self._values[key] = _empty_values(len(self._cells) - len(first))
            if key in numbers:
                values.append(**self._combined(frame, key, cell, len(first), slot, series, order))
            else:
                values.append(**_no_values(len(first)))

    def _series_of(self, frame: pl.DataFrame, labels: Sequence[str]) -> np.ndarray:
        """The series of each row."""
        names = [name for name in self.by if name in labels or name == "lane"]
        if not names:
            key = (None,) * len(self.by)
            return np.full(len(frame), self.series.setdefault(key, len(self.series)))
        own = frame.select(names)
        distinct = own.unique(maintain_order=True)
        rows = distinct.iter_rows(named=True)
        keys = [tuple(row.get(name) for name in self.by) for row in rows]
        numbers = [self.series.setdefault(_hashable(key), len(self.series)) for key in keys]
        joined = own.join(
            distinct.with_columns(pl.Series("jaxlog.series", numbers, dtype=pl.Int64)),
            on=names,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        return joined["jaxlog.series"].to_numpy()

    def _slots_of(self, series: np.ndarray, lane: np.ndarray) -> np.ndarray:
        """The place of the series and lane of each row in the arrays by lane."""
        pairs, inverse = np.unique(series * _LANE + lane, return_inverse=True)
        new = [pair for pair in pairs.tolist() if pair not in self._slots]
        if new:
            for pair in new:
                self._slots[pair] = len(self._slots)
            self._lanes.append(series=np.array(new, np.int64) // _LANE)
            more = np.full((len(AXES), len(new)), -np.inf)
            self._ends = np.concatenate([self._ends, more], axis=1)
            self._gaps = np.concatenate([self._gaps, np.zeros(more.shape)], axis=1)
            for key, last in self._last.items():
                self._last[key] = np.concatenate([last, np.full(len(new), -1, np.int8)])
        return np.array([self._slots[pair] for pair in pairs.tolist()], np.int64)[inverse]

    def _extend_ends(self, slot: np.ndarray, along: np.ndarray) -> None:
        """Moves the ends of the lanes; `slot` is ascending, the rows of each in their order."""
        same = slot[1:] == slot[:-1]
        is_first = np.append(np.ones(len(slot[:1]), np.bool_), ~same)
        before = np.empty(along.shape)
        before[:, 1:] = along[:, :-1]
        before[:, is_first] = self._ends[:, slot[is_first]]
        if (along[0] <= before[0]).any():
            raise NotInOrderError
        gaps = np.where(np.isfinite(before), along - before, 0.0)
        for axis in range(len(AXES)):
            np.fmax.at(self._gaps[axis], slot, gaps[axis])
        self._ends[:, slot] = along  # the last assignment counts

    def _combined(
        self,
        frame: pl.DataFrame,
        key: str,
        cell: np.ndarray,
        cells: int,
        slot: np.ndarray,
        series: np.ndarray,
        order: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Combines one metric of some rows, by cell."""
        column = frame[key]
        has = column.is_not_null().to_numpy()
        value = column.cast(pl.Float64).to_numpy()
        finite = has & np.isfinite(value)
        self._count_odd(frame, key, has, finite, series)
        died = self._deaths(key, cell, cells, slot[order], order, has[order], finite[order])
        at, own = cell[finite], value[finite]
        count = np.bincount(at, minlength=cells)
        least, greatest = np.full(cells, np.inf), np.full(cells, -np.inf)
        np.minimum.at(least, at, own)
        np.maximum.at(greatest, at, own)
        with np.errstate(all="ignore"):  # the sum of the largest floats; 0 / 0
            mean = np.bincount(at, own, cells) / count
            mean = np.where(least == greatest, least, np.clip(mean, least, greatest))
            mean = np.where(count > 0, mean, np.nan)
            squares = np.bincount(at, np.square(own - mean[at]), cells)
        return {
            "finite": count,
            "mean": mean,
            "squares": squares,
            "least": least,
            "greatest": greatest,
            "died": died,
        }

    def _count_odd(
        self,
        frame: pl.DataFrame,
        key: str,
        has: np.ndarray,
        finite: np.ndarray,
        series: np.ndarray,
    ) -> None:
        odd = self._odd.setdefault(key, np.zeros((2, 0), np.int64))
        missing = len(self.series) - odd.shape[1]
        odd = np.concatenate([odd, np.zeros((2, missing), np.int64)], axis=1)
        odd[0] += np.bincount(series[has & ~finite], minlength=len(self.series))
        count = count_column(key, frame.columns)
        if count is not None:
            partly = finite & (frame[count].fill_null(0).to_numpy() > 0)
            odd[1] += np.bincount(series[partly], minlength=len(self.series))
        self._odd[key] = odd

    def _deaths(
        self,
        key: str,
        cell: np.ndarray,
        cells: int,
        slot: np.ndarray,
        order: np.ndarray,
        has: np.ndarray,
        finite: np.ndarray,
    ) -> np.ndarray:
        """The change of the number of dead lanes in each cell; all but cells are by lane."""
        last = self._last.setdefault(key, np.full(len(self._slots), -1, np.int8))
        slot, at = slot[has], cell[order][has]
        dead = (~finite[has]).astype(np.int8)
        if not dead.any() and not (last == 1).any():
            last[slot] = 0
            return np.zeros(cells, np.int64)
        before = np.append(np.zeros(len(dead[:1]), np.int8), dead[:-1])
        is_first = np.append(np.ones(len(slot[:1]), np.bool_), slot[1:] != slot[:-1])
        before[is_first] = last[slot[is_first]] == 1
        last[slot] = dead  # the last assignment counts
        return np.bincount(at, dead.astype(np.int64) - before, cells).astype(np.int64)

    def cells_of(self, key: str, axis: str) -> tuple[np.ndarray, np.ndarray, CellValues]:
        """The series and the place of each cell along an axis, and what is known of a metric.

        Args:
          key: the metric.
          axis: one of `AXES`.
        """
        own = self._values.get(key)
        if own is None:
            own = _empty_values(len(self._cells))
        values = CellValues(*(own[name] for name in CellValues._fields))
        return self._cells["series"], self._cells[axis], values

    def lanes_of(self, key: str, axis: str) -> LaneEnds:
        """The lanes that have a value of a metric.

        Args:
          key: the metric.
          axis: one of `AXES`.
        """
        place = AXES.index(axis)
        last = self._last.get(key, np.full(len(self._slots), -1, np.int8))
        has = last >= 0
        series = self._lanes["series"]
        return LaneEnds(series[has], self._ends[place][has], self._gaps[place][has], last[has] == 1)

    def odd_of(self, key: str) -> np.ndarray:
        """By series, how many values are not finite, and how many are partly: int64[2, series]."""
        found = np.zeros((2, len(self.series)), np.int64)
        own = self._odd.get(key)
        if own is not None:
            found[:, : own.shape[1]] = own
        return found


class LaneEnds(NamedTuple):
    """The ends of lanes along an axis.

    Attributes:
      series: int64, the series of each lane.
      ends: float64, its last place.
      gaps: float64, the longest way between two of its places.
      dead: bool, True if its last value is not finite.
    """

    series: np.ndarray
    ends: np.ndarray
    gaps: np.ndarray
    dead: np.ndarray


def _empty_values(cells: int) -> GrowingArrays:
    found = GrowingArrays(
        finite=np.int32,
        mean=np.float64,
        squares=np.float64,
        least=np.float64,
        greatest=np.float64,
        died=np.int32,
    )
    if cells:
        found.append(**_no_values(cells))
    return found


def _no_values(cells: int) -> dict[str, np.ndarray]:
    nothing, none = np.full(cells, np.nan), np.zeros(cells, np.int64)
    return {
        "finite": none,
        "mean": nothing,
        "squares": np.zeros(cells),
        "least": np.full(cells, np.inf),
        "greatest": np.full(cells, -np.inf),
        "died": none,
    }


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in (pl.Boolean, pl.Null)


def _floats(frame: pl.DataFrame, name: str) -> np.ndarray:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return frame[name].cast(pl.Float64).to_numpy()


def _hashable(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of labels as a key: NaN is equal to itself, and lists can be one."""
    return tuple(
        "nan" if one != one else repr(one) if isinstance(one, list) else one for one in key
    )
