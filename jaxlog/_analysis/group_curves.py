"""Computes the curve of a group of lanes: its centre and spread at each step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from jaxlog._analysis.groups import NONFINITE, VALUE
from jaxlog._analysis.intervals import bootstrap_interval
from jaxlog._analysis.lane_values import LaneValues, rows_that_count
from jaxlog._format.across_lanes import (
    EXTREMES,
    AcrossLanes,
    across_lanes_of_points,
    interquartile_mean,
)
from jaxlog._format.columnar import RUN

Spread = Literal["std", "iqr", "range", "ci", "lanes"] | None
SPREADS = {
    "std": "mean ± std",
    "iqr": "median, quartiles",
    "range": "mean, minimum and maximum",
    "ci": "interquartile mean, 95 % interval",
    "lanes": "mean, each lane",
    None: "mean",
}
"""The kinds of spread, each with its text in a caption."""
MOST_LINES = 200
"""The most lanes of a group that have a line each; of more lanes, quantiles are shown."""
QUARTILES = (0.25, 0.5, 0.75)
BANDS = (0.9, 0.5)
"""The parts of the lanes that are inside the bands of such a group, around the median."""


@dataclass(frozen=True)
class GroupCurve:
    """The lanes of a group along the horizontal axis.

    Attributes:
      x: shape (x,), ascending: the points at which at least one lane has a finite value.
      middle: shape (x,): over the lanes alive at each point, the mean, the median, the
        interquartile mean, or the extreme of a metric that is a minimum or maximum.
      lower: shape (x,): the lower end of the band; NaN where there is no band.
      upper: shape (x,): the upper end of the band.
      fewer: bool of shape (x,): True where a lane of the group has diverged or ended.
      alive_at: int64 of shape (x,): the number of lanes that have neither diverged nor ended there.
      dead: bool of shape (lane,): True if the last value of the lane is not finite.
      lines: for the spread `lanes`, the points and the finite values of each lane; of more than
        MOST_LINES lanes, only of those alive that end lowest and highest; else empty.
      unfinished: the number of lanes that end before the others because their run has not
        finished.
      nonfinite: the number of values that are not finite.
      partial: the number of finite values that were computed without values that are not finite.
      bands: for the spread `lanes` of more than MOST_LINES lanes, the lower and the upper end of
        each of BANDS, of shape (x,); else empty.
    """

    x: np.ndarray
    middle: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    fewer: np.ndarray
    alive_at: np.ndarray
    dead: np.ndarray
    lines: Sequence[tuple[np.ndarray, np.ndarray]]
    unfinished: int
    nonfinite: int
    partial: int
    bands: Sequence[tuple[np.ndarray, np.ndarray]] = ()

    @property
    def lanes(self) -> int:
        """The number of lanes with a value."""
        return len(self.dead)

    @property
    def alive(self) -> int:
        """The number of lanes whose last value is finite."""
        return int((~self.dead).sum())


def curve_of(
    frame: pl.DataFrame,
    x: str,
    spread: Spread,
    statistic: str = "",
    late: Collection[str] = (),
    end: float = -np.inf,
    task: str | None = None,
) -> GroupCurve:
    """Computes the curve of a group.

    Args:
      frame: the rows of the group, as in `groups.Values`.
      x: the column of the horizontal axis.
      spread: the kind of band; a key of `SPREADS`.
      statistic: the statistic of the metric, as in `groups.Values`.
      late: the names of the runs that have not finished.
      end: the largest x of all groups.
      task: the column with the task of each lane, within which lanes are drawn for the interval of
        the spread `ci`; None for a single task.
    """
    rows = frame if not frame[x].null_count() else frame.filter(pl.col(x).is_not_null())
    lane, is_late = _lanes(rows, late)
    along, value = rows[x].to_numpy(), rows[VALUE].to_numpy()
    has = rows[VALUE].is_not_null().to_numpy()
    with_values = np.zeros(len(is_late), bool)
    with_values[lane[has]] = True
    ends, gaps = (part[with_values] for part in _ends_and_gaps(lane, along, len(is_late)))
    numbers = np.cumsum(with_values) - 1
    tasks = np.zeros(len(is_late), np.int64)
    if task is not None:
        tasks[lane] = rows[task].rank("dense").fill_null(0).to_numpy()
    is_partial = np.isfinite(value[has]) & (rows[NONFINITE].to_numpy()[has] > 0)
    along, values = _values_along(numbers[lane[has]], along[has], value[has])
    finite = np.isfinite(values.value)
    group_end = ends.max(initial=-np.inf)
    # A lane that logs less often than others may end one of its intervals earlier than they do.
    ended = ends + gaps < group_end
    gone = along > ends[ended].min(initial=np.inf)
    dead = ~np.isfinite(values.last()[1])
    left = np.searchsorted(np.sort(ends[ended & ~dead]), along, "left")  # lanes that ended before
    num_dead = values.num_dead(len(along))
    unfinished = is_late[with_values] & (ends < max(end, group_end))
    (shown,) = np.nonzero(np.bincount(values.point, finite, len(along)))
    own = values
    if len(shown) < len(along):
        own = values[np.isin(values.point, shown)].renumbered()[1]
    lines, quantiles = [], []
    if spread == "lanes" and len(ends) > MOST_LINES:
        quantiles = _bands(own[np.isfinite(own.value)], len(shown))
        lanes, last = values.last()
        is_alive = np.isfinite(last)
        lanes, last = lanes[is_alive], last[is_alive]
        for which in (last.argmin(), last.argmax()) if len(last) else ():
            mine = values[finite & (values.lane == lanes[which])]
            lines.append((along[mine.point], mine.value))
    elif spread == "lanes":
        by_lane = values[finite].by_lane()
        cuts = np.searchsorted(by_lane.lane, np.arange(1, len(ends)))
        parts = (np.split(part, cuts) for part in (along[by_lane.point], by_lane.value))
        lines = list(zip(*parts, strict=True))
    return GroupCurve(
        along[shown],
        *_middle_and_band(own, len(shown), len(ends), spread, statistic, tasks[with_values]),
        ((num_dead > 0) | gone)[shown],
        (len(ends) - num_dead - left)[shown],
        dead,
        lines,
        int(unfinished.sum()),
        int((~finite).sum()),
        int(is_partial.sum()),
        quantiles,
    )


def _values_along(
    lane: np.ndarray, along: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, LaneValues]:
    """Returns the distinct places of rows along an axis, and the values with their indices."""
    places, point = np.unique(along, return_inverse=True)
    return places, LaneValues(lane, point, value)[rows_that_count(lane, point)]


def _bands(values: LaneValues, points: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Computes the quantiles at each point that `BANDS` are between, of finite values."""
    levels = [level for part in BANDS for level in ((1 - part) / 2, (1 + part) / 2)]
    found = _quantiles(values, points, levels)
    return list(zip(found[::2], found[1::2], strict=True))


