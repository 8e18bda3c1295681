"""The colours, captions and axes that all plots share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The palette of M. Okabe and K. Ito, which people with any colour vision can distinguish. Black and
# yellow are left out: they are hard to see on black and on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MANY = "viridis"
"""The colour map for more groups than there are colours."""
LINE = 11
"""The height of one line of a caption, in points."""


def colours(count: int) -> list[Any]:
    """Returns `count` distinct colours."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return list(mpl.colormaps[_MANY](np.linspace(0.1, 0.9, count)))


def escape_dollars(words: str) -> str:
    """Escapes dollar signs, between which matplotlib would typeset mathematics."""
    return words.replace("$", r"\$")


def tidy(ax: Axes) -> None:
    """Gives axes a light grid, and removes the frame at the top and at the right."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)
