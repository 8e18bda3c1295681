"""How the groups of lanes compare: what each had last, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from jaxlog._format.across_lanes import interquartile_mean
from jaxlog.explore.intervals import CONFIDENCE, bootstrap_interval
from jaxlog.report.charts import COLOURS, number, value
from jaxlog.report.html import Html, brief, joined, tag
from jaxlog.report.sites import Chart, Site

MOST_ROWS = 400
_WIDTH, _HEIGHT = 140, 14

Interval = tuple[float, float, float]
"""The interquartile mean, and the ends of its interval, NaN where nothing tells them."""


def comparison(site: Site) -> Html:
    """A table with rows for each metric, one for each group."""
    charts = [chart for chart in site.charts if not chart.beside]
    found = _intervals(site, charts)
    bodies: list[Html] = []
    rows = 0
    left_out = 0
    for place, chart in enumerate(charts):
        of_chart = {i: found[place, i] for i in chart.last if len(chart.last[i])}
        if rows + len(of_chart) > MOST_ROWS:
            left_out += 1
            continue
        rows += len(of_chart)
        bodies.append(tag("tbody", *_rows(site, chart, of_chart)))
    percent = f"{CONFIDENCE:.0%}"
    note = (
        "Of each lane's last value: mean ± standard deviation, the interquartile mean (IQM), and "
        f"between what that lies ({percent} bootstrap interval). One lane tells no interval. "
        "Values that are not finite have no part in the IQM."
    )
    if left_out:
        note += f" {left_out} metrics more are left out: the table would be too long."
    several = len(site.groups) > 1
    numbers = ("lanes", "last", "IQM", f"{percent} of IQM")
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


def _intervals(site: Site, charts: list[Chart]) -> Mapping[tuple[int, int], Interval]:
    """Of each chart and group; those with the same number of lanes at once."""
    found: dict[tuple[int, int], Interval] = {}
    for group in range(len(site.groups)):
        alike: dict[int, list[tuple[int, np.ndarray]]] = {}
        for place, chart in enumerate(charts):
            last = chart.last.get(group, np.empty(0))
            finite = last[np.isfinite(last)]
            alike.setdefault(len(finite), []).append((place, finite))
        for count, members in alike.items():
            if count:
                scores = np.stack([scores for _, scores in members], axis=1)
                iqm = interquartile_mean(scores.T)
                low, high = bootstrap_interval([scores])
                ends = zip(iqm.tolist(), low.tolist(), high.tolist(), strict=True)
            else:
                ends = iter([(np.nan, np.nan, np.nan)] * len(members))
            found |= {(place, group): end for (place, _), end in zip(members, ends, strict=True)}
    return found


def _rows(site: Site, chart: Chart, of_chart: Mapping[int, Interval]) -> Iterator[Html]:
    marks = [number for interval in of_chart.values() for number in interval]
    finite = [mark for mark in marks if np.isfinite(mark)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    for i, (group, (iqm, lower, upper)) in enumerate(of_chart.items()):
        name = tag("bdi", brief(chart.key))
        first = tag("th", name, scope="rowgroup", rowspan=str(len(of_chart)))
        swatch = tag("span", class_=f"swatch c{group % COLOURS}")
        yield tag(
            "tr",
            first if not i else "",
            tag("td", swatch, tag("bdi", site.groups[group].name)) if len(site.groups) > 1 else "",
            tag("td", str(len(chart.last[group])), class_="number"),
            tag("td", value(chart.last[group]), class_="number"),
            tag("td", number(iqm) if np.isfinite(iqm) else "", class_="number"),
            tag("td", _between(lower, upper), class_="number"),
            _mark(group, (iqm, lower, upper), low, high) if len(site.groups) > 1 else "",
        )


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
