"""PNG images inside SVG: many pixels in few bytes, with the standard library alone."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from jaxlog._render.markup import element

MOST_PIXELS = 512
"""The pixels along a side that are kept; of a larger array every second or third are, say."""

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of the PNG standard, by channels


def png(pixels: np.ndarray) -> bytes:
    """A PNG file.

    Args:
      pixels: uint8 `[height, width, channels]`: grey, grey and alpha, RGB, or RGBA.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with 0: no filter
    rows[:, 1:] = np.ascontiguousarray(pixels).reshape(height, -1)
    data = zlib.compress(rows.tobytes(), 9)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def thinned(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Every k-th row and column of an array `[height, width, ...]`, so that few enough are left.

    Returns:
      the array, and the notes that say so.
    """
    height, width = array.shape[:2]
    every = -(-max(height, width) // MOST_PIXELS)
    if every <= 1:
        return array, ()
    return array[::every, ::every], (f"{height} \u00d7 {width}, drawn: 1 of {every} each way",)


def embedded(pixels: np.ndarray, width: float, height: float) -> str:
    """An `<image>` of some pixels, scaled without smoothing."""
    data = base64.b64encode(png(pixels)).decode()
    return element(
        "image",
        width=width,
        height=height,
        preserveAspectRatio="none",
        image_rendering="optimizeSpeed",  # what renderers knew before there was `pixelated`
        style="image-rendering:pixelated",
        href=f"data:image/png;base64,{data}",
    )
