"""The legend of a plot: an entry for each group, with the lanes that are alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from jaxlog._analysis import publishing, renaming
from jaxlog._analysis.axes import escape_dollars
from jaxlog._analysis.group_curves import GroupCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

_MOST_ENTRIES = 16
"""The most entries of a legend."""
_LONGEST = 34
"""The number of letters in a line of a legend's entry."""


def draw_legend(
    *axes: Axes,
    order: Sequence[str] = (),
    beside: bool = True,
    figure: Figure | None = None,
    width: float | None = None,
) -> Legend:
    """Draws a legend with an entry per group; if there are too many, evenly spaced ones.

    It is beside the axes, or below them in a figure whose width was given.

    Args:
      *axes: the axes; an entry that several have is drawn once.
      order: the order of the entries; others follow.
      beside: whether it is outside of the axes.
      figure: the figure that gets the legend; None for the axes.
      width: the width of the figure in inches, if it was given.
    """
    ax = axes[0]
    found: dict[str, Any] = dict.fromkeys(order)
    for one in axes:
        found |= {
            word: handle for handle, word in zip(*one.get_legend_handles_labels(), strict=True)
        }
    words = [word for word, handle in found.items() if handle is not None]
    handles = [found[word] for word in words]
    if len(handles) > _MOST_ENTRIES:
        handles = [*(handles[i] for i in _kept(len(handles))), Line2D([], [], linestyle="none")]
        words = entries(words)
    options: dict[str, Any] = {"frameon": False, "fontsize": "small"}
    if width is not None and (figure is not None or beside):
        below = ax.figure if figure is None else figure
        options |= {"ncols": publishing.columns_of_legend(words, width), "handlelength": 1.4}
        return below.legend(handles, words, loc="outside lower center", **options)
    if figure is not None:
        return figure.legend(handles, words, loc="outside right upper", **options)
    if beside:
        options |= {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    return ax.legend(handles, words, **options)


def entries(words: Sequence[str]) -> list[str]:
    """The entries of a legend: those of all groups, or of evenly spaced ones."""
    words = [text for text in words if text]
    if len(words) <= _MOST_ENTRIES:
        return words
    kept = _kept(len(words))
    return [*(words[i] for i in kept), f"and {len(words) - len(kept)} in between"]


def _kept(groups: int) -> list[int]:
    return np.linspace(0, groups - 1, _MOST_ENTRIES - 1).round().astype(int).tolist()


def _label(words: str, curve: GroupCurve, *, lives: bool) -> str:
    """Formats a legend entry; with `lives`, it has the number of lanes alive, unless all are."""
    words = escape_dollars(words)
    # matplotlib leaves entries that begin with `_` out of the legend.
    words = f" {words}" if words.startswith("_") else words
    alive = _lives(curve) if lives else ""
    return f"{words}\n {alive}" if len(words) + len(alive) > _LONGEST else f"{words}{alive}"


def _lives(curve: GroupCurve) -> str:
    lanes = curve.lanes
    words = [] if curve.alive == lanes else [f"{curve.alive} of {lanes} alive"]
    if curve.unfinished:
        of = "" if curve.unfinished == lanes else f"{curve.unfinished} "
        words.append(f"{of}unfinished")
    return f" ({', '.join(words)})" if words else ""


def labels_of(
    groups: Mapping[tuple[Any, ...], GroupCurve],
    by: Sequence[str],
    names: Mapping[Any, str],
    keys: Sequence[tuple[Any, ...]],
    *,
    lives: bool = True,
) -> dict[tuple[Any, ...], str]:
    """The legend's entry of each group: without the values that all groups have; empty for one.

    Args:
      groups: the curves of a plot, by the values that define their groups.
      by: what these values are of.
      names: texts in place of values.
      keys: the groups of all plots.
      lives: whether the entry says how many lanes are alive.
    """
    if not by:
        return dict.fromkeys(groups, "")
    places = publishing.varying(by, keys)
    own = [by[i] for i in places]
    return {
        key: _label(renaming.label(own, [key[i] for i in places], names), curve, lives=lives)
        for key, curve in groups.items()
    }


def width_of(labels: Mapping[tuple[Any, ...], str]) -> float:
    """Returns the width of a figure with a legend at its side, in inches."""
    longest = max((len(line) for text in labels.values() for line in text.splitlines()), default=0)
    return max(7.0, 5.0 + 0.075 * longest)
