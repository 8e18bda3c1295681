"""The curve of a group, from what was combined when its runs were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._analysis.group_curves import GroupCurve, Spread
from jaxlog._format.across_lanes import EXTREMES
from jaxlog._page.call_summary import CallSummary, CellValues, LaneEnds


class SummaryPart(NamedTuple):
    """A part of a group: some series of a run.

    Attributes:
      summary: of the run.
      series: the numbers of the series.
      is_late: True if the run has not finished.
    """

    summary: CallSummary
    series: Sequence[int]
    is_late: bool


def curve_of_parts(
    parts: Sequence[SummaryPart], key: str, axis: str, spread: Spread, statistic: str, end: float
) -> GroupCurve:
    """Computes the same curve as `curve_of` does from the rows.

    Args:
      parts: the runs of the group.
      key: the metric.
      axis: the horizontal axis, one of `call_summary.AXES`.
      spread: `std`, `range` or None.
      statistic: the statistic of the metric.
      end: the largest place of all groups.
    """
    lanes, late, at, values, odd = _together(parts, key, axis)
    order = np.argsort(at, kind="stable")
    along = at[order]
    begins = np.flatnonzero(np.append(np.ones(len(along[:1]), np.bool_), np.diff(along) != 0))
    x = along[begins]
    merged = _merged(CellValues(*(own[order] for own in values)), begins)
    group_end = float(lanes.ends.max(initial=-np.inf))
    ended = lanes.ends + lanes.gaps < group_end
    gone = x > lanes.ends[ended].min(initial=np.inf)
    left = np.searchsorted(np.sort(lanes.ends[ended & ~lanes.dead]), x, "left")
    num_dead = np.cumsum(merged.died)
    shown = merged.finite > 0
    middle, lower, upper = (own[shown] for own in _band(merged, spread, statistic))
    unfinished = late & (lanes.ends < max(end, group_end))
    return GroupCurve(
        x[shown],
        middle,
        lower,
        upper,
        ((num_dead > 0) | gone)[shown],
        (len(lanes.ends) - num_dead - left)[shown],
        lanes.dead,
        (),
        int(unfinished.sum()),
        int(odd[0]),
        int(odd[1]),
    )


def _together(
    parts: Sequence[SummaryPart], key: str, axis: str
) -> tuple[LaneEnds, np.ndarray, np.ndarray, CellValues, np.ndarray]:
    """The lanes and the cells of all parts; and their values that are not finite, or partly."""
    lanes, late, places, cells = [], [], [], []
    odd = np.zeros(2, np.int64)
    for part in parts:
        chosen = np.zeros(len(part.summary.series), np.bool_)
        chosen[list(part.series)] = True
        own = part.summary.lanes_of(key, axis)
        mine = chosen[own.series]
        lanes.append(LaneEnds(*(one[mine] for one in own)))
        late.append(np.full(int(mine.sum()), part.is_late))
        series, at, values = part.summary.cells_of(key, axis)
        mine = chosen[series]
        places.append(at[mine].astype(np.float64))
        cells.append(CellValues(*(one[mine] for one in values)))
        odd += part.summary.odd_of(key)[:, chosen].sum(axis=1)
    return (
        LaneEnds(*(np.concatenate(own) for own in zip(*lanes, strict=True))),
        np.concatenate(late),
        np.concatenate(places),
        CellValues(*(np.concatenate(own) for own in zip(*cells, strict=True))),
        odd,
    )


def _merged(values: CellValues, begins: np.ndarray) -> CellValues:
    """Combines cells of the same place; those of each begin at `begins`."""
    if not len(begins):
        return values
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
