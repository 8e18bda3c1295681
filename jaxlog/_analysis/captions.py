"""The caption of a plot: lines and bands, how many lanes there are, and what is left out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jaxlog._analysis.group_curves import SPREADS, GroupCurve, Spread
from jaxlog._analysis.groups import Values
from jaxlog._format.across_lanes import EXTREMES
from jaxlog._text import counted

LETTERS = 90
"""The number of letters in a line of a caption."""
_QUANTILES = "bands of 50 % and 90 % of the lanes, those that end highest and lowest"
"""The caption of the spread `lanes` with too many lanes; the bands are `group_curves.BANDS`."""


def caption(
    plots: Sequence[Mapping[tuple[Any, ...], GroupCurve]],
    found: Sequence[Values],
    spread: Spread,
    smooth: int = 1,
    letters: int = LETTERS,
    *,
    before: str = "",
    disjoint: bool = False,
) -> str:
    """The caption of some plots.

    Args:
      plots: the curves of each plot, by group.
      found: the values of each plot.
      spread: the band.
      smooth: the number of steps of a mean.
      letters: the number of letters in a line.
      before: what was done to values before they were combined.
      disjoint: whether each plot has lanes of its own; else all have the same.
    """
    drawn = [curve for groups in plots for curve in groups.values() if len(curve.x)]
    counts = [curve.lanes for curve in drawn]
    fewest, most = min(counts), max(counts)
    each = " each" if max(map(len, plots)) > 1 else ""
    if most == 1:
        first = f"one lane{each}"
    else:
        lanes = f"{most}" if fewest == most else f"{fewest} to {most}"
        bounded = {bool(curve.bands) for curve in drawn if curve.lanes > 1}
        first = f"{_spread_words(found, spread)}, {lanes} lanes{each}"
        if True in bounded:
            words = _QUANTILES if len(bounded) == 1 else f"each lane; of many lanes {_QUANTILES}"
            first = first.replace("each lane", words, 1)
    if smooth > 1:
        first += f", means of {smooth} steps"
    if before:
        first += f", {before}"
    return "\n".join(
        (
            textwrap.fill(first, letters),
            *_about_lanes(plots, drawn, letters, sum if disjoint else max),
        )
    )


def _spread_words(found: Sequence[Values], spread: Spread) -> str:
    """Says what line and band show. The line of a minimum or maximum is the extreme over lanes."""
    extremes = {values.statistic if values.statistic in EXTREMES else "" for values in found}
    words = SPREADS[spread]
    if spread in ("ci", "iqr") or extremes == {""}:
        return words
    names = {"min": "minimum over lanes", "max": "maximum over lanes"}
    lines = ", or ".join(names[of] for of in EXTREMES if of in extremes)
    if "" in extremes:
        return f"{words} (for minima and maxima, the {lines})"
    return f"{lines}{words.removeprefix('mean').removeprefix(' ± std')}"


def _about_lanes(
    plots: Sequence[Mapping[tuple[Any, ...], GroupCurve]],
    drawn: Sequence[GroupCurve],
    letters: int,
    total: Callable[[Iterable[int]], int],
) -> Iterator[str]:
    """Yields a line about lanes that have diverged or not finished, and how they are drawn."""
    lanes = total(sum(curve.lanes for curve in groups.values()) for groups in plots)
    dead = total(sum(int(curve.dead.sum()) for curve in groups.values()) for groups in plots)
    late = total(sum(curve.unfinished for curve in groups.values()) for groups in plots)
    words = []
    if dead:
        of = counted(lanes, "lane has", "lanes have")
        words.append(f"{dead:,} of {of} diverged")
    if late:
        words.append(f"{late} of {lanes} belong to unfinished runs")
    if any(curve.fewer.any() for curve in drawn):
        words.append("dashed where fewer lanes are left")
    if any(not curve.alive for curve in drawn):
        words.append("a cross where none is left")
    if words:
        yield textwrap.fill(", ".join(words), letters)


def not_finite(curves: Iterable[GroupCurve]) -> str:
    """Counts the values that are not finite, for a corner of the axes; empty if there are none."""
    curves = list(curves)
    values = sum(curve.nonfinite for curve in curves)
    parts = sum(curve.partial for curve in curves)
    words = [f"{counted(values, 'value')} not finite"] if values else []
    words += [f"{parts:,} partly"] if parts else []
    return ", ".join(words)
