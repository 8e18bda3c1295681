"""Makes the frames of an episode from an array of all its steps, with one scale for all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxlog._render.image import columns_of, heat_of, pixels_of, tiled
from jaxlog._render.png import MOST_PIXELS
from jaxlog._render.values import as_floats, kind

MOST_PLANES = 16
"""The most planes of a step that are beside each other."""
MOST_LINES = 16
"""The most numbers of a step that are drawn as lines."""


def framed(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The names of the arrays whose steps can be frames, those that are images first.

    Args:
      arrays: the arrays `[steps, ...]` of an episode, by their names.
    """
    found = [name for name, array in arrays.items() if _is_framed(array)]
    return sorted(found, key=lambda name: (not _is_image(arrays[name]), -arrays[name][0].size))


def lined(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The names of the arrays whose steps are a few numbers, which are drawn as lines."""
    return [
        name
        for name, array in arrays.items()
        if kind(array) != "other"
        and array.ndim in (1, 2)
        and len(array)
        and 0 < array[0].size <= MOST_LINES
    ]


def frames(array: np.ndarray) -> np.ndarray:
    """The frames of an array: uint8 `[steps, height, width, channels]`, with 1, 3 or 4 channels.

    An image stays one: uint8 of shape `[steps, height, width]`, or with 1, 3 or 4 channels as a
    last axis; and floats from 0 to 1 with 1 or 3 channels. (Four channels of floats are those of a
    grid, not RGBA.) Any other array is a heat map from its smallest to its largest number at any
    step, so that a colour means the same in all frames; more than two axes of a step are planes
    side by side. What is not drawn, `left_out` says.

    Args:
      array: the values of all steps, with at least two axes besides the first.
    """
    if _is_image(array):
        image = array if array.ndim == 4 else array[..., None]
        every = -(-max(image.shape[1:3]) // MOST_PIXELS)
        image = image[:, ::every, ::every]
        steps, height, width, channels = image.shape
        pixels = pixels_of(image.reshape(steps * height, width, channels))
        return pixels.reshape(steps, height, width, -1)
    planes = _planes(array)[:, :MOST_PLANES]
    height, width = planes.shape[2:]
    every = -(-max(height, width) * columns_of(planes.shape[1]) // MOST_PIXELS)
    return tiled(heat_of(as_floats(planes[:, :, ::every, ::every])))


def left_out(array: np.ndarray) -> list[str]:
    """Says which planes, rows and columns of an array its frames do not have.

    Args:
      array: as for `frames`.
    """
    if _is_image(array):
        height, width = array.shape[1:3]
        number = 1
    else:
        number, height, width = _planes(array).shape[1:]
    found = (
        [f"the first {MOST_PLANES} of {number} planes are shown"] if number > MOST_PLANES else []
    )
    every = -(-max(height, width) * columns_of(min(number, MOST_PLANES)) // MOST_PIXELS)
    if every > 1:
        found.append(f"1 of {every} rows and columns of {height} by {width} is shown")
    return found


def _planes(array: np.ndarray) -> np.ndarray:
    """The planes of each step, `[steps, planes, height, width]`."""
    if _is_channels_last(array):
        array = np.moveaxis(array, -1, 1)
    steps, *_, height, width = array.shape
    return array.reshape(steps, -1, height, width)


def _is_framed(array: np.ndarray) -> bool:
    return kind(array) != "other" and array.ndim >= 3 and bool(array.size)


def _is_image(array: np.ndarray) -> bool:
    if array.ndim == 3:
        return array.dtype == np.uint8 and array.max(initial=0) > 1
    if array.ndim != 4 or array.shape[3] not in (1, 3, 4):
        return False
    if array.dtype == np.uint8:
        return True
    if kind(array) != "float" or array.shape[3] == 4:
        return False
    values = as_floats(array)
    with np.errstate(invalid="ignore"):
        return bool(((values >= 0) & (values <= 1)).all())


def _is_channels_last(array: np.ndarray) -> bool:
    """True for a grid whose last axis is one of channels, as MinAtar's `[10, 10, 4]`."""
    return array.ndim == 4 and array.shape[3] < min(array.shape[1:3])
