"""Curves of single lanes and of groups of lanes, from a column of a run's lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxlog._format.across_lanes import EXTREMES, across_lanes

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


class LaneGrid:
    """The lanes and steps of a frame's rows.

    Attributes:
      lanes: the numbers of the lanes, ascending.
      steps: the steps, ascending.
      env_steps: the environment steps taken, per step, NaN where unknown; None if all are
        unknown.
      seconds: the time of each step since the first.
      logged: whether there is a line, by lane and step.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.lanes, self._lane = np.unique(frame["lane"].to_numpy(), return_inverse=True)
        self.steps, self._step = np.unique(frame["step"].to_numpy(), return_inverse=True)
        self.logged = np.zeros((len(self.lanes), len(self.steps)), bool)
        self.logged[self._lane, self._step] = True
        self.seconds = self._by_step(frame["timestamp"])
        self.seconds -= self.seconds.min(initial=np.inf) if len(self.seconds) else 0.0
        known = "env_step" in frame.columns and frame["env_step"].null_count() < len(frame)
        self.env_steps = self._by_step(frame["env_step"]) if known else None

    def _by_step(self, column: pl.Series) -> np.ndarray:
        found = np.full(len(self.steps), np.nan)
        found[self._step] = _floats(column)
        return found

    def values(self, column: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """A column as an array by lane and step, and where it has a value.

        If a lane and step has two lines, the last counts, as in `RunData.arrays`.
        """
        values = np.full((len(self.lanes), len(self.steps)), np.nan)
        values[self._lane, self._step] = _floats(column)
        there = np.zeros(values.shape, bool)
        there[self._lane, self._step] = column.is_not_null().to_numpy()
        return values, there


def of_lane(values: np.ndarray, there: np.ndarray) -> ChartCurve:
    """The curve of one lane.

    Args:
      values: by step.
      there: whether the lane logged a value, by step. It may be NaN.
    """
    (at,) = np.nonzero(there)
    return ChartCurve(at, values[at])


def together(values: np.ndarray, there: np.ndarray, statistic: str = "mean") -> ChartCurve:
    """The curve of several lanes: their mean, with a band of one standard deviation.

    At each step, only lanes with a finite value count (see `across_lanes`), so that one that has
    diverged does not hide the others. Where no lane has one, the curve is not finite.

    Args:
      values: by lane and step.
      there: whether a value was logged, by lane and step.
      statistic: that of the values. The curve of minima is the smallest, of maxima the largest.
    """
    (at,) = np.nonzero(there.any(0))
    values, there = values[:, at], there[:, at]
    dead = diverged(values, there)
    alive = len(values) - dead.sum(0) if dead.any() else None
    if len(values) == 1:
        return ChartCurve(at, values[0], alive=alive)
    found = across_lanes(values, there, statistic)
    if statistic in EXTREMES:
        return ChartCurve(at, found.middle, lanes=len(values), alive=alive)
    low, high = found.middle - found.spread, found.middle + found.spread
    return ChartCurve(at, found.middle, low, high, len(values), alive)


def diverged(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """True where a lane's last value is not finite, by lane and step.

    Args:
      values: by lane and step.
      there: whether a value was logged, by lane and step.
    """
    last = np.maximum.accumulate(np.where(there, np.arange(there.shape[1]), -1), axis=1)
    odd = np.take_along_axis(~np.isfinite(values), np.maximum(last, 0), axis=1)
    return odd & (last >= 0)


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
