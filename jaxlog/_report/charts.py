"""The coordinates of each metric's chart, as the page has it before its script runs.

The script replaces these charts with interactive ones. Where scripts do not run, as in an e-mail,
these remain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._analysis.html_pages import brief
from jaxlog._format.across_lanes import across_lanes
from jaxlog._render.markup import number as coordinate
from jaxlog._report.call_charts import CallCharts, Chart, LaneOf, LaneRows
from jaxlog._report.chart_curves import ChartCurve, limits, spread_evenly
from jaxlog.sinks.console import values as console

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 22
COLOURS = 8
"""The number of colours; when they are used again, the lines are dashed differently."""
MOST_DRAWN = 12
"""The number of groups in a chart."""
_POINTS = 120
"""About the number of points of one curve."""
_MOST_BANDS = 4
"""With more groups there are no bands, since they would hide each other."""


class Figure(NamedTuple):
    """The chart of one metric.

    Attributes:
      number: the chart's place in the script's data.
      key: the metric's.
      last: the last value, if there is one group; the comparison has those of several.
      not_finite: how many values are not finite; empty for none.
      width: of the drawing, in pixels.
      height: of the drawing.
      left: where the horizontal axis begins.
      right: where it ends.
      levels: vertical coordinates with their labels.
      steps: horizontal coordinates with their labels.
      paths: curves and bands, each as its classes and its `d`; empty without a finite value.
    """

    number: int
    key: str
    last: str
    not_finite: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    levels: Sequence[tuple[float, str]] = ()
    steps: Sequence[tuple[float, str]] = ()
    paths: Sequence[tuple[str, str]] = ()


def figure(number: int, chart: Chart, call: CallCharts) -> Figure:
    """The figure of one metric.

    Args:
      number: the chart's place in the call.
      chart: its curves.
      call: the call that logged it.
    """
    last = [values for values in chart.last.values() if len(call.groups) == 1]
    odd = [f"{chart.odd:,} not finite"] if chart.odd else []
    if chart.left_out:
        odd.append(f"{chart.left_out:,} {'of episodes' if chart.odd else 'not finite'} left out")
    shown = value(np.concatenate(last)) if last else ""
    return _with_curves(Figure(number, brief(chart.key), shown, ", ".join(odd)), chart, call)


def value(values: np.ndarray) -> str:
    """The mean over the lanes that are alive, and their standard deviation, as text.

    >>> value(np.array([98.0, np.nan, 102.0])), value(np.array([np.nan, np.nan]))
    ('100 ± 2 (2 of 3 lanes)', 'NaN (0 of 2 lanes)')
    """
    found = across_lanes(values)
    shown = console.Shown(*(part.item() for part in found))
    return number(shown.middle) + shown.beside


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, about `most` of them.

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


def _with_curves(empty: Figure, chart: Chart, call: CallCharts) -> Figure:
    shown = [list(chart.groups)[i] for i in spread_evenly(len(chart.groups), MOST_DRAWN)]
    curves = {group: chart.groups[group].thinned(_POINTS) for group in shown}
    around = limits(curves.values())
    if around is None:
        return empty
    steps = {group: _steps(call.places[call.groups[group].run], curves[group]) for group in shown}
    first = min(float(own[0]) for own in steps.values())
    last = max(float(own[-1]) for own in steps.values())
    low, high = _widened(*around)
    across = _Scale(first, last, LEFT, WIDTH - RIGHT)
    up = _Scale(low, high, HEIGHT - BOTTOM, TOP)
    paths: list[tuple[str, str]] = []
    for group in shown:
        curve, x = curves[group], across(steps[group])
        classes = f"c{group % COLOURS} d{group // COLOURS % 4}"
        if curve.low is not None and curve.high is not None and len(shown) <= _MOST_BANDS:
            paths.append((f"band {classes}", _band(x, up(curve.low), up(curve.high))))
        classes = f"line {classes} alone" if len(x) == 1 else f"line {classes}"
        y = up(curve.values)
        died = curve.died
        paths.append((classes, _path(x, np.where(died, np.nan, y))))
        if died.any():
            # With the neighbouring points, so that there is no gap where the dashes begin.
            near = died | np.append(died[1:], False) | np.insert(died[:-1], 0, False)
            dashed = _path(x, np.where(near, y, np.nan))
            if dashed:
                paths.append((f"{classes} died", dashed))
    return empty._replace(
        levels=[(float(up(tick)), number(tick)) for tick in ticks(low, high, 5)],
        steps=[(float(across(tick)), f"{tick:,.7g}") for tick in ticks(first, last, 5)],
        paths=paths,
    )


def _steps(places: LaneRows | None, curve: ChartCurve) -> np.ndarray:
    assert places is not None
    return places.steps[curve.at].astype(np.float64)


def _widened(low: float, high: float) -> tuple[float, float]:
    """The limits with some room, and never equal."""
    room = (high / 2 - low / 2) * 0.1 or abs(low) * 0.1 or 1.0
    return max(low - room, -1.7e308), min(high + room, 1.7e308)


class _Scale:
    """Maps values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high
        self._start, self._end = start, end

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        span = self.high / 2 - self.low / 2 or 1.0  # halved: the largest floats must not overflow
        with np.errstate(all="ignore"):
            share = (np.asarray(values) / 2 - self.low / 2) / span
        return self._start + share * (self._end - self._start)


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """A line with gaps where values are not finite; a value between two gaps is a dot."""
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
    """A number in the console's form.

    >>> number(0.123456), number(float("inf"))
    ('0.1235', '∞')
    """
    return console.number(value).replace("inf", "∞").replace("nan", "NaN")


class LegendEntry(NamedTuple):
    """A group in the legend.

    Attributes:
      colour: its class.
      name: the group's.
      beside: what follows the name.
    """

    colour: str
    name: str
    beside: Sequence[str]


def legend(call: CallCharts) -> Sequence[LegendEntry]:
    """The groups of a call, each with its colour."""
    return [
        LegendEntry(f"c{i % COLOURS}", group.name, beside(call, i))
        for i, group in enumerate(call.groups)
    ]


def beside(call: CallCharts, number: int) -> Sequence[str]:
    """The texts after a group's name: its lanes, those alive, and how far the run came."""
    group, alive = call.groups[number], call.alive(number)
    lanes = len(group.lanes)
    if lanes == 1:
        count = "" if alive else "diverged"
    else:
        count = f"{lanes} lanes" if alive == lanes else f"{alive} of {lanes} lanes alive"
    return [words for words in (count, group.unfinished) if words]


def beside_lane(call: CallCharts, lane: LaneOf) -> Sequence[str]:
    """The texts after a lane's name: whether it has diverged, and how far the run came."""
    diverged = "diverged" if call.is_dead(lane) else ""
    return [words for words in (diverged, call.groups[lane.group].unfinished) if words]
