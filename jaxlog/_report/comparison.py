"""A table that compares groups of lanes: their last values, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxlog._analysis.html_pages import brief
from jaxlog._analysis.intervals import CONFIDENCE, bootstrap_interval
from jaxlog._analysis.scores import less_is_better
from jaxlog._format.across_lanes import interquartile_mean
from jaxlog._report.call_charts import CallCharts, Chart
from jaxlog._report.charts import COLOURS, number, value

MOST_ROWS = 400
_WIDTH, _HEIGHT, _EDGE = 140, 14, 6
_ROUNDING = 1e-9
"""Marks that differ relatively by less than this are at the same place."""

Interval = tuple[float, float, float]
"""The interquartile mean and the ends of its interval, NaN where there is none."""


class Mark(NamedTuple):
    """An interval beside those of the other groups, in pixels.

    Attributes:
      middle: the interquartile mean.
      ends: the ends of its interval; None for a single lane.
      width: of the drawing.
      height: of the drawing.
    """

    middle: float
    ends: tuple[float, float] | None
    width: int = _WIDTH
    height: int = _HEIGHT


class TableRow(NamedTuple):
    """A group's last values of one metric.

    Attributes:
      group: its name.
      colour: its class.
      lanes: how many lanes have a value.
      diverged: how many of these have diverged.
      unfinished: whether the run ended before others.
      how_far: how far it came, if so.
      last: the mean over the lanes that are alive, and their standard deviation.
      iqm: the interquartile mean; empty if there is none.
      interval: its interval; empty if there is none.
      mark: the same as a drawing; None where it shows nothing.
    """

    group: str
    colour: str
    lanes: int
    diverged: int
    unfinished: bool
    how_far: str
    last: str
    iqm: str
    interval: str
    mark: Mark | None


class ComparisonTable(NamedTuple):
    """The table of a call.

    Attributes:
      note: how to read it.
      titles: those of the columns with numbers.
      has_groups: whether there are several groups.
      has_diverged: whether a lane has diverged.
      has_unfinished: whether a run ended before others.
      metrics: each metric's key and rows.
    """

    note: str
    titles: Sequence[str]
    has_groups: bool
    has_diverged: bool
    has_unfinished: bool
    metrics: Sequence[tuple[str, Sequence[TableRow]]]


@dataclass(frozen=True)
class _Scores:
    """A group's values of one metric.

    Attributes:
      last: the last value of each lane that has one; not finite if the lane has diverged.
      diverged: how many of these have diverged.
      unfinished: whether the group's run ended before others.
      scores: the values that are compared: a lane's last value, or the worst last value of any
        group if the lane has diverged; empty if the group is unfinished.
    """

    last: np.ndarray
    diverged: int
    unfinished: bool
    scores: np.ndarray


def comparison(call: CallCharts) -> ComparisonTable:
    """The table of a call: for each metric a row per group."""
    charts = [chart for chart in call.charts if not chart.beside]
    scores = [_compared(call, chart) for chart in charts]
    intervals = _intervals(scores)
    metrics: list[tuple[str, Sequence[TableRow]]] = []
    num_rows = 0
    for place, (chart, of_group) in enumerate(zip(charts, scores, strict=True)):
        if num_rows + len(of_group) <= MOST_ROWS:
            num_rows += len(of_group)
            own = {group: intervals[place, group] for group in of_group}
            metrics.append((brief(chart.key), _rows(call, of_group, own)))
    every = [of_group for of_chart in scores for of_group in of_chart.values()]
    has_diverged = any(of_group.diverged for of_group in every)
    has_unfinished = any(of_group.unfinished for of_group in every)
    percent = f"{CONFIDENCE:.0%}"
    note = (
        "The last value of each lane: mean ± standard deviation over the lanes that are alive, the "
        f"interquartile mean (IQM), and its {percent} bootstrap interval (BCa; the percentile "
        "interval where BCa has none because few lanes differ). A single lane has no interval."
    )
    if has_diverged:
        note += (
            " A lane has diverged if its last value is not finite. In the IQM it counts as the "
            "worst last value of any group: the least one, or the greatest one for losses and "
            "errors."
        )
    if has_unfinished:
        note += " Runs that ended before the others have no IQM, since their last step differs."
    if len(metrics) < len(charts):
        note += f" {len(charts) - len(metrics)} more metrics are left out, to keep the table short."
    counts = ("lanes", *["diverged"] * has_diverged, *["unfinished"] * has_unfinished)
    titles = (*counts, "last", "IQM", f"{percent} of IQM")
    return ComparisonTable(
        note, titles, len(call.groups) > 1, has_diverged, has_unfinished, metrics
    )


def _compared(call: CallCharts, chart: Chart) -> Mapping[int, _Scores]:
    """The values of each group that has some of a metric."""
    ends = {}
    for group in chart.last:
        places = call.places[call.groups[group].run]
        assert places is not None
        ends[group] = int(places.steps[-1])
    whole = [ends[group] for group in ends if not call.groups[group].unfinished]
    # A run that failed after its training has the same last step as the others.
    early = {
        group
        for group, end in ends.items()
        if call.groups[group].unfinished and whole and end < max(whole)
    }
    alive = [last[np.isfinite(last)] for group, last in chart.last.items() if group not in early]
    compared = np.concatenate([*alive, np.empty(0)])
    worst = compared.max if less_is_better(chart.key) else compared.min
    bad = float(worst()) if len(compared) else np.nan
    return {
        group: _Scores(
            last,
            int((~np.isfinite(last)).sum()),
            group in early,
            np.empty(0) if group in early else np.where(np.isfinite(last), last, bad),
        )
        for group, last in chart.last.items()
        if len(last)
    }


def _intervals(rows: Sequence[Mapping[int, _Scores]]) -> Mapping[tuple[int, int], Interval]:
    """The interval of each metric and group. Metrics with as many scores are computed at once."""
    found: dict[tuple[int, int], Interval] = {}
    alike: dict[tuple[int, int], list[tuple[int, np.ndarray]]] = {}
    for place, of_chart in enumerate(rows):
        for group, row in of_chart.items():
            scores = row.scores[np.isfinite(row.scores)]
            alike.setdefault((group, len(scores)), []).append((place, scores))
    for (group, count), members in alike.items():
        if count:
            scores = np.stack([scores for _, scores in members], axis=1)
            iqm = interquartile_mean(scores.T)
            low, high, _ = bootstrap_interval([scores])
            ends = zip(iqm.tolist(), low.tolist(), high.tolist(), strict=True)
        else:
            ends = iter([(np.nan, np.nan, np.nan)] * len(members))
        found |= {(place, group): end for (place, _), end in zip(members, ends, strict=True)}
    return found


def _rows(
    call: CallCharts, scores: Mapping[int, _Scores], intervals: Mapping[int, Interval]
) -> Sequence[TableRow]:
    marks = [mark for interval in intervals.values() for mark in interval if np.isfinite(mark)]
    low, high = (min(marks), max(marks)) if marks and len(call.groups) > 1 else (0.0, 0.0)
    found = []
    for group, own in scores.items():
        iqm, lower, upper = intervals[group]
        found.append(
            TableRow(
                group=call.groups[group].name,
                colour=f"c{group % COLOURS}",
                lanes=len(own.last),
                diverged=own.diverged,
                unfinished=own.unfinished,
                how_far=call.groups[group].unfinished if own.unfinished else "",
                last=value(own.last),
                iqm=number(iqm) if np.isfinite(iqm) else "",
                interval=_between(lower, upper),
                mark=_mark(intervals[group], low, high),
            )
        )
    return found


def _between(lower: float, upper: float) -> str:
    if not np.isfinite(lower):
        return ""
    return f"{number(lower)} to {number(upper)}" if lower < upper else "all are equal"


def _mark(interval: Interval, low: float, high: float) -> Mark | None:
    """Where the interval lies between the least and the greatest mark of all groups."""
    iqm, lower, upper = interval
    span = high / 2 - low / 2  # halved: the largest floats must not overflow
    apart = span > _ROUNDING * max(abs(low), abs(high))
    if not (apart and np.isfinite(span) and np.isfinite(iqm)):
        return None

    def x(value: float) -> float:
        return _EDGE + (value / 2 - low / 2) / span * (_WIDTH - 2 * _EDGE)

    return Mark(x(iqm), (x(lower), x(upper)) if np.isfinite(lower) else None)
