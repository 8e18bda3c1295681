"""A metric over the steps: the middle of a group's lanes, and how far they spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from jaxlog._format.across_lanes import interquartile_mean
from jaxlog.explore.columns import RUN
from jaxlog.explore.groups import VALUE
from jaxlog.explore.intervals import bootstrap_interval

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
class Curve:
    """A group's lanes along the horizontal axis.

    Attributes:
      x: ascending; where at least one lane has a finite value.
      lanes: their values, shaped (lane, x), NaN where one has none.
      middle: the mean of those that have one at each x, or the interquartile mean, shaped (x,).
      lower: where the band begins; NaN where it has no width.
      upper: where it ends.
    """

    x: np.ndarray
    lanes: np.ndarray
    middle: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def curve_of(frame: pl.DataFrame, x: str, spread: Spread) -> Curve:
    """The curve of a group.

    Args:
      frame: its rows, as in `groups.Values`.
      x: the column of the horizontal axis.
      spread: what the band tells; a key of `SPREADS`.
    """
    frame = frame.filter(pl.col(VALUE).is_finite() & pl.col(x).is_not_null())
    along, column = np.unique(frame[x].to_numpy(), return_inverse=True)
    row = frame.select(pl.struct(RUN, "lane").rank("dense").cast(pl.Int64) - 1)
    row = row.to_series().to_numpy()
    lanes = np.full((int(row.max(initial=-1)) + 1, len(along)), np.nan)
    lanes[row, column] = frame[VALUE].to_numpy()
    nothing = np.full(len(along), np.nan)
    if not lanes.size:
        return Curve(along, lanes, nothing, nothing, nothing)
    if spread == "ci":
        return Curve(along, lanes, *_interquartile(lanes))
    middle = np.nanmean(lanes, axis=0)
    if spread == "std":
        wide = np.nanstd(lanes, axis=0)
        return Curve(along, lanes, middle, middle - wide, middle + wide)
    if spread == "range":
        return Curve(along, lanes, middle, np.nanmin(lanes, axis=0), np.nanmax(lanes, axis=0))
    return Curve(along, lanes, middle, nothing, nothing)


def _interquartile(lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The interquartile mean and its interval at each x, of the lanes that have a value there."""
    ends = np.full((3, lanes.shape[1]), np.nan)
    patterns, which = np.unique(np.isfinite(lanes), axis=1, return_inverse=True)
    which = which.reshape(-1)  # NumPy 2.0 gives it the axes of the lanes
    for place, has in enumerate(patterns.T):
        here = which == place
        values = lanes[np.ix_(has, here)]
        ends[0, here] = interquartile_mean(values.T)
        ends[1:, here] = bootstrap_interval([values])
    return ends[0], ends[1], ends[2]
