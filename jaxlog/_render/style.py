"""The style of pictures: the settings of the sink `svg` that the renderers need."""

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
"""The background of cells below zero, mostly padding. They are also struck through."""

Draws = Callable[[Any], str]
"""A renderer of the user's own: a function from a state to an SVG document."""


@dataclass(frozen=True)
class Style:
    """The style of pictures.

    Attributes:
      renderer: the name of a renderer, `auto`, or the user's own function.
      palette: the colours of 0, 1, and so on, as `#rrggbb`.
      size: the maximal width and height of the drawing of a state, in pixels.
    """

    renderer: str | Draws = "auto"
    palette: tuple[str, ...] = ARC_COLOURS
    size: int = 240


def colour_of(value: int, palette: tuple[str, ...]) -> str:
    """Returns the colour of a cell: that of the palette, or beyond it one of a colour wheel.

    >>> colour_of(2, ARC_COLOURS), colour_of(-1, ARC_COLOURS)
    ('#ff4136', '#eceff4')
    """
    if value < 0:
        return NEGATIVE
    return palette[value] if value < len(palette) else _on_the_wheel(value)


@functools.lru_cache(4096)
def _on_the_wheel(value: int) -> str:
    """Returns a pale colour. Hues step by the golden angle, so neighbouring values differ much."""
    hue = math.fmod(value * 0.6180339887498949, 1.0)
    rgb = colorsys.hls_to_rgb(hue, 0.62 + 0.16 * (value % 2), 0.45)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
