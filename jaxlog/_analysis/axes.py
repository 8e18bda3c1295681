"""Colours, captions and axes that all plots share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart with any colour vision, on white and on black: M. Okabe and K. Ito's, without black and
# without yellow, which one of the two swallows.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MANY = "viridis"
"""The colours of more groups than that, in their order."""
LINE = 11
"""The height of a line of a caption, in points."""


def colours(count: int) -> list[Any]:
    """So many colours, which anyone can tell apart."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return list(mpl.colormaps[_MANY](np.linspace(0.1, 0.9, count)))


def plain(words: str) -> str:
    """As it is: matplotlib reads what stands between dollars as mathematics."""
    return words.replace("$", r"\$")


def tidy(ax: Axes) -> None:
    """Axes with a light grid, and no frame above and at the right."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)
