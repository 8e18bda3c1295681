"""Plots of metrics over the steps, with matplotlib."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import EngFormatter, MaxNLocator

from jaxlog._analysis import publishing
from jaxlog._analysis.axes import LINE, colours, tidy
from jaxlog._analysis.captions import LETTERS, not_finite
from jaxlog._analysis.captions import caption as caption_of
from jaxlog._analysis.group_curves import SPREADS, GroupCurve, Spread, curve_of
from jaxlog._analysis.groups import By, Values, values_of
from jaxlog._analysis.legends import draw_legend, entries, labels_of, width_of
from jaxlog._caller import warn_caller

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxlog._reading.run_frames import RunFrames

_ACROSS = 3
"""The most plots side by side."""
_CAPTION_PER_INCH = 16
"""The letters of a caption in an inch of a figure whose width was given."""
_LEAST_WIDTH = 1.8
"""The least width of a plot beside others, in inches, if the width of the figure was given."""
_DASHES = (0, (2.2, 1.4))
_LONG = 10_000
"""From this step on, the axis shows 10k in place of 10000."""
_AXES = {"step": "update", "env_step": "environment steps"}


def plot(
    runs: Mapping[str, RunFrames],
    names: str | Sequence[str],
    *,
    call: str | None,
    by: By,
    x: str,
    spread: Spread,
    ax: Axes | None,
    width: float | None = None,
    rename: Mapping[Any, str] | None = None,
    smooth: int = 1,
    save: str | os.PathLike[str] | None = None,
) -> Axes | list[Axes]:
    """Draws `RunData.plot` for runs by their names."""
    publishing.check(width, smooth, save)
    own_names = rename or {}
    if x not in _AXES:
        raise ValueError(f"x: got {x!r}, expected 'step' or 'env_step'")
    if spread not in SPREADS:
        raise ValueError(f"spread: got {spread!r}, expected one of {', '.join(map(repr, SPREADS))}")
    metrics = [names] if isinstance(names, str) else list(names)
    if not metrics:
        raise ValueError("got no name of a metric, expected at least one")
    if ax is not None and not isinstance(names, str):
        raise ValueError("ax: got axes and several names, expected a single name, or no ax")
    found = [values_of(runs, metric, call, by) for metric in metrics]
    for metric, values in zip(metrics, found, strict=True):
        if x not in values.frame.columns or values.frame[x].null_count() == len(values.frame):
            raise LookupError(
                f"{metric!r}: has no {x}; set env_steps_per_update, or plot over x='step'"
            )
    for note in dict.fromkeys(note for own in found for note in own.notes):
        warn_caller(f"{', '.join(metrics)}: {note}")
    if smooth > 1:
        found = [publishing.smoothed(values, smooth) for values in found]
    curves = [_in_order(_curves(values, x, spread), own_names) for values in found]
    for metric, groups in zip(metrics, curves, strict=True):
        if not any(len(curve.x) for curve in groups.values()):
            raise LookupError(f"{metric!r}: has no finite value to plot")
    letters = LETTERS if width is None else max(24, int(width * _CAPTION_PER_INCH))
    caption = caption_of(curves, found, spread, smooth, letters)
    labels = [
        labels_of(groups, own.by, own_names) for groups, own in zip(curves, found, strict=True)
    ]
    if isinstance(names, str):
        axes = ax
        if axes is None:
            size = (width_of(labels[0]), 4.0)
            if width is not None:
                words = entries(list(labels[0].values()))
                odd = f"\n{not_finite(curves[0].values())}"
                size = publishing.figure_size(width, words, caption + odd)
            _, axes = plt.subplots(figsize=size, layout="constrained")
        _draw(axes, curves[0], labels[0], x, spread)
        axes.set_xlabel(publishing.axis_label(_AXES[x], own_names))
        _head(axes, names, curves[0], caption, own_names, compact=width is not None)
        if found[0].by:
            draw_legend(axes, beside=ax is None, width=width)
        drawn: Axes | list[Axes] = axes
    else:
        drawn = axes_list = _multiples(
            metrics, curves, labels, caption, x, spread, width, own_names
        )
        axes = axes_list[0]
    if save is not None:
        publishing.write(axes.get_figure(root=True), save)  # type: ignore[arg-type]
    return drawn


def _head(
    ax: Axes,
    metric: str,
    groups: Mapping[tuple[Any, ...], GroupCurve],
    caption: str,
    names: Mapping[Any, str],
    *,
    compact: bool,
) -> None:
    """Writes the name of the metric and the caption; in a figure for a paper, beside the axis."""
    if compact:
        ax.set_ylabel(publishing.axis_label(metric, names))
        words = [caption, *filter(None, [not_finite(groups.values())])]
        ax.set_title("\n".join(words), loc="left", fontsize="x-small", alpha=0.75)
        return
    ax.text(0, 1.015, caption, transform=ax.transAxes, fontsize="small", alpha=0.75)
    pad = 20 + LINE * caption.count("\n")
    ax.set_title(publishing.axis_label(metric, names), loc="left", pad=pad)
    _say_not_finite(ax, groups, pad)


def _in_order(
    groups: Mapping[tuple[Any, ...], GroupCurve], names: Mapping[Any, str]
) -> dict[tuple[Any, ...], GroupCurve]:
    keys = list(groups)
    return {keys[i]: groups[keys[i]] for i in publishing.ordered(keys, names)}


def _curves(values: Values, x: str, spread: Spread) -> dict[tuple[Any, ...], GroupCurve]:
    end = values.frame[x].max()
    return {
        key: curve_of(frame, x, spread, values.statistic, values.late, end)  # type: ignore[arg-type]
        for key, frame in values.groups()
    }


def _multiples(
    metrics: Sequence[str],
    curves: Sequence[Mapping[tuple[Any, ...], GroupCurve]],
    labels: Sequence[Mapping[tuple[Any, ...], str]],
    caption: str,
    x: str,
    spread: Spread,
    width: float | None,
    names: Mapping[Any, str],
) -> list[Axes]:
    across = min(len(metrics), _ACROSS if width is None else max(1, int(width / _LEAST_WIDTH)))
    down = math.ceil(len(metrics) / across)
    size = (3.6 * across + 1, 2.7 * down + 0.4)
    if width is not None:
        words = entries(max((list(own.values()) for own in labels), key=len))
        size = publishing.figure_size(width, words, caption, across, down)
    figure, grid = plt.subplots(
        down,
        across,
        figsize=size,
        layout="constrained",
        squeeze=False,
        sharex=True,
    )
    cells = list(grid.flat)
    for ax, metric, groups, words in zip(cells, metrics, curves, labels, strict=False):
        _draw(ax, groups, words, x, spread)
        font = "medium" if width is None else "small"
        ax.set_title(publishing.axis_label(metric, names), loc="left", fontsize=font)
        _say_not_finite(ax, groups)
        ax.set_xlabel("")
    for ax in cells[len(metrics) :]:
        ax.remove()
    for ax in cells[max(0, len(metrics) - across) : len(metrics)]:  # the lowest of each column
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(publishing.axis_label(_AXES[x], names))
    font = "small" if width is None else "x-small"
    figure.suptitle(caption, fontsize=font, alpha=0.75, x=0.01, ha="left")
    if any(labels[0].values()):
        fullest = max(cells[: len(metrics)], key=lambda ax: len(ax.get_legend_handles_labels()[0]))
        draw_legend(fullest, figure=figure, width=width)
    return cells[: len(metrics)]


def _draw(
    ax: Axes,
    groups: Mapping[tuple[Any, ...], GroupCurve],
    labels: Mapping[tuple[Any, ...], str],
    x: str,
    spread: Spread,
) -> None:
    for (key, curve), colour in zip(groups.items(), colours(len(groups)), strict=True):
        label = labels[key] or None
        if not len(curve.x):
            if len(curve.dead):  # all lanes were dead from the start
                ax.plot([], [], color=colour, lw=1.8, ls=_DASHES, label=label)
            continue
        alone = len(curve.x) == 1  # a line needs two points
        if spread == "lanes" and curve.lanes > 1:
            _draw_lanes(ax, curve, colour)
        elif curve.lanes > 1 and np.isfinite(curve.lower).any():
            for part, alpha in ((~curve.fewer, 0.2), (_with_neighbours(curve.fewer), 0.1)):
                if part.any():
                    band = (curve.x, curve.lower, curve.upper, part)
                    ax.fill_between(*band, color=colour, alpha=alpha, lw=0)
            if alone:
                ax.vlines(curve.x, curve.lower, curve.upper, color=colour, alpha=0.5)
        ax.plot(
            curve.x,
            np.where(curve.fewer, np.nan, curve.middle),
            color=colour,
            lw=1.8,
            marker="o" if alone else None,
            label=label,
            gid="middle",
        )
        if curve.fewer.any():
            dashed = np.where(_with_neighbours(curve.fewer), curve.middle, np.nan)
            ax.plot(
                curve.x,
                dashed,
                color=colour,
                lw=1.8,
                ls=_DASHES,
                marker="o" if alone else None,
                gid="fewer",
            )
        if not curve.alive:
            _cross(ax, curve.x[-1], curve.middle[-1], colour)
    ax.set_xlabel(_AXES[x])
    if max((curve.x[-1] for curve in groups.values() if len(curve.x)), default=0) >= _LONG:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    tidy(ax)


def _draw_lanes(ax: Axes, curve: GroupCurve, colour: Any) -> None:
    """Draws a thin line for each lane; of too many lanes, bands and the two lines there are."""
    for lower, upper in curve.bands:
        ax.fill_between(curve.x, lower, upper, color=colour, alpha=0.15, lw=0)
        if len(curve.x) == 1:
            ax.vlines(curve.x, lower, upper, color=colour, alpha=0.3)
    width, alpha = (1.0, 0.7) if curve.bands else (0.7, 0.35)
    ax.add_collection(
        # One artist: an artist for each lane takes a minute for 100,000 lanes.
        LineCollection(
            [np.column_stack(line) for line in curve.lines],
            colors=[colour],
            linewidths=width,
            alpha=alpha,
            capstyle="projecting",
            joinstyle="round",
            zorder=2,
            gid="lanes",
        )
    )
    ax.autoscale_view()
    if curve.alive and not curve.bands:
        lines = zip(curve.lines, curve.dead, strict=True)
        ends = [(x[-1], y[-1]) for (x, y), dead in lines if dead and len(x)]
        if ends:
            x, y = np.transpose(ends)
            _cross(ax, x, y, colour, small=True)


def _with_neighbours(where: np.ndarray) -> np.ndarray:
    """Marks points and their neighbours, so that lines from the points to these are drawn."""
    return where | np.append(where[1:], values=False) | np.append(False, where[:-1])


def _cross(ax: Axes, x: Any, y: Any, colour: Any, *, small: bool = False) -> None:
    size, width = (5, 1) if small else (9, 2.2)
    ax.plot(x, y, "x", color=colour, ms=size, mew=width, gid="dead", zorder=3)


def _say_not_finite(
    ax: Axes, groups: Mapping[tuple[Any, ...], GroupCurve], pad: float | None = None
) -> None:
    words = not_finite(groups.values())
    if words:
        ax.set_title(words, loc="right", pad=pad, fontsize="x-small", alpha=0.75)
