"""The curves as SVG that needs no script: a figure for each metric.

The script draws each again, sharper and to be asked; where none runs, in a mail or a print, these
stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from jaxlog._format.across_lanes import across_lanes
from jaxlog._render.markup import number as coordinate
from jaxlog._report.call_charts import CallCharts, Chart, LaneGrid, LaneOf
from jaxlog._report.chart_curves import ChartCurve, limits, spread_evenly
from jaxlog._report.html import Html, brief, joined, tag
from jaxlog.sinks.console import values as console

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 22
COLOURS = 8
"""So many colours there are; those that have them again have other dashes."""
_POINTS = 120
_DRAWN = 12
"""So many groups a figure without a script shows."""
_BANDS = 4
"""Of more groups, bands would hide each other."""


def figure(call: int, number: int, chart: Chart, of: CallCharts) -> Html:
    """The figure of one metric.

    Args:
      call: the number of its call.
      number: the number of its chart there.
      chart: what it shows.
      of: the call.
    """
    last = [values for values in chart.last.values() if len(of.groups) == 1]  # else see the table
    odd = f" {chart.odd:,} not finite" if chart.odd else ""
    if chart.left_out:
        odd += f" {chart.left_out:,} {'of episodes' if chart.odd else 'not finite'} left out"
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("bdi", brief(chart.key), class_="key"),
            tag("span", f" {value(np.concatenate(last))}", class_="last") if last else "",
            tag("span", odd, class_="odd") if odd else "",
        ),
        _drawing(chart, of),
        class_="chart",
        data_call=str(call),
        data_chart=str(number),
    )


def value(values: np.ndarray) -> str:
    """The values of some lanes as one: the mean of those that are alive, and their spread.

    >>> value(np.array([98.0, np.nan, 102.0])), value(np.array([np.nan, np.nan]))
    ('100 ± 2 (2 of 3 lanes)', 'NaN (0 of 2 lanes)')
    """
    found = across_lanes(values)
    shown = console.Shown(*(part.item() for part in found))
    return number(shown.middle) + shown.beside


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two.

    >>> ticks(0.0, 487.0, 4)
    [0.0, 200.0, 400.0]
    """
    span = high / most - low / most
    if not (math.isfinite(span) and span > 0):
        return [low]
    unit = 10.0 ** math.floor(math.log10(span)) or span
    step = next((m * unit for m in (1, 2, 5) if m * unit >= span), 10 * unit)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _drawing(chart: Chart, call: CallCharts) -> Html:
    shown = [list(chart.groups)[i] for i in spread_evenly(len(chart.groups), _DRAWN)]
    curves = {group: chart.groups[group].thinned(_POINTS) for group in shown}
    around = limits(curves.values())
    title = tag("title", f"{brief(chart.key)} by step")
    frame = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img"}
    if around is None:
        nothing = tag("text", "no finite value", x=WIDTH / 2, y=HEIGHT / 2, text_anchor="middle")
        return tag("svg", title, nothing, **frame)
    steps = {group: _steps(call.places[call.groups[group].run], curves[group]) for group in shown}
    first = min(float(own[0]) for own in steps.values())
    last = max(float(own[-1]) for own in steps.values())
    low, high = _widened(*around)
    across = _Scale(first, last, LEFT, WIDTH - RIGHT)
    up = _Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [title, *_axes(across, up)]
    for group in shown:
        curve, x = curves[group], across(steps[group])
        looks = f"c{group % COLOURS} d{group // COLOURS % 4}"
        if curve.low is not None and curve.high is not None and len(shown) <= _BANDS:
            band = _band(x, up(curve.low), up(curve.high))
            parts.append(tag("path", class_=f"band {looks}", d=band))
        looks += " alone" if len(x) == 1 else ""
        y = up(curve.values)
        died = curve.died
        parts.append(tag("path", class_=f"line {looks}", d=_path(x, np.where(died, np.nan, y))))
        if died.any():
            # With the points beside them, so that the line does not end there.
            near = died | np.append(died[1:], False) | np.insert(died[:-1], 0, False)
            dashed = _path(x, np.where(near, y, np.nan))
            if dashed:
                parts.append(tag("path", class_=f"line {looks} died", d=dashed))
    return tag("svg", *parts, **frame)


