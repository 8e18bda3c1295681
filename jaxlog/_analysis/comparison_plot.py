"""Plots a comparison: a row per group, a dot per score."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from jaxlog._analysis.axes import LINE, colours, escape_dollars, tidy
from jaxlog._analysis.groups import Values, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_GROUPS = 40
"""The most groups that are shown: half of them those that score highest, half the lowest."""
_LETTERS = 64
"""The number of letters in a line of the caption: the names of groups take some of the width."""


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
) -> Axes:
    """Draws `Comparison.plot` from the attributes of a comparison."""
    shown = _shown(frame)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.2 + 0.42 * len(shown)), layout="constrained")
    every = list(Values(scores, by).groups())
    groups = dict(every[index] for index in shown)
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
    words = [
        (escape_dollars(named(by, key)) or "all lanes") + _fates(found)
        for key, found in groups.items()
    ]
    ax.set_yticks(range(len(words)), words)
    ax.set_ylim(len(words) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("normalized score" if normalized else "score")
    caption = f"interquartile mean, {100 * confidence:.4g} % interval, a dot for each score"
    lines = [caption, *_left_out(frame, shown), *_of_the_lanes(frame, len(scores), notes)]
    if scores["diverged"].any():
        lines[0] += ", a cross if it diverged"
    caption = "\n".join(lines)
    ax.set_title(escape_dollars(metric), loc="left", pad=20 + LINE * caption.count("\n"))
    ax.text(0, 1.015, caption, transform=ax.transAxes, fontsize="small", alpha=0.75)
    tidy(ax)
    ax.spines["left"].set_visible(False)
    return ax


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


def _of_the_lanes(frame: pl.DataFrame, lanes: int, notes: tuple[str, ...]) -> Iterator[str]:
    """Yields lines about lanes that are not alive, and about values left out of scores."""
    texts = {
        "diverged": "have diverged",
        "unfinished": "belong to unfinished runs",
        "left_out": "have no score",
    }
    counts = {name: frame[name].sum() for name in texts}
    words = [f"{counts[name]} {text}" for name, text in texts.items() if counts[name]]
    if words:
        yield textwrap.fill(f"of {lanes} lanes " + ", ".join(words), _LETTERS)
    yield from (note for note in notes if note.startswith("values that are not finite"))


def _fates(lanes: pl.DataFrame) -> str:
    """Formats the numbers of lanes alive and unfinished in a group; empty if all are complete."""
    words = [f"{lanes['alive'].sum()} of {len(lanes)} alive"] if not lanes["alive"].all() else []
    late = lanes["unfinished"].sum()
    if late:
        words.append("unfinished" if late == len(lanes) else f"{late} unfinished")
    return f"\n({', '.join(words)})" if words else ""
