"""Writes PNG images, for pixels inside SVG, with the standard library alone."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from jaxlog._format.media import Image
from jaxlog._render.markup import element

MOST_PIXELS = 512
"""The most pixels along a side; a larger array keeps every k-th row and column."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
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
    return _SIGNATURE + chunks


def image_png(image: Image) -> bytes:
    """An image of an event as a PNG file, made once for all sinks."""
    own = image.__dict__
    if "_png" not in own:
        own["_png"] = png(image.array)
    return own["_png"]


def own_pixels(data: bytes) -> np.ndarray:
    """Reads a PNG file that `png` made; returns uint8 `[height, width, channels]`.

    Raises:
      ValueError: it is another file, or damaged.
    """
    start, _, rest = data.partition(b"IHDR")
    header = rest[:13]
    if start[:8] != _SIGNATURE or len(header) < 13:
        raise ValueError("got no PNG file, or a damaged one")
    width, height, depth, colour, *others = struct.unpack(">IIBBBBB", header)
    channels = {value: key for key, value in _COLOUR_TYPES.items()}.get(colour)
    begin = data.find(b"IDAT")
    if depth != 8 or channels is None or any(others) or begin < 4:
        raise ValueError("got a PNG file that jaxlog did not write; read it with Pillow")
    size = int.from_bytes(data[begin - 4 : begin], "big")
    if data[begin + 4 + size :][:4] != struct.pack(
        ">I", zlib.crc32(data[begin : begin + 4 + size])
    ):
        raise ValueError("got a damaged PNG file")
    row = 1 + width * channels
    opened = zlib.decompressobj()
    try:
        rows = opened.decompress(data[begin + 4 : begin + 4 + size], height * row + 1)
    except zlib.error as error:
        raise ValueError(f"got a damaged PNG file: {error}") from None
    pixels = np.frombuffer(rows, np.uint8)
    if pixels.size != height * row or pixels[::row].any():
        raise ValueError("got a PNG file that jaxlog did not write; read it with Pillow")
    return pixels.reshape(height, row)[:, 1:].reshape(height, width, channels)


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
