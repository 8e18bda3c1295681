"""Plots of metrics over the steps, with matplotlib."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

from jaxlog._analysis import publishing, renaming
from jaxlog._analysis.along import (
    ALONG,
    HELD,
    Along,
    all_in_units,
    counted,
    to_the_same_points,
    values_along,
)
from jaxlog._analysis.axes import LINE, colours, escape_dollars
from jaxlog._analysis.captions import LETTERS, not_finite
from jaxlog._analysis.captions import caption as caption_of
from jaxlog._analysis.drawing import draw, say_not_finite
from jaxlog._analysis.group_curves import SPREADS, GroupCurve, Spread, curve_of
from jaxlog._analysis.groups import By, Values
from jaxlog._analysis.horizontal_axis import bare_title, title_of
from jaxlog._analysis.legends import draw_legend, entries, labels_of, width_of
from jaxlog._analysis.score_notes import Bounds
from jaxlog._caller import warn_caller

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxlog._reading.run_frames import RunFrames

_ACROSS = 3
"""The most plots side by side."""
_LEAST_WIDTH = 1.8
"""The least width of a plot beside others, in inches, if the width of the figure was given."""


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
    panels: str | None = None,
    task: str | None = None,
    normalize: Bounds | None = None,
) -> Axes | list[Axes]:
    """Draws `RunData.plot` for runs by their names."""
    publishing.check(width, smooth, save)
    own_names = rename or {}
    if x not in ALONG:
        raise ValueError(f"x: got {x!r}, expected one of {', '.join(map(repr, ALONG))}")
    if spread not in SPREADS:
        raise ValueError(f"spread: got {spread!r}, expected one of {', '.join(map(repr, SPREADS))}")
    metrics = [names] if isinstance(names, str) else list(names)
    if not metrics:
        raise ValueError("got no name of a metric, expected at least one")
    if ax is not None and not isinstance(names, str):
        raise ValueError("ax: got axes and several names, expected a single name, or no ax")
    if panels is not None and (ax is not None or not isinstance(names, str)):
        raise ValueError("panels: got ax or several names, too; expected one name and no ax")
    extra = () if panels is None else (panels,)
    found = [values_along(runs, metric, call, by, x, extra, task, normalize) for metric in metrics]
    for note in dict.fromkeys(note for own in found for note in own.notes):
        warn_caller(f"{', '.join(metrics)}: {note}")
    titles = [publishing.axis_label(metric, own_names) for metric in metrics]
    every = found
    if panels is not None:
        titles, found = _panels(found[0], own_names)
    if smooth > 1:
        found = [publishing.smoothed(values, smooth) for values in found]
    lines = found
    brought = [to_the_same_points(values, x) for values in lines]
    found = [values for values, _ in brought]
    is_held = any(was_held for _, was_held in brought)
    curves = [
        _in_order(counted(_curves(values, x, spread), of_lines, values, x), values.by, own_names)
        for values, of_lines in zip(found, lines, strict=True)
    ]
    for title, groups in zip(titles, curves, strict=True):
        if not any(len(curve.x) for curve in groups.values()):
            raise LookupError(f"{title!r}: has no finite value to plot")
    letters = LETTERS if width is None else max(24, int(width * publishing.CAPTION_PER_INCH))
    before = _of_tasks(found, normalize, is_held=is_held)
    disjoint = panels is not None
    caption = caption_of(curves, found, spread, smooth, letters, before=before, disjoint=disjoint)
    along, curves = all_in_units(curves, x)
    keys = list(dict.fromkeys(key for values in every for key, _ in values.groups()))
    keys = [keys[i] for i in renaming.ordered(every[0].by, keys, own_names)]
    shown = renaming.values_of(every[0].by, keys)
    if panels is not None:
        shown += [(panels, value) for value in every[0].frame[panels].unique().to_list()]
    renaming.warn_if_unused(own_names, shown, [*metrics, bare_title(along)])
    labels = [
        labels_of(groups, own.by, own_names, keys, lives=panels is None)
        for groups, own in zip(curves, found, strict=True)
    ]
    palette = dict(zip(keys, colours(len(keys)), strict=True))
    if panels is None and isinstance(names, str):
        axes = ax
        if axes is None:
            size = (width_of(labels[0]), 4.0)
            if width is not None:
                words = entries(list(labels[0].values()))
                odd = f"\n{not_finite(curves[0].values())}"
                size = publishing.figure_size(width, words, caption + odd)
            _, axes = plt.subplots(figsize=size, layout="constrained")
        draw(axes, curves[0], labels[0], palette, along, spread)
        axes.set_xlabel(title_of(along, own_names, axes))
        _head(axes, names, curves[0], caption, own_names, compact=width is not None)
        if found[0].by:
            draw_legend(axes, beside=ax is None, width=width)
        drawn: Axes | list[Axes] = axes
    else:
        drawn = axes_list = _multiples(
            titles, curves, labels, palette, caption, along, spread, width, own_names
        )
        axes = axes_list[0]
        if panels is not None:
            for ax in axes_list:
                if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
                    ax.set_ylabel(publishing.axis_label(metrics[0], own_names))
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
    say_not_finite(ax, groups, pad)


def _in_order(
    groups: Mapping[tuple[Any, ...], GroupCurve], by: Sequence[str], names: Mapping[Any, str]
) -> dict[tuple[Any, ...], GroupCurve]:
    keys = list(groups)
    return {keys[i]: groups[keys[i]] for i in renaming.ordered(by, keys, names)}


def _curves(values: Values, x: str, spread: Spread) -> dict[tuple[Any, ...], GroupCurve]:
    column = ALONG[x].column
    end = values.frame[column].max()
    task = values.extra[-1] if values.extra else None
    return {
        key: curve_of(frame, column, spread, values.statistic, values.late, end, task)  # type: ignore[arg-type]
        for key, frame in values.groups()
    }


def _of_tasks(found: Sequence[Values], normalize: Bounds | None, *, is_held: bool) -> str:
    """Says what was done to the values before they were combined; empty for nothing."""
    words = []
    if normalize is not None:
        words.append("normalized values")
    task = next((values.extra[-1] for values in found if values.extra), None)
    if task is not None:
        number = max(values.frame[task].n_unique() for values in found)
        words.append(f"over {number} {'task' if number == 1 else 'tasks'}")
        words += ["where all of them have values"] if is_held else []
    return ", ".join([*words, *([HELD] if is_held else [])])


def _panels(values: Values, names: Mapping[Any, str]) -> tuple[list[str], list[Values]]:
    """The title of each panel, and its values: those with one value of the first extra column."""
    by, others = values.extra[:1], values.extra[1:]
    found = dict(replace(values, by=by).groups())
    keys = [key for key in found if key[0] is not None]
    chosen = [keys[i] for i in renaming.ordered(by, keys, names)]
    titles = [escape_dollars(renaming.label(by, key, names)) for key in chosen]
    return titles, [replace(values, frame=found[key], extra=others) for key in chosen]


def _multiples(
    titles: Sequence[str],
    curves: Sequence[Mapping[tuple[Any, ...], GroupCurve]],
    labels: Sequence[Mapping[tuple[Any, ...], str]],
    palette: Mapping[tuple[Any, ...], Any],
    caption: str,
    along: Along,
    spread: Spread,
    width: float | None,
    names: Mapping[Any, str],
) -> list[Axes]:
    across = min(len(titles), _ACROSS if width is None else max(1, int(width / _LEAST_WIDTH)))
    down = math.ceil(len(titles) / across)
    size = (3.6 * across + 1, 2.7 * down + 0.4)
    if width is not None:
        words = entries(list({key: text for own in labels for key, text in own.items()}.values()))
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
    for ax, title, groups, words in zip(cells, titles, curves, labels, strict=False):
        draw(ax, groups, words, palette, along, spread)
        font = "medium" if width is None else "small"
        ax.set_title(title, loc="left", fontsize=font)
        say_not_finite(ax, groups)
    for ax in cells[len(titles) :]:
        ax.remove()
    for ax in cells[max(0, len(titles) - across) : len(titles)]:  # the lowest of each column
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(title_of(along, names, ax))
    for ax in cells[: max(0, len(titles) - across)]:
        ax.set_xlabel("")
    font = "small" if width is None else "x-small"
    figure.suptitle(caption, fontsize=font, alpha=0.75, x=0.01, ha="left")
    if any(labels[0].values()):
        words = {key: text for own in labels for key, text in own.items()}
        order = [words[key] for key in palette if key in words]
        draw_legend(*cells[: len(titles)], order=order, figure=figure, width=width)
    return cells[: len(titles)]
