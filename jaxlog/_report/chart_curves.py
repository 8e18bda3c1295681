"""Curves of single lanes and of groups of lanes, from a column of a run's lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxlog._analysis.lane_values import LaneValues, rows_that_count
from jaxlog._format.across_lanes import EXTREMES, across_lanes_of_points

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class ChartCurve:
    """The values of a metric at some of a run's steps.

    Attributes:
      at: the indices of these steps, ascending.
      values: float64, one per step.
      low: the lower edge of the band; None if there is no band.
      high: the upper edge.
      lanes: the number of lanes.
      alive: the number of lanes that have not diverged, per step; None if none ever does.
    """

    at: np.ndarray
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    lanes: int = 1
    alive: np.ndarray | None = None

    @property
    def died(self) -> np.ndarray:
        """True where a lane has diverged, per step."""
        return np.zeros(len(self.at), bool) if self.alive is None else self.alive < self.lanes

    def thinned(self, most: int) -> ChartCurve:
        """The curve with about `most` values: the lowest and the highest of each stretch.

        The step at which the first lane diverged is kept, too.
        """
        if len(self.at) <= most:
            return self
        kept = np.union1d(extremes(self.values, most // 2), np.flatnonzero(self.died)[:1])

        def part(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[kept]

        low, high, alive = part(self.low), part(self.high), part(self.alive)
        return ChartCurve(self.at[kept], self.values[kept], low, high, self.lanes, alive)


class LaneRows:
    """The rows of a frame by lane and step.

    If a lane has several rows of one step, the last counts, as in `RunData.arrays`.

    Attributes:
      lanes: the numbers of the lanes, ascending.
      steps: the steps, ascending.
      env_steps: the environment steps taken, per step, NaN where unknown; None if all are
        unknown.
      seconds: the time of each step since the first.
      lane: the lane of each row that counts, as its index in `lanes`.
      step: the step of each, as its index in `steps`; ascending.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.lanes, lane = np.unique(frame["lane"].to_numpy(), return_inverse=True)
        self.steps, step = np.unique(frame["step"].to_numpy(), return_inverse=True)
        self.seconds = self._by_step(frame["timestamp"], step)
        self.seconds -= self.seconds.min(initial=np.inf) if len(self.seconds) else 0.0
        known = "env_step" in frame.columns and frame["env_step"].null_count() < len(frame)
        self.env_steps = self._by_step(frame["env_step"], step) if known else None
        self._rows = rows_that_count(lane, step)
        self.lane, self.step = lane[self._rows], step[self._rows]

    def _by_step(self, column: pl.Series, step: np.ndarray) -> np.ndarray:
        found = np.full(len(self.steps), np.nan)
        found[step] = _floats(column)
        return found

    def values(self, column: pl.Series, *, or_zero: bool = False) -> LaneValues:
        """The values of a column, those of a step in the order of the lanes.

        Args:
          column: a column of the frame.
          or_zero: whether a row without a value has a zero.
        """
        values, has = _floats(column)[self._rows], column.is_not_null().to_numpy()[self._rows]
        if or_zero:
            return LaneValues(self.lane, self.step, np.where(has, values, 0.0))
        return LaneValues(self.lane[has], self.step[has], values[has])


def of_lane(values: LaneValues) -> ChartCurve:
    """The curve of one lane, from its values. They may be NaN."""
    return ChartCurve(values.point, values.value)


def together(values: LaneValues, lanes: int, statistic: str = "mean") -> ChartCurve:
    """The curve of several lanes: their mean, with a band of one standard deviation.

    At each step, only lanes with a finite value count (see `across_lanes`), so that one that has
    diverged does not hide the others. Where no lane has one, the curve is not finite.

    Args:
      values: those of these lanes.
      lanes: the number of lanes.
      statistic: that of the values. The curve of minima is the smallest, of maxima the largest.
    """
    at, values = values.renumbered()
    dead = values.num_dead(len(at))
    alive = lanes - dead if dead.any() else None
    if lanes == 1:
        return ChartCurve(at, values.value, alive=alive)
    found = across_lanes_of_points(values.value, values.point, len(at), lanes, statistic)
    if statistic in EXTREMES:
        return ChartCurve(at, found.middle, lanes=lanes, alive=alive)
    low, high = found.middle - found.spread, found.middle + found.spread
    return ChartCurve(at, found.middle, low, high, lanes, alive)


def extremes(values: np.ndarray, stretches: int) -> np.ndarray:
    """The indices of the points that are visible when a line is drawn small, ascending.

    These are, for each of `stretches` parts of the same length, the lowest value, the highest, and
    the first that is not finite; and the first and the last of all values.

    >>> extremes(np.array([0.0, 5.0, -5.0, 1.0, 2.0, 3.0]), 2).tolist()
    [0, 1, 2, 3, 5]
    """
    size = -(-len(values) // max(1, stretches))
    rows = -(-len(values) // size)
    padded = np.full(rows * size, np.nan)
    padded[: len(values)] = values
    padded = padded.reshape(rows, size)
    finite = np.isfinite(padded)
    start = np.arange(rows) * size
    some = finite.any(1)
    lowest = (start + np.where(finite, padded, np.inf).argmin(1))[some]
    highest = (start + np.where(finite, padded, -np.inf).argmax(1))[some]
    odd = ~finite
    odd.reshape(-1)[len(values) :] = False
    first_odd = (start + odd.argmax(1))[odd.any(1)]
    return np.unique(np.concatenate([[0, len(values) - 1], lowest, highest, first_odd]))


def spread_evenly(number: int, most: int) -> Sequence[int]:
    """At most `most` of 0, …, number - 1, with the first and the last.

    >>> spread_evenly(3, 5), spread_evenly(100, 3)
    ([0, 1, 2], [0, 50, 99])
    """
    if number <= most:
        return list(range(number))
    return np.linspace(0, number - 1, most).round().astype(int).tolist()


def limits(curves: Iterable[ChartCurve]) -> tuple[float, float] | None:
    """The lowest and the highest finite value of curves and bands; None if there is none."""
    parts = [part for c in curves for part in (c.values, c.low, c.high) if part is not None]
    found = np.concatenate([part[np.isfinite(part)] for part in parts] or [np.empty(0)])
    return (float(found.min()), float(found.max())) if len(found) else None


def _floats(column: pl.Series) -> np.ndarray:
    import polars as pl

    return column.cast(pl.Float64).to_numpy()