def _steps(places: LaneGrid | None, curve: ChartCurve) -> np.ndarray:
    assert places is not None
    return places.steps[curve.at].astype(np.float64)


def _widened(low: float, high: float) -> tuple[float, float]:
    """With some room, and never of no height."""
    room = (high / 2 - low / 2) * 0.1 or abs(low) * 0.1 or 1.0
    return max(low - room, -1.7e308), min(high + room, 1.7e308)


class _Scale:
    """From values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high
        self._start, self._end = start, end

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        span = self.high / 2 - self.low / 2 or 1.0  # halved: the largest floats must not overflow
        with np.errstate(all="ignore"):
            share = (np.asarray(values) / 2 - self.low / 2) / span
        return self._start + share * (self._end - self._start)


def _axes(across: _Scale, up: _Scale) -> list[Html]:
    found = []
    for tick in ticks(up.low, up.high, 5):
        y = float(up(tick))
        grid = {"x1": LEFT, "x2": WIDTH - RIGHT, "y1": y, "y2": y}
        found.append(tag("line", class_="grid", **grid))
        found.append(tag("text", number(tick), x=LEFT - 5, y=y + 3.5, text_anchor="end"))
    for tick in ticks(across.low, across.high, 5):
        x = float(across(tick))
        found.append(tag("text", f"{tick:,.7g}", x=x, y=HEIGHT - 7, text_anchor="middle"))
    return found


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """A line, broken where a value is not finite; a value between two such is a dot."""
    words, pen = [], "M"
    alone = False
    for across, up in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(up):
            words.append(f"{pen}{coordinate(across)} {coordinate(up)}")
            alone = pen == "M"
            pen = "L"
        else:
            words += ["h0"] if alone else []
            pen, alone = "M", False
    return "".join([*words, "h0"] if alone else words)


def _band(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    there = np.isfinite(low) & np.isfinite(high)
    edge = [*zip(x[there], high[there], strict=True)]
    edge += [*zip(x[there][::-1], low[there][::-1], strict=True)]
    points = "L".join(f"{coordinate(float(a))} {coordinate(float(b))}" for a, b in edge)
    return f"M{points}Z" if points else ""


def number(value: float) -> str:
    """A number as the console writes it.

    >>> number(0.123456), number(float("inf"))
    ('0.1235', '∞')
    """
    return console.number(value).replace("inf", "∞").replace("nan", "NaN")


def legend(call: CallCharts) -> Sequence[Html]:
    """The groups of a call, each with its colour."""
    return [
        tag(
            "li",
            tag("span", class_=f"swatch c{i % COLOURS}"),
            tag("bdi", group.name),
            "".join(f" · {words}" for words in beside(call, i)),
        )
        for i, group in enumerate(call.groups)
    ]


def beside(call: CallCharts, number: int) -> Sequence[str]:
    """What the legend says beside the name of a group: how many lanes, alive, and how far."""
    group, alive = call.groups[number], call.alive(number)
    lanes = len(group.lanes)
    if lanes == 1:
        count = "" if alive else "diverged"
    else:
        count = f"{lanes} lanes" if alive == lanes else f"{alive} of {lanes} lanes alive"
    return [words for words in (count, group.unfinished) if words]


def beside_lane(call: CallCharts, lane: LaneOf) -> Sequence[str]:
    """What the legend says beside the name of a lane: that it has diverged, and how far it came."""
    diverged = "diverged" if call.is_dead(lane) else ""
    return [words for words in (diverged, call.groups[lane.group].unfinished) if words]


def without_script(call: CallCharts) -> Html:
    """What a reader is told where no script runs."""
    if len(call.groups) <= _DRAWN:
        return Html("")
    return tag("noscript", f"Without its script the page shows {_DRAWN} groups in each chart.")


def nothing() -> Html:
    """In place of charts where there is none."""
    return joined(tag("p", "No numbers were logged here.", class_="note"))
