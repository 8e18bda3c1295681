"""A metric over the steps: the middle of a group's lanes, and how far they spread."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from jaxlog._analysis.groups import NONFINITE, VALUE
from jaxlog._analysis.intervals import bootstrap_interval
from jaxlog._format.across_lanes import EXTREMES, across_lanes, interquartile_mean
from jaxlog._reading.columns import RUN

Spread = Literal["std", "range", "ci", "lanes"] | None
SPREADS = {
    "std": "mean ± std",
    "range": "mean, least and greatest",
    "ci": "interquartile mean, 95 % interval",
    "lanes": "mean, each lane",
    None: "mean",
}
"""What can be shown of the lanes, and how a caption calls it."""


@dataclass(frozen=True)
class GroupCurve:
    """A group's lanes along the horizontal axis.

    Attributes:
      x: ascending; where at least one lane has a finite value.
      lanes: their values, shaped (lane, x), NaN where one has none or is not alive.
      middle: over those that are alive at each x: the mean, or the interquartile mean, or, of
        minima and maxima, the extreme; shaped (x,).
      lower: where the band begins; NaN where it has no width.
      upper: where it ends.
      fewer: bool (x,), whether a lane of the group has diverged or ended before.
      dead: by lane, whether its last value is not finite.
      unfinished: how many lanes are of runs that have not finished, and end before the others.
      nonfinite: how many values are not finite.
      partial: of how many finite values parts were not finite and are left out.
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
        """How many lanes are alive at their end."""
        return int((~self.dead).sum())


def curve_of(
    frame: pl.DataFrame,
    x: str,
    spread: Spread,
    statistic: str = "",
    late: Collection[str] = (),
    end: float = -np.inf,
) -> GroupCurve:
    """The curve of a group.

    Args:
      frame: its rows, as in `groups.Values`.
      x: the column of the horizontal axis.
      spread: what the band tells; a key of `SPREADS`.
      statistic: what the metric is, as `groups.Values.statistic` says.
      late: the runs that have not finished.
      end: the greatest x of all groups.
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
    # Of each lane and place, where it logged last; -1 before the first.
    last = np.maximum.accumulate(np.where(logged, np.arange(len(along)), -1), axis=1)
    dead = (last >= 0) & ~np.take_along_axis(finite, np.maximum(last, 0), axis=1)
    at_the_end = ends["end"].cast(pl.Float64).to_numpy()[:, None]
    group_end = at_the_end.max(initial=-np.inf)
    # A lane that logs less often than others has not ended with them.
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
    """The interquartile mean and its interval at each x, of the lanes that have a value there."""
    ends = np.full((3, lanes.shape[1]), np.nan)
    patterns, which = np.unique(np.isfinite(lanes), axis=1, return_inverse=True)
    which = which.reshape(-1)  # NumPy 2.0 gives it the axes of the lanes
    for place, has in enumerate(patterns.T):
        here = which == place
        values = lanes[np.ix_(has, here)]
        ends[0, here] = interquartile_mean(values.T)
        ends[1:, here] = bootstrap_interval([values])[:2]
    return ends[0], ends[1], ends[2]
