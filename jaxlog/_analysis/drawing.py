"""Draws the curves of groups on the axes of a plot: lines, bands, and where lanes ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import EngFormatter, MaxNLocator

from jaxlog._analysis.along import Along
from jaxlog._analysis.axes import tidy
from jaxlog._analysis.captions import not_finite
from jaxlog._analysis.group_curves import GroupCurve, Spread
from jaxlog._analysis.horizontal_axis import show_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES = (0, (2.2, 1.4))
LONG = 10_000
"""From this step on, the axis shows 10k in place of 10000."""


def draw(
    ax: Axes,
    groups: Mapping[tuple[Any, ...], GroupCurve],
    labels: Mapping[tuple[Any, ...], str],
    colours: Mapping[tuple[Any, ...], Any],
    along: Along,
    spread: Spread,
) -> None:
    """Draws the curves of groups.

    Args:
      ax: the axes.
      groups: the curves, by the values that define their groups.
      labels: the entry of the legend of each group.
      colours: the colour of each group.
      along: the horizontal axis.
      spread: the band around the lines.
    """
    for key, curve in groups.items():
        colour, label = colours[key], labels[key] or None
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
    ax.set_xlabel(along.title)
    if along.kind == "time":
        ax.set_xlabel(show_times(ax))
    else:
        end = max((curve.x[-1] for curve in groups.values() if len(curve.x)), default=0)
        if end >= LONG:
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=along.kind == "number"))
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


def say_not_finite(
    ax: Axes, groups: Mapping[tuple[Any, ...], GroupCurve], pad: float | None = None
) -> None:
    """Writes the number of values that are not finite into a corner of the axes."""
    words = not_finite(groups.values())
    if words:
        ax.set_title(words, loc="right", pad=pad, fontsize="x-small", alpha=0.75)
