"""Where lanes end along the axes, and whether their last values are finite, as rows are read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxlog._page.growing_arrays import GrowingArrays
from jaxlog._page.summary_rows import AXES

_LANE = 2**32


class NotInOrderError(ValueError):
    """A lane has rows of a step that is not after the one before, so that rows replace others."""


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


class GrowingLanes:
    """The lanes of a call, by their series."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}  # of a series and a lane
        self._lanes = GrowingArrays(series=np.int64)
        self._ends = np.empty((len(AXES), 0))
        self._gaps = np.empty((len(AXES), 0))
        self._last: dict[str, np.ndarray] = {}  # by lane: -1 without a value, 0 finite, 1 not

    def __len__(self) -> int:
        return len(self._slots)

    def slots(self, series: np.ndarray, lane: np.ndarray) -> np.ndarray:
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

    def extend(self, slot: np.ndarray, along: np.ndarray) -> None:
        """Moves the ends of the lanes.

        Args:
          slot: ascending; the rows of each slot are in their order.
          along: as in `SummaryRows`.

        Raises:
          NotInOrderError: a lane has a row that is not after the one before.
        """
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

    def deaths(
        self,
        key: str,
        cell: np.ndarray,
        cells: int,
        slot: np.ndarray,
        finite: np.ndarray,
    ) -> np.ndarray:
        """The change of the number of dead lanes in each cell.

        Args:
          key: the metric.
          cell: the cell of each row with a value, in the order of the lanes.
          cells: the number of cells.
          slot: the slot of each of these rows, ascending.
          finite: whether the value of each of these rows is finite.
        """
        last = self._last.setdefault(key, np.full(len(self._slots), -1, np.int8))
        dead = (~finite).astype(np.int8)
        if not dead.any() and not (last == 1).any():
            last[slot] = 0
            return np.zeros(cells, np.int64)
        before = np.append(np.zeros(len(dead[:1]), np.int8), dead[:-1])
        is_first = np.append(np.ones(len(slot[:1]), np.bool_), slot[1:] != slot[:-1])
        before[is_first] = last[slot[is_first]] == 1
        last[slot] = dead  # the last assignment counts
        return np.bincount(cell, dead.astype(np.int64) - before, cells).astype(np.int64)

    def of(self, key: str, axis: str) -> LaneEnds:
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
