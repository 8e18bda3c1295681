"""Draws images: arrays of pixels, and 2-D arrays of numbers as heat maps."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import numpy as np

from jaxlog._render.markup import (
    EDGE,
    MUTED,
    Drawing,
    document,
    element,
    joined,
    placed,
    rect,
    text,
)
from jaxlog._render.png import embedded, thinned
from jaxlog._render.style import Style
from jaxlog._render.values import CannotDrawError, as_floats, described, kind, not_finite, shown

_NOT_FINITE = (232, 62, 140)
"""The colour of values that are not finite; it is far from all colours of the heat map."""

_LARGE = 256
"""The pixels along the longer side of a small image of a page."""
_GAP = 240
"""The grey of the lines between pictures."""

# Nine colours of Viridis, as published by its authors (CC0), from dark to bright.
_VIRIDIS = np.array(
    [
        (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140),
        (40, 174, 128), (94, 201, 98), (173, 220, 48), (253, 231, 37),
    ],
    np.float64,
)  # fmt: skip


def draw_image(state: np.ndarray, style: Style) -> Drawing:
    """Draws an image, with each pixel as a sharp square.

    uint8 of shape `[height, width]`, and any array with one channel, `[height, width, 1]`, is grey.
    Three or four channels are RGB or RGBA. Floats and other integers range from 0 to 1; if a value
    is outside, they are scaled from the smallest to the largest. Other 2-D arrays are heat maps
    with a scale.

    Raises:
      CannotDrawError: the array is not of numbers, has other axes, or is empty.
    """
    array = np.asarray(state)
    channels = array.shape[2] if array.ndim == 3 else 0
    if kind(array) == "other" or array.ndim not in (2, 3) or channels not in (0, 1, 3, 4):
        raise CannotDrawError(_takes(array))
    if not array.size:
        raise CannotDrawError(_takes(array))
    array, notes = thinned(array)
    if array.ndim == 2 and array.dtype != np.uint8:
        return _heat_map(array, notes, style)
    pixels, more = _as_bytes(array.reshape(*array.shape[:2], -1))
    return _drawing(pixels, (*notes, *more), style)


def _takes(array: np.ndarray) -> str:
    return (
        f"{described(array)}: image takes numbers [height, width], or with 1, 3 or 4 channels as a "
        "third axis"
    )


def _as_bytes(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Converts pixels `[height, width, channels]` to uint8; returns notes about the scaling."""
    if array.dtype == np.uint8:
        return array, ()
    values = as_floats(array)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    notes = not_finite(values)
    if low < 0 or high > 1:
        notes = (f"scaled from {shown(low)} \u2026 {shown(high)}", *notes)
    else:
        low, high = 0.0, 1.0
    pixels = np.rint(255 * _scaled(values, low, high)).astype(np.uint8)
    broken = ~np.isfinite(values).all(-1)
    if broken.any():
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        pixels[broken, :3] = _NOT_FINITE
        pixels[broken, 3:] = 255
    return pixels, notes


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scales values from [low, high] to [0, 1]; values that are not finite become 0."""
    # Halved first: the difference of the two largest floats would overflow.
    span = high / 2 - low / 2
    with np.errstate(all="ignore"):
        part = (values / 2 - low / 2) / span if span > 0 else np.zeros_like(values)
    return np.where(np.isfinite(values), part, 0.0).clip(0, 1)


def heat_of(values: np.ndarray) -> np.ndarray:
    """Returns the colours of a heat map from the smallest to the largest of some floats."""
    low, high = _range(values)
    pixels = heat(_scaled(values, low, high))
    pixels[~np.isfinite(values)] = _NOT_FINITE
    return pixels


def image_svg(data: bytes, shape: Sequence[int], title: str) -> str:
    """An SVG document with a PNG file as it is. The pixels of a small image are squares.

    Args:
      data: the file.
      shape: its height and width.
      title: names it.
    """
    height, width = shape[:2]
    scale = max(1, _LARGE // max(height, width))
    shown = element(
        "image",
        width=width * scale,
        height=height * scale,
        preserveAspectRatio="none",
        style="image-rendering:pixelated" if scale > 1 else "image-rendering:auto",
        href=f"data:image/png;base64,{base64.b64encode(data).decode()}",
    )
    return document(Drawing(width * scale, height * scale, shown), kind="image", title=title)


def pixels_of(image: np.ndarray) -> np.ndarray:
    """Returns an image `[height, width, channels]` as uint8; the channels may become three."""
    return _as_bytes(image)[0]


def in_rgb(pixels: np.ndarray) -> np.ndarray:
    """Converts pixels of 1, 3 or 4 channels to three; what is transparent becomes white."""
    if pixels.shape[2] == 1:
        return pixels.repeat(3, axis=2)
    part = pixels[:, :, 3:] / np.float32(255) if pixels.shape[2] == 4 else np.float32(1)
    return np.rint(pixels[:, :, :3] * part + 255 * (1 - part)).astype(np.uint8)


def tiled(planes: np.ndarray) -> np.ndarray:
    """Puts pictures beside each other, about as many in a row as there are rows.

    Args:
      planes: uint8 `[..., n, height, width, channels]`.

    Returns:
      uint8 `[..., height, width, channels]`, with grey lines between them.
    """
    *before, count, height, width, channels = planes.shape
    columns = columns_of(count)
    shape = -(-count // columns) * (height + 1) - 1, columns * (width + 1) - 1
    sheet = np.full((*before, *shape, channels), _GAP, np.uint8)
    for index in range(count):
        top, left = index // columns * (height + 1), index % columns * (width + 1)
        sheet[..., top : top + height, left : left + width, :] = planes[..., index, :, :, :]
    return sheet


def columns_of(count: int) -> int:
    """The number of pictures in a row of `tiled`."""
    return math.ceil(math.sqrt(count))


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (finite.min(), finite.max()) if finite.size else (np.nan, np.nan)


def heat(part: np.ndarray) -> np.ndarray:
    """Returns the colours of the heat map, uint8 `[..., 3]`, for values from 0 to 1."""
    levels = np.linspace(0, 1, len(_VIRIDIS))
    channels = [np.interp(part, levels, _VIRIDIS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, -1)).astype(np.uint8)


def _heat_map(array: np.ndarray, notes: tuple[str, ...], style: Style) -> Drawing:
    values = as_floats(array)
    low, high = _range(values)
    image = _drawing(heat_of(values), (*notes, *not_finite(values)), style)
    bar = embedded(heat(np.linspace(1, 0, 64)[:, None]), 8, image.height)
    legend = (
        placed(Drawing(8, image.height, bar), image.width + 8, 0, 8, image.height),
        text(shown(high, 4), image.width + 20, 9, 10, fill=MUTED),
        text(shown(low, 4), image.width + 20, image.height, 10, fill=MUTED) if high > low else "",
    )
    body = joined((image.body, *legend))
    return Drawing(image.width + 66, max(image.height, 24), body, image.notes)


def _drawing(pixels: np.ndarray, notes: tuple[str, ...], style: Style) -> Drawing:
    height, width = pixels.shape[:2]
    scale = min(style.size / max(height, width), 32)
    width, height = max(1.0, width * scale), max(1.0, height * scale)
    ground = rect(0, 0, width, height, fill=EDGE) if pixels.shape[2] == 4 else ""
    return Drawing(width, height, joined((ground, embedded(pixels, width, height))), notes)
