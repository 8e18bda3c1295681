"""How the groups of lanes compare: what each had last, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxlog._analysis.intervals import CONFIDENCE, bootstrap_interval
from jaxlog._analysis.scores import less_is_better
from jaxlog._format.across_lanes import interquartile_mean
from jaxlog._report.call_charts import CallCharts, Chart
from jaxlog._report.charts import COLOURS, number, value
from jaxlog._report.html import Html, brief, joined, tag

MOST_ROWS = 400
_WIDTH, _HEIGHT = 140, 14

Interval = tuple[float, float, float]
"""The interquartile mean, and the ends of its interval, NaN where nothing tells them."""


@dataclass(frozen=True)
class _Row:
    """What one group has of one metric.

    Attributes:
      last: the last value of each lane that has one; not finite, if the lane has diverged.
      diverged: how many of these have diverged.
      unfinished: how many lanes are of a run that ended before others.
      scores: what is compared: of each lane that is alive its last value, of one that has
        diverged the worst that any group has; empty where the group is unfinished.
    """

    last: np.ndarray
    diverged: int
    unfinished: int
    scores: np.ndarray


def comparison(call: CallCharts) -> Html:
    """A table with rows for each metric, one for each group."""
    charts = [chart for chart in call.charts if not chart.beside]
    rows = [_compared(call, chart) for chart in charts]
    found = _intervals(rows)
    bodies: list[Html] = []
    number = 0
    left_out = 0
    odd = any(row.diverged for of_chart in rows for row in of_chart.values())
    early = any(row.unfinished for of_chart in rows for row in of_chart.values())
    for place, chart in enumerate(charts):
        if number + len(rows[place]) > MOST_ROWS:
            left_out += 1
            continue
        number += len(rows[place])
        of_chart = {group: found[place, group] for group in rows[place]}
        bodies.append(tag("tbody", *_rows(call, chart, rows[place], of_chart, odd, early)))
    percent = f"{CONFIDENCE:.0%}"
    note = (
        "Of each lane's last value: mean ± standard deviation over the lanes that are alive, the "
        f"interquartile mean (IQM), and its {percent} bootstrap interval (BCa; the percentile "
        "interval where BCa has none, because few lanes differ). One lane has no interval."
    )
    if odd:
        note += (
            " A lane whose last value is not finite has diverged: in the IQM it counts as the "
            "worst value that a lane of any group has: the least, or of losses and errors the "
            "greatest."
        )
    if early:
        note += " Groups of runs that ended before the others have no IQM: they are at other steps."
    if left_out:
        note += f" {left_out} metrics more are left out: the table would be too long."
    several = len(call.groups) > 1
    counts = ("lanes", *(["diverged"] if odd else []), *(["unfinished"] if early else []))
    numbers = (*counts, "last", "IQM", f"{percent} of IQM")
    heads = [
        tag("th", "metric", scope="col"),
        tag("th", "group", scope="col") if several else "",
        *(tag("th", text, scope="col", class_="number") for text in numbers),
        tag("th", "", scope="col") if several else "",
    ]
    head = tag("tr", *heads)
    table = tag("table", tag("thead", head), *bodies, class_="comparison")
    return joined(
        tag("p", note, class_="note"),
        tag("div", table, class_="wide", tabindex="0", role="region", aria_label="comparison"),
    )


def _compared(call: CallCharts, chart: Chart) -> Mapping[int, _Row]:
    """The row of each group that has values of a metric."""
    ends = {}
    for group in chart.last:
        places = call.places[call.groups[group].run]
        assert places is not None
        ends[group] = int(places.steps[-1])
    whole = [ends[group] for group in ends if not call.groups[group].unfinished]
    # A run that failed after its training has all the steps that others have.
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
        group: _Row(
            last,
            int((~np.isfinite(last)).sum()),
            len(last) if group in early else 0,
            np.empty(0) if group in early else np.where(np.isfinite(last), last, bad),
        )
        for group, last in chart.last.items()
        if len(last)
    }


def _intervals(rows: Sequence[Mapping[int, _Row]]) -> Mapping[tuple[int, int], Interval]:
    """By metric and group; those with the same number of lanes at once."""
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
    call: CallCharts,
    chart: Chart,
    rows: Mapping[int, _Row],
    intervals: Mapping[int, Interval],
    odd: bool,
    early: bool,
) -> Iterator[Html]:
    marks = [number for interval in intervals.values() for number in interval]
    finite = [mark for mark in marks if np.isfinite(mark)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    for i, (group, row) in enumerate(rows.items()):
        iqm, lower, upper = intervals[group]
        name = tag("bdi", brief(chart.key))
        first = tag("th", name, scope="rowgroup", rowspan=str(len(rows)))
        swatch = tag("span", class_=f"swatch c{group % COLOURS}")
        early_words = call.groups[group].unfinished if row.unfinished else ""
        yield tag(
            "tr",
            first if not i else "",
            tag("td", swatch, tag("bdi", call.groups[group].name)) if len(call.groups) > 1 else "",
            tag("td", str(len(row.last)), class_="number"),
            _count(row.diverged) if odd else "",
            _count(row.unfinished, early_words) if early else "",
            tag("td", value(row.last), class_="number"),
            tag("td", number(iqm) if np.isfinite(iqm) else "", class_="number"),
            tag("td", _between(lower, upper), class_="number"),
            _mark(group, (iqm, lower, upper), low, high) if len(call.groups) > 1 else "",
        )


def _count(lanes: int, words: str = "") -> Html:
    """How many lanes went wrong; nothing where none did."""
    return tag("td", str(lanes) if lanes else "", class_="number bad", title=words or None)


def _between(lower: float, upper: float) -> str:
    if not np.isfinite(lower):
        return ""
    return f"{number(lower)} to {number(upper)}" if lower < upper else "all are equal"


def _mark(group: int, interval: Interval, low: float, high: float) -> Html:
    """Where the interval lies among those of the other groups."""
    iqm, lower, upper = interval
    if not (high > low and np.isfinite(high / 2 - low / 2) and np.isfinite(iqm)):
        return tag("td", "")

    def x(value: float) -> float:
        return 6 + (value / 2 - low / 2) / (high / 2 - low / 2) * (_WIDTH - 12)

    middle = _HEIGHT / 2
    bar = Html("")
    if np.isfinite(lower):
        ends = {"x1": x(lower), "x2": x(upper), "y1": middle, "y2": middle}
        bar = tag("line", class_=f"line c{group % COLOURS}", **ends)
    dot = tag("circle", class_=f"dot c{group % COLOURS}", cx=x(iqm), cy=middle, r=4)
    size = {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "width": _WIDTH, "height": _HEIGHT}
    return tag("td", tag("svg", bar, dot, aria_hidden="true", **size), class_="forest")
