"""Draws the states of an episode as pixels, for tools that show PNG and no SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxlog._format.events import EpisodeEvent
from jaxlog._render.arrays import array_pixels, enlarged
from jaxlog._render.choose import MOST_PARTS, suiting
from jaxlog._render.grid import draw_grid, grid_pixels
from jaxlog._render.image import in_rgb
from jaxlog._render.left_out import shown_parts
from jaxlog._render.states import states
from jaxlog._render.style import ARC_COLOURS
from jaxlog._render.values import is_array

_GAP = 16
"""The white pixels between two states, and between the arrays of one."""


def episode_pixels(event: EpisodeEvent) -> np.ndarray | None:
    """Draws the arrays of each state below each other, and the states from left to right.

    Integers with few values are a grid in colours, as in an SVG; other arrays are images and heat
    maps, as `array_pixels` draws them. Numbers and texts are left out, and so are drawings by a
    state's own method, because they are SVG.

    Returns:
      uint8 `[height, width, 3]`; None if no state has an array to draw.
    """
    drawn = [pixels for state in states(event).values() for pixels in _state(state)]
    return _joined(drawn, axis=1) if drawn else None


def _state(state: Any) -> list[np.ndarray]:
    arrays = [np.asarray(value) for _, value in shown_parts(state)[0] if is_array(value)]
    drawn = [pixels for array in arrays if (pixels := _array(array)) is not None]
    return [_joined(drawn[:MOST_PARTS], axis=0)] if drawn else []


def _array(array: np.ndarray) -> np.ndarray | None:
    if suiting(array) is draw_grid:
        return enlarged(grid_pixels(array, ARC_COLOURS))
    pixels = array_pixels(array)
    return None if pixels is None else in_rgb(pixels)


def _joined(parts: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Places RGB pixels beside each other along an axis, on white."""
    across = 1 - axis
    size = max(part.shape[across] for part in parts)
    placed = []
    for part in parts:
        pad = [(0, 0), (0, 0), (0, 0)]
        pad[across] = (0, size - part.shape[across])
        pad[axis] = (_GAP if placed else 0, 0)
        placed.append(np.pad(part, pad, constant_values=255))
    return np.concatenate(placed, axis=axis)
