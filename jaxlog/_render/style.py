"""How pictures are to look: what a user may choose, as the renderers take it."""

from __future__ import annotations

import colorsys
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ARC_COLOURS = (
    "#000000", "#0074d9", "#ff4136", "#2ecc40", "#ffdc00",
    "#aaaaaa", "#f012be", "#ff851b", "#7fdbff", "#870c25",
)  # fmt: skip
"""The colours of ARC's tasks: black, blue, red, green, yellow, grey, pink, orange, sky, maroon."""

NEGATIVE = "#eceff4"
"""The ground of cells below zero: padding, mostly. They are struck through, too."""

Draws = Callable[[Any], str]
"""A renderer of the user's own: from a state to a whole SVG."""


@dataclass(frozen=True)
class Style:
    """How pictures are to look.

    Attributes:
      renderer: the name of a renderer, `auto`, or the user's own function.
      palette: the colour of 0, of 1, and so on, as `#rrggbb`.
      size: the width and height that a state's drawing is fitted into, in pixels.
    """

    renderer: str | Draws = "auto"
    palette: tuple[str, ...] = ARC_COLOURS
    size: int = 240


def colour_of(value: int, palette: tuple[str, ...]) -> str:
    """The colour of a cell: the palette's, and beyond its end one of a wheel.

    >>> colour_of(2, ARC_COLOURS), colour_of(-1, ARC_COLOURS)
    ('#ff4136', '#eceff4')
    """
    if value < 0:
        return NEGATIVE
    return palette[value] if value < len(palette) else _on_the_wheel(value)


@functools.lru_cache(4096)
def _on_the_wheel(value: int) -> str:
    """A pale colour, by the golden angle: neighbours in value are far apart in hue."""
    hue = math.fmod(value * 0.6180339887498949, 1.0)
    rgb = colorsys.hls_to_rgb(hue, 0.62 + 0.16 * (value % 2), 0.45)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