def _quantiles(values: LaneValues, points: int, levels: Sequence[float]) -> list[np.ndarray]:
    """Computes quantiles at each point, of finite values of which each point has one."""
    ordered = values.value[np.lexsort((values.value, values.point))]
    count = np.bincount(values.point, minlength=points)
    first = np.cumsum(count) - count

    def quantile(level: float) -> np.ndarray:  # as `numpy.quantile`
        place = level * (count - 1)
        below = np.floor(place).astype(np.int64)
        low, high = (ordered[first + np.minimum(i, count - 1)] for i in (below, below + 1))
        return low + (high - low) * (place - below)

    return [quantile(level) for level in levels]


def _lanes(rows: pl.DataFrame, late: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the lanes of all runs, by run and lane.

    Returns:
      The number of each row's lane, and for each lane whether its run has not finished.
    """
    lanes, lane = np.unique(rows["lane"].to_numpy(), return_inverse=True)
    if rows[RUN].n_unique() < 2:
        return lane, np.full(len(lanes), rows[RUN].first() in late)
    run = rows[RUN].rank("dense").to_numpy().astype(np.int64) - 1
    lanes, lane = np.unique(run * len(lanes) + lane, return_inverse=True)
    is_late = np.zeros(len(lanes), bool)
    is_late[lane] = rows[RUN].is_in(list(late)).to_numpy()
    return lane, is_late


def _ends_and_gaps(
    lane: np.ndarray, along: np.ndarray, lanes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the last point of each lane, and the longest way between two of its points."""
    order = np.lexsort((along, lane))
    lane, along = lane[order], along[order].astype(np.float64)
    ends, gaps = np.full(lanes, -np.inf), np.zeros(lanes)
    ends[lane] = along  # the last assignment counts
    same = lane[1:] == lane[:-1]
    np.maximum.at(gaps, lane[1:][same], np.diff(along)[same])
    return ends, gaps


def _middle_and_band(
    values: LaneValues,
    points: int,
    lanes: int,
    spread: Spread,
    statistic: str,
    tasks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nothing = np.full(points, np.nan)
    if not points:
        return nothing, nothing, nothing
    if spread == "ci":
        return _interquartile(values[np.isfinite(values.value)], points, tasks)
    if spread == "iqr":
        lower, middle, upper = _quantiles(values[np.isfinite(values.value)], points, QUARTILES)
        return middle, lower, upper

    def across(statistic: str) -> AcrossLanes:
        return across_lanes_of_points(values.value, values.point, points, lanes, statistic)

    found = across(statistic)
    if spread == "std":
        return found.middle, found.middle - found.spread, found.middle + found.spread
    if spread == "range":
        least, greatest = (across(of).middle for of in EXTREMES)
        return found.middle, least, greatest
    return found.middle, nothing, nothing


def _interquartile(
    values: LaneValues, points: int, tasks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the interquartile mean and its interval at each x, over the lanes with a value.

    Args:
      values: the finite values.
      points: the number of points.
      tasks: int64 of shape (lane,), the task of each lane.
    """
    ends = np.full((3, points), np.nan)
    by_point = np.split(np.arange(len(values)), np.searchsorted(values.point, np.arange(1, points)))
    alike: dict[bytes, list[np.ndarray]] = {}  # the points that have values of the same lanes
    for rows in by_point:
        alike.setdefault(values.lane[rows].tobytes(), []).append(rows)
    for several in alike.values():
        here = values.point[[rows[0] for rows in several]]
        own = values.value[np.stack(several)]
        ends[0, here] = interquartile_mean(own)
        of = tasks[values.lane[several[0]]]
        ends[1:, here] = bootstrap_interval([own.T[of == one] for one in np.unique(of)])[:2]
    return ends[0], ends[1], ends[2]
