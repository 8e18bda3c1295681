"""The cells of a group of lanes along one axis, to which those of further runs are added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxlog._analysis.group_curves import GroupCurve, Spread
from jaxlog._format.across_lanes import EXTREMES
from jaxlog._page.call_summary import CallSummary
from jaxlog._page.cell_values import CellValues, no_values
from jaxlog._page.growing_arrays import GrowingArrays

_NOTHING = no_values(0)


class GroupCells:
    """The lanes of a group, combined by their places along an axis.

    The parts are added one after the other: the result depends on their order by rounding alone,
    and not at all on how many are added at a time.

    Attributes:
      runs: the names of the runs, in the order in which they were added.
    """

    def __init__(self) -> None:
        self.runs: list[str] = []
        self._x = np.empty(0)
        self._values = _NOTHING
        self._lanes = GrowingArrays(ends=np.float64, gaps=np.float64, dead=bool, late=bool)
        self._odd = np.zeros(2, np.int64)

    def copy(self) -> GroupCells:
        """Another group with the same parts."""
        found = GroupCells()
        found.runs, found._x, found._values = [*self.runs], self._x, self._values
        found._lanes, found._odd = self._lanes.copy(), self._odd
        return found

    @property
    def num_bytes(self) -> int:
        """The memory that it takes, about."""
        arrays = sum(own.nbytes for own in (self._x, *self._values))
        return 1024 + arrays + self._lanes.num_bytes + 16 * len(self.runs)

    @property
    def ends(self) -> np.ndarray:
        """The last place of each lane."""
        return self._lanes["ends"]

    def add_series(
        self,
        run: str,
        summary: CallSummary,
        series: Sequence[int],
        key: str,
        axis: str,
        *,
        is_late: bool,
    ) -> None:
        """Adds a part of a run.

        Args:
          run: its name.
          summary: of the run.
          series: the numbers of the series.
          key: the metric.
          axis: one of `summary_rows.AXES`.
          is_late: True if the run has not finished.
        """
        self.runs.append(run)
        lanes = summary.lanes_of(key, axis)
        number, at, values = summary.cells_of(key, axis)
        odd = summary.odd_of(key)
        if len(series) < len(summary.series):
            chosen = np.zeros(len(summary.series), np.bool_)
            chosen[list(series)] = True
            mine = chosen[number]
            at, values = at[mine], CellValues(*(own[mine] for own in values))
            mine = chosen[lanes.series]
            lanes = type(lanes)(*(own[mine] for own in lanes))
            odd = odd[:, chosen]
        late = np.full(len(lanes.ends), is_late)
        self._lanes.append(ends=lanes.ends, gaps=lanes.gaps, dead=lanes.dead, late=late)
        self._odd = self._odd + odd.sum(axis=1)
        self._add(*_by_place(at.astype(np.float64), values))

    def add(self, other: GroupCells) -> None:
        """Adds the parts of another group."""
        self.runs += other.runs
        own = other._lanes
        self._lanes.append(**{name: own[name] for name in ("ends", "gaps", "dead", "late")})
        self._odd = self._odd + other._odd
        self._add(other._x, other._values)

    def _add(self, x: np.ndarray, values: CellValues) -> None:
        if not len(self._x):
            self._x, self._values = x, values
        elif np.array_equal(x, self._x):
            self._values = _of_two(self._values, values)
        else:
            both = CellValues(*map(np.concatenate, zip(self._values, values, strict=True)))
            self._x, self._values = _by_place(np.concatenate([self._x, x]), both)

    def curve(self, spread: Spread, statistic: str, end: float) -> GroupCurve:
        """Computes the same curve as `curve_of` does from the rows.

        Args:
          spread: `std`, `range` or None.
          statistic: the statistic of the metric.
          end: the largest place of all groups.
        """
        x, values, lanes = self._x, self._values, self._lanes
        ends, dead = lanes["ends"], lanes["dead"]
        group_end = float(ends.max(initial=-np.inf))
        ended = ends + lanes["gaps"] < group_end
        gone = x > ends[ended].min(initial=np.inf)
        left = np.searchsorted(np.sort(ends[ended & ~dead]), x, "left")
        num_dead = np.cumsum(values.died, dtype=np.int64)
        shown = values.finite > 0
        middle, lower, upper = (own[shown] for own in _band(values, spread, statistic))
        unfinished = lanes["late"] & (ends < max(end, group_end))
        return GroupCurve(
            x[shown],
            middle,
            lower,
            upper,
            ((num_dead > 0) | gone)[shown],
            (len(ends) - num_dead - left)[shown],
            dead,
            (),
            int(unfinished.sum()),
            int(self._odd[0]),
            int(self._odd[1]),
        )


def _by_place(at: np.ndarray, values: CellValues) -> tuple[np.ndarray, CellValues]:
    """Sorts cells by their places, and combines those of the same place."""
    apart = np.diff(at) > 0
    if apart.all():
        return at, values
    order = np.argsort(at, kind="stable")
    along = at[order]
    begins = np.flatnonzero(np.append(np.ones(len(along[:1]), np.bool_), np.diff(along) != 0))
    return along[begins], _merged(CellValues(*(own[order] for own in values)), begins)


def _merged(values: CellValues, begins: np.ndarray) -> CellValues:
    """Combines cells of the same place; those of each begin at `begins`."""
    counts = np.diff(begins, append=len(values.mean))
    least = np.minimum.reduceat(values.least, begins)
    greatest = np.maximum.reduceat(values.greatest, begins)
    finite = np.add.reduceat(values.finite.astype(np.int64), begins)
    with np.errstate(all="ignore"):  # 0 / 0 where there is no value
        known = np.where(values.finite > 0, values.mean, 0.0)
        share = values.finite / np.repeat(finite, counts)
        mean = np.add.reduceat(np.where(values.finite > 0, known * share, 0.0), begins)
        mean = np.where(least == greatest, least, np.clip(mean, least, greatest))
        apart = np.where(values.finite > 0, values.mean - np.repeat(mean, counts), 0.0)
        squares = np.add.reduceat(values.squares + values.finite * np.square(apart), begins)
    died = np.add.reduceat(values.died.astype(np.int64), begins)
    return CellValues(finite, mean, squares, least, greatest, died)


def _of_two(one: CellValues, other: CellValues) -> CellValues:
    """Combines the cells of two parts that have the same places."""
    least = np.minimum(one.least, other.least)
    greatest = np.maximum(one.greatest, other.greatest)
    finite = one.finite.astype(np.int64) + other.finite
    with np.errstate(all="ignore"):  # 0 / 0 where there is no value
        means = [np.where(own.finite > 0, own.mean, 0.0) for own in (one, other)]
        mean = means[0] * (one.finite / finite) + means[1] * (other.finite / finite)
        mean = np.where(least == greatest, least, np.clip(mean, least, greatest))
        squares = one.squares + other.squares
        for own, known in zip((one, other), means, strict=True):
            squares = squares + own.finite * np.square(np.where(own.finite > 0, known - mean, 0.0))
    died = one.died.astype(np.int64) + other.died
    return CellValues(finite, mean, squares, least, greatest, died)


def _band(
    values: CellValues, spread: Spread, statistic: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The line and the ends of the band."""
    nothing = np.full(len(values.mean), np.nan)
    is_extreme = statistic in EXTREMES
    middle = values.mean
    if is_extreme:
        middle = values.least if statistic == "min" else values.greatest
    if spread == "range":
        return middle, values.least, values.greatest
    if spread == "std" and not is_extreme:
        with np.errstate(all="ignore"):
            deviation = np.sqrt(values.squares / values.finite)
        return middle, middle - deviation, middle + deviation
    return middle, nothing, nothing
