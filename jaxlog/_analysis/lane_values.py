"""The values of a metric as rows, one per lane and point, and what is computed from them.

Lanes may log at different steps, so that an array with a place for each lane and step could be far
larger than the lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def rows_that_count(lane: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Returns the indices of rows in the order of points, and at each of the lanes.

    Of rows of the same lane and point, only the last counts.
    """
    order = np.lexsort((lane, point))
    lane, point = lane[order], point[order]
    counts = np.ones(len(order), bool)
    counts[:-1] = (lane[1:] != lane[:-1]) | (point[1:] != point[:-1])
    return order[counts]


@dataclass(frozen=True)
class LaneValues:
    """The values of a metric of some lanes. No two have the same lane and point.

    Attributes:
      lane: int64, the lane of each value.
      point: int64, its place along an axis, such as the index of its step; in ascending order.
      value: float64, finite or not.
    """

    lane: np.ndarray
    point: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, rows: np.ndarray) -> LaneValues:
        """Returns some rows, by their indices or a mask."""
        return LaneValues(self.lane[rows], self.point[rows], self.value[rows])

    def by_lane(self) -> LaneValues:
        """Returns the values in the order of the lanes, those of a lane in the order of points."""
        return self[np.argsort(self.lane, kind="stable")]

    def renumbered(self) -> tuple[np.ndarray, LaneValues]:
        """Returns the points that have values, and the values with the indices of these points."""
        is_first = np.diff(self.point, prepend=-1) != 0
        point = np.cumsum(is_first) - 1
        return self.point[is_first], LaneValues(self.lane, point, self.value)

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the lanes with a value, ascending, and the last value of each."""
        row = np.full(self.lane.max(initial=-1) + 1, -1)
        row[self.lane] = np.arange(len(self))  # the last assignment counts
        lanes = np.flatnonzero(row >= 0)
        return lanes, self.value[row[lanes]]

    def num_dead(self, points: int) -> np.ndarray:
        """Returns the number of lanes at each point whose last value so far is not finite.

        Args:
          points: the number of points.
        """
        odd = ~np.isfinite(self.value)
        ever_odd = np.zeros(self.lane.max(initial=-1) + 1, bool)
        ever_odd[self.lane[odd]] = True
        (rows,) = np.nonzero(ever_odd[self.lane])
        rows = rows[np.argsort(self.lane[rows], kind="stable")]
        dead, lane = odd[rows].astype(np.int64), self.lane[rows]
        before = np.where(lane[1:] == lane[:-1], dead[:-1], 0)
        change = dead - np.append(np.zeros(len(dead[:1]), np.int64), before)
        return np.cumsum(np.bincount(self.point[rows], change, points)).astype(np.int64)
