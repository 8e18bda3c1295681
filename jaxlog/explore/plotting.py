"""Plots with matplotlib: metrics over the steps, and comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from jaxlog.caller import warn_caller
from jaxlog.explore.curves import SPREADS, Curve, Spread, curve_of
from jaxlog.explore.groups import By, Values, named, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

    from jaxlog.explore.comparing import Comparison
    from jaxlog.explore.run_data import RunData

# Told apart with any colour vision, on white and on black: M. Okabe and K. Ito's, without black and
# without yellow, which one of the two swallows.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MANY = "viridis"
"""The colours of more groups than that, in their order."""
_MOST_ENTRIES = 16
"""Of a legend."""
_ACROSS = 3
"""Small multiples in a row, at most."""
_LONG = 10_000
"""From here on, steps are told as 10k, and not in full."""
_AXES = {"step": "update", "env_step": "environment steps"}


def plot(
    runs: Mapping[str, RunData],
    names: str | Sequence[str],
    *,
    call: str | None,
    by: By,
    x: str,
    spread: Spread,
    ax: Axes | None,
) -> Axes | list[Axes]:
    """As `RunData.plot`, of runs by their names."""
    if x not in _AXES:
        raise ValueError(f"x: got {x!r}, expected 'step' or 'env_step'")
    if spread not in SPREADS:
        raise ValueError(f"spread: got {spread!r}, expected one of {', '.join(map(repr, SPREADS))}")
    metrics = [names] if isinstance(names, str) else list(names)
    if not metrics:
        raise ValueError("got no name of a metric, expected one at least")
    if ax is not None and not isinstance(names, str):
        raise ValueError("ax: got one with several names, expected a single name, or no ax")
    found = [values_of(runs, metric, call, by) for metric in metrics]
    for metric, values in zip(metrics, found, strict=True):
        if x not in values.frame.columns or values.frame[x].null_count() == len(values.frame):
            raise LookupError(
                f"{metric!r}: has no {x}; set env_steps_per_update, or plot over x='step'"
            )
    for note in dict.fromkeys(note for own in found for note in own.notes):
        warn_caller(f"{', '.join(metrics)}: {note}")
    curves = [
        {key: curve_of(frame, x, spread) for key, frame in values.groups()} for values in found
    ]
    for metric, groups in zip(metrics, curves, strict=True):
        if not any(len(curve.x) for curve in groups.values()):
            raise LookupError(f"{metric!r}: has no finite value yet, and nothing to plot")
    caption = _caption(curves, spread)
    if isinstance(names, str):
        own = ax is None
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        _draw(ax, curves[0], found[0].by, x, spread)
        ax.text(0, 1.015, caption, transform=ax.transAxes, fontsize="small", alpha=0.75)
        ax.set_title(_plain(names), loc="left", pad=20)
        if found[0].by:
            _legend(ax, beside=own)
        return ax
    return _multiples(metrics, curves, found, caption, x, spread)


def _multiples(
    metrics: Sequence[str],
    curves: Sequence[Mapping[tuple[Any, ...], Curve]],
    found: Sequence[Values],
    caption: str,
    x: str,
    spread: Spread,
) -> list[Axes]:
    across = min(len(metrics), _ACROSS)
    down = math.ceil(len(metrics) / across)
    figure, grid = plt.subplots(
        down,
        across,
        figsize=(3.6 * across + 1, 2.7 * down + 0.4),
        layout="constrained",
        squeeze=False,
        sharex=True,
    )
    places = list(grid.flat)
    for ax, metric, groups, values in zip(places, metrics, curves, found, strict=False):
        _draw(ax, groups, values.by, x, spread)
        ax.set_title(_plain(metric), loc="left", fontsize="medium")
        ax.set_xlabel("")
    for ax in places[len(metrics) :]:
        ax.remove()
    for ax in places[max(0, len(metrics) - across) : len(metrics)]:  # each column's lowest
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(_AXES[x])
    figure.suptitle(caption, fontsize="small", alpha=0.75, x=0.01, ha="left")
    if found[0].by:
        fullest = max(places[: len(metrics)], key=lambda ax: len(ax.lines))
        _legend(fullest, figure=figure)
    return places[: len(metrics)]


def _draw(
    ax: Axes,
    groups: Mapping[tuple[Any, ...], Curve],
    by: Sequence[str],
    x: str,
    spread: Spread,
) -> None:
    for (key, curve), colour in zip(groups.items(), _colours(len(groups)), strict=True):
        if not len(curve.x):
            continue
        words = _plain(named(by, key))
        # What begins with `_` matplotlib keeps out of legends.
        label = f" {words}" if words.startswith("_") else words
        alone = len(curve.x) == 1  # a line needs two points
        if spread == "lanes" and len(curve.lanes) > 1:
            for lane in curve.lanes:
                there = np.isfinite(lane)
                ax.plot(curve.x[there], lane[there], color=colour, lw=0.7, alpha=0.35)
        elif len(curve.lanes) > 1 and np.isfinite(curve.lower).any():
            ax.fill_between(curve.x, curve.lower, curve.upper, color=colour, alpha=0.2, linewidth=0)
            if alone:
                ax.vlines(curve.x, curve.lower, curve.upper, color=colour, alpha=0.5)
        ax.plot(
            curve.x,
            curve.middle,
            color=colour,
            lw=1.8,
            marker="o" if alone else None,
            label=label if by else None,
            gid="middle",
        )
    ax.set_xlabel(_AXES[x])
    if max((curve.x[-1] for curve in groups.values() if len(curve.x)), default=0) >= _LONG:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _tidy(ax)


def plot_comparison(comparison: Comparison, ax: Axes | None) -> Axes:
    """As `Comparison.plot`."""
    frame, scores = comparison.frame, comparison.scores
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.2 + 0.42 * len(frame)), layout="constrained")
    groups = dict(Values(scores, comparison.by).groups())
    rows = zip(groups.items(), frame.iter_rows(named=True), _colours(len(frame)), strict=True)
    for place, ((_, found), row, colour) in enumerate(rows):
        dots = found["score"].to_numpy()
        ax.plot(dots, np.full(len(dots), place + 0.24), ".", color=colour, alpha=0.6, ms=5, mew=0)
        if row["iqm"] is None:
            continue
        if row["lower"] is not None:
            ax.hlines(place, row["lower"], row["upper"], color=colour, lw=5, alpha=0.55)
        ax.plot(row["iqm"], place, "|", color=colour, markersize=15, markeredgewidth=2.5)
    words = [_plain(named(comparison.by, key)) or "all lanes" for key in groups]
    ax.set_yticks(range(len(words)), words)
    ax.set_ylim(len(words) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("normalized score" if comparison.normalized else "score")
    ax.set_title(_plain(comparison.metric), loc="left", pad=20)
    caption = f"interquartile mean, {100 * comparison.confidence:.4g} % interval, each score a dot"
    ax.text(0, 1.015, caption, transform=ax.transAxes, fontsize="small", alpha=0.75)
    _tidy(ax)
    ax.spines["left"].set_visible(False)
    return ax


def _colours(count: int) -> list[Any]:
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return list(mpl.colormaps[_MANY](np.linspace(0.1, 0.9, count)))


def _caption(plots: Sequence[Mapping[tuple[Any, ...], Curve]], spread: Spread) -> str:
    counts = [len(curve.lanes) for groups in plots for curve in groups.values() if len(curve.x)]
    fewest, most = min(counts), max(counts)
    each = " each" if max(map(len, plots)) > 1 else ""
    if most == 1:
        return f"one lane{each}"
    lanes = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"{SPREADS[spread]}, {lanes} lanes{each}"


def _legend(ax: Axes, *, beside: bool = True, figure: Figure | None = None) -> Legend:
    """One entry for each group; of many, evenly spaced ones."""
    handles, words = ax.get_legend_handles_labels()
    if len(handles) > _MOST_ENTRIES:
        kept = np.linspace(0, len(handles) - 1, _MOST_ENTRIES - 1).round().astype(int)
        more = len(handles) - len(kept)
        handles, words = [handles[i] for i in kept], [words[i] for i in kept]
        handles.append(Line2D([], [], linestyle="none"))
        words.append(f"and {more} between")
    options: dict[str, Any] = {"frameon": False, "fontsize": "small"}
    if figure is not None:
        return figure.legend(handles, words, loc="outside right upper", **options)
    if beside:
        options |= {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    return ax.legend(handles, words, **options)


def _plain(words: str) -> str:
    """As it is: matplotlib reads what stands between dollars as mathematics."""
    return words.replace("$", r"\$")


def _tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)
