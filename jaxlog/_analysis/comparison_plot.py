"""Plots a comparison: a row per group, a dot per score."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.ticker import MaxNLocator

from jaxlog._analysis import publishing, renaming
from jaxlog._analysis.axes import LINE, colours, escape_dollars, tidy
from jaxlog._analysis.groups import Values, named
from jaxlog._text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_GROUPS = 40
"""The most groups that are shown: half of them those that score highest, half the lowest."""
_LETTERS = 64
"""The number of letters in a line of the caption: the names of groups take some of the width."""
_NAME_PER_INCH = 12
"""The letters of a group's name in an inch, at least, also with wide letters."""


def plot_comparison(
    frame: pl.DataFrame,
    scores: pl.DataFrame,
    ax: Axes | None,
    *,
    metric: str,
    by: tuple[str, ...],
    normalized: bool,
    confidence: float,
    notes: tuple[str, ...],
    width: float | None = None,
    rename: Mapping[Any, str] | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Axes:
    """Draws `Comparison.plot` from the attributes of a comparison."""
    publishing.check(width, 1, save)
    if ax is not None and width is not None:
        raise ValueError("width: got a width and ax, expected only one of them")
    names = rename or {}
    shown = _shown(frame)
    every = list(Values(scores, by).groups())
    keys = [every[index][0] for index in shown]
    shown = [shown[place] for place in renaming.ordered(by, keys, names)]
    renaming.warn_if_unused(names, renaming.values_of(by, keys), [metric])
    letters = _LETTERS if width is None else max(24, int(width * publishing.CAPTION_PER_INCH))
    caption = _caption(frame, scores, shown, confidence, notes, letters)
    groups = {every[index][0]: every[index][1] for index in shown}
    places = publishing.varying(by, list(groups)) if names or width is not None else None
    words = [_words(by, key, places, names, width) + _fates(found) for key, found in groups.items()]
    if ax is None:
        size = (7.0, 1.2 + 0.42 * len(shown)) if width is None else _size(width, words, caption)
        _, ax = plt.subplots(figsize=size, layout="constrained")
    own = frame[shown].iter_rows(named=True)
    rows = zip(groups.items(), own, colours(len(shown)), strict=True)
    for index, ((_, found), row, colour) in enumerate(rows):
        dots, dead = found["score"].cast(pl.Float64).to_numpy(), found["diverged"].to_numpy()
        level = np.full(len(dots), index + 0.24)
        alive = ~dead
        ax.plot(dots[alive], level[alive], ".", color=colour, alpha=0.6, ms=5, mew=0)
        if dead.any():
            ax.plot(dots[dead], level[dead], "x", color=colour, alpha=0.8, ms=4, gid="dead")
        if row["iqm"] is None:
            continue
        if row["lower"] is not None:
            ax.hlines(index, row["lower"], row["upper"], color=colour, lw=5, alpha=0.55)
        ax.plot(row["iqm"], index, "|", color=colour, markersize=15, markeredgewidth=2.5)
    font = None if width is None else "small"
    ax.set_yticks(range(len(words)), words, fontsize=font)
    ax.set_ylim(len(words) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    if width is None:
        ax.set_xlabel("normalized score" if normalized else "score")
        pad = 20 + LINE * caption.count("\n")
        ax.set_title(publishing.axis_label(metric, names), loc="left", pad=pad)
        ax.text(0, 1.015, caption, transform=ax.transAxes, fontsize="small", alpha=0.75)
    else:  # in a column, the name of the metric is beside the axis
        score = f"{names.get(metric, metric)}{', normalized' if normalized else ''}"
        ax.set_xlabel(escape_dollars(score), fontsize="small")
        ax.tick_params(axis="x", labelsize="small")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        # Across the figure: a caption beside long names of groups would leave no room for the rows.
        figure = ax.get_figure(root=True)
        assert figure is not None
        figure.suptitle(caption, fontsize="x-small", alpha=0.75, x=0.01, ha="left")
    tidy(ax)
    ax.spines["left"].set_visible(False)
    if save is not None:
        publishing.write(ax.get_figure(root=True), save)  # type: ignore[arg-type]
    return ax


def _words(
    by: tuple[str, ...],
    key: tuple[Any, ...],
    places: Sequence[int] | None,
    names: Mapping[Any, str],
    width: float | None,
) -> str:
    """The name of a group; in a column it has at most two fifths of the width in a line."""
    if places is None:
        return escape_dollars(named(by, key)) or "all lanes"
    text = renaming.label([by[i] for i in places], [key[i] for i in places], names)
    text = text or "all lanes"
    if width is not None:
        text = textwrap.fill(text, max(10, int(0.4 * width * _NAME_PER_INCH)))
    return escape_dollars(text)


def _size(width: float, words: Sequence[str], caption: str) -> tuple[float, float]:
    """The size of a figure of a given width, with a row for each group."""
    line = mpl.rcParams["font.size"] / 72
    row = max(max(0.36, 1.2 * line * (1 + text.count("\n"))) for text in words)
    above = 1.05 * line * (1 + caption.count("\n"))
    return width, len(words) * row + above + 3.4 * line


def _caption(
    frame: pl.DataFrame,
    scores: pl.DataFrame,
    shown: Sequence[int],
    confidence: float,
    notes: tuple[str, ...],
    letters: int,
) -> str:
    first = f"interquartile mean, {100 * confidence:.4g} % interval, a dot for each score"
    if scores["diverged"].any():
        first += ", a cross if it diverged"
    lines = [first, *_left_out(frame, shown), *_of_the_lanes(frame, len(scores), notes, letters)]
    if letters < _LETTERS:
        lines = [textwrap.fill(line, letters) for line in lines]
    return "\n".join(lines)


def _shown(frame: pl.DataFrame) -> list[int]:
    """Returns the rows that are shown, in their order: all, or those that score most and least."""
    if len(frame) <= MOST_GROUPS:
        return list(range(len(frame)))
    scores = frame["iqm"].cast(pl.Float64)
    by_score = scores.arg_sort(descending=True, nulls_last=True).to_list()
    by_score = by_score[: len(frame) - scores.null_count()] or by_score  # without those of no score
    half = MOST_GROUPS // 2
    return sorted({*by_score[:half], *by_score[-half:]})


def _left_out(frame: pl.DataFrame, shown: Sequence[int]) -> Iterator[str]:
    """Yields a line about the groups that are not shown; none if all are."""
    left_out = len(frame) - len(shown)
    if left_out:
        half = MOST_GROUPS // 2
        yield (
            f"the {half} highest and the {half} lowest of {len(frame):,} groups; "
            f"{left_out:,} left out"
        )


def _of_the_lanes(
    frame: pl.DataFrame, lanes: int, notes: tuple[str, ...], letters: int
) -> Iterator[str]:
    """Yields lines about lanes that are not alive, and about values left out of scores."""
    texts = {
        "diverged": "have diverged",
        "unfinished": "belong to unfinished runs",
        "left_out": "have no score",
    }
    counts = {name: frame[name].sum() for name in texts}
    words = [f"{counts[name]} {text}" for name, text in texts.items() if counts[name]]
    if words:
        of = counted(lanes, "lane")
        yield textwrap.fill(f"of {of} " + ", ".join(words), letters)
    yield from (note for note in notes if note.startswith("values that are not finite"))


def _fates(lanes: pl.DataFrame) -> str:
    """Formats the numbers of lanes alive and unfinished in a group; empty if all are complete."""
    words = [f"{lanes['alive'].sum()} of {len(lanes)} alive"] if not lanes["alive"].all() else []
    late = lanes["unfinished"].sum()
    if late:
        words.append("unfinished" if late == len(lanes) else f"{late} unfinished")
    return f"\n({', '.join(words)})" if words else ""
