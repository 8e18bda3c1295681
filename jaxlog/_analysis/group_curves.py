"""Computes the curve of a group of lanes: its centre and spread at each step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from jaxlog._analysis.groups import NONFINITE, VALUE
from jaxlog._analysis.intervals import bootstrap_interval
from jaxlog._format.across_lanes import EXTREMES, across_lanes, interquartile_mean
from jaxlog._format.columnar import RUN

Spread = Literal["std", "range", "ci", "lanes"] | None
SPREADS = {
    "std": "mean ± std",
    "range": "mean, minimum and maximum",
    "ci": "interquartile mean, 95 % interval",
    "lanes": "mean, each lane",
    None: "mean",
}
"""The kinds of spread, each with its text in a caption."""


@dataclass(frozen=True)
class GroupCurve:
    """The lanes of a group along the horizontal axis.

    Attributes:
      x: shape (x,), ascending: the points at which at least one lane has a finite value.
      lanes: shape (lane, x): the values; NaN where a lane has none, or one that is not finite.
      middle: shape (x,): over the lanes alive at each point, the mean, the interquartile mean, or
        the extreme of a metric that is a minimum or maximum.
      lower: shape (x,): the lower end of the band; NaN where there is no band.
      upper: shape (x,): the upper end of the band.
      fewer: bool of shape (x,): True where a lane of the group has diverged or ended.
      dead: bool of shape (lane,): True if the last value of the lane is not finite.
      unfinished: the number of lanes that end before the others because their run has not
        finished.
      nonfinite: the number of values that are not finite.
      partial: the number of finite values that were computed without values that are not finite.
    """

    x: np.ndarray
    lanes: np.ndarray
    middle: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    fewer: np.ndarray
    dead: np.ndarray
    unfinished: int
    nonfinite: int
    partial: int

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
) -> GroupCurve:
    """Computes the curve of a group.

    Args:
      frame: the rows of the group, as in `groups.Values`.
      x: the column of the horizontal axis.
      spread: the kind of band; a key of `SPREADS`.
      statistic: the statistic of the metric, as in `groups.Values`.
      late: the names of the runs that have not finished.
      end: the largest x of all groups.
    """
    rows = frame.filter(pl.col(x).is_not_null())
    ends = (
        rows.group_by(RUN, "lane", maintain_order=True)
        .agg(
            pl.col(x).max().alias("end"),
            pl.col(x).unique().sort().diff().max().fill_null(0).alias("gap"),
            pl.col(VALUE).is_not_null().any().alias("any"),
        )
        .filter("any")
        .sort(RUN, "lane")
        .with_row_index("row")
    )
    rows = rows.filter(pl.col(VALUE).is_not_null()).join(
        ends.select(RUN, "lane", "row"), (RUN, "lane")
    )
    along, column = np.unique(rows[x].to_numpy(), return_inverse=True)
    values = np.full((len(ends), len(along)), np.nan)
    logged = np.zeros(values.shape, bool)
    values[rows["row"].to_numpy(), column] = rows[VALUE].to_numpy()
    logged[rows["row"].to_numpy(), column] = True
    finite = np.isfinite(values)
    partial = rows.filter(pl.col(VALUE).is_finite() & (pl.col(NONFINITE) > 0))
    # For each lane and point, the index of its last value so far; -1 before the first.
    last = np.maximum.accumulate(np.where(logged, np.arange(len(along)), -1), axis=1)
    dead = (last >= 0) & ~np.take_along_axis(finite, np.maximum(last, 0), axis=1)
    at_the_end = ends["end"].cast(pl.Float64).to_numpy()[:, None]
    group_end = at_the_end.max(initial=-np.inf)
    # A lane that logs less often than others may end one of its intervals earlier than they do.
    is_early = at_the_end + ends["gap"].to_numpy()[:, None] < group_end
    gone = is_early & (along > at_the_end)
    unfinished = ends[RUN].is_in(list(late)).to_numpy() & (at_the_end[:, 0] < max(end, group_end))
    shown = finite.any(axis=0)
    own = values[:, shown], logged[:, shown]
    middle, lower, upper = _middle_and_band(*own, spread, statistic)
    return GroupCurve(
        along[shown],
        np.where(finite, values, np.nan)[:, shown],
        middle,
        lower,
        upper,
        (dead | gone).any(axis=0)[shown],
        dead[:, -1] if len(along) else np.zeros(len(ends), bool),
        int(unfinished.sum()),
        int((logged & ~finite).sum()),
        len(partial),
    )


def _middle_and_band(
    values: np.ndarray, logged: np.ndarray, spread: Spread, statistic: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nothing = np.full(values.shape[1], np.nan)
    if not values.size:
        return nothing, nothing, nothing
    if spread == "ci":
        return _interquartile(np.where(logged & np.isfinite(values), values, np.nan))
    found = across_lanes(values, logged, statistic)
    if spread == "std":
        return found.middle, found.middle - found.spread, found.middle + found.spread
    if spread == "range":
        least, greatest = (across_lanes(values, logged, of).middle for of in EXTREMES)
        return found.middle, least, greatest
    return found.middle, nothing, nothing


def _interquartile(lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the interquartile mean and its interval at each x, over the lanes with a value."""
    ends = np.full((3, lanes.shape[1]), np.nan)
    patterns, which = np.unique(np.isfinite(lanes), axis=1, return_inverse=True)
    which = which.reshape(-1)  # NumPy 2.0 gives it the axes of the lanes
    for index, has in enumerate(patterns.T):
        here = which == index
        values = lanes[np.ix_(has, here)]
        ends[0, here] = interquartile_mean(values.T)
        ends[1:, here] = bootstrap_interval([values])[:2]
    return ends[0], ends[1], ends[2]
