"""Writes PNG images, for pixels inside SVG, with the standard library alone."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from jaxlog._render.markup import element

MOST_PIXELS = 512
"""The most pixels along a side; a larger array keeps every k-th row and column."""

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of the PNG standard, by channels


def png(pixels: np.ndarray) -> bytes:
    """Encodes pixels as a PNG file.

    Args:
      pixels: uint8 `[height, width, channels]`: grey, grey and alpha, RGB, or RGBA.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with 0: no filter
    rows[:, 1:] = np.ascontiguousarray(pixels).reshape(height, -1)
    data = zlib.compress(rows.tobytes(), 9)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def thinned(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Keeps every k-th row and column of an array `[height, width, ...]` that is too large.

    Returns:
      The array, and notes about the rows and columns that are left out.
    """
    height, width = array.shape[:2]
    every = -(-max(height, width) // MOST_PIXELS)
    if every <= 1:
        return array, ()
    return array[::every, ::every], (f"{height} \u00d7 {width}, drawn: 1 of {every} each way",)


def embedded(pixels: np.ndarray, width: float, height: float) -> str:
    """Writes an `<image>` element with pixels that are scaled without smoothing."""
    data = base64.b64encode(png(pixels)).decode()
    return element(
        "image",
        width=width,
        height=height,
        preserveAspectRatio="none",
        image_rendering="optimizeSpeed",  # for old viewers, which do not know `pixelated`
        style="image-rendering:pixelated",
        href=f"data:image/png;base64,{data}",
    )
