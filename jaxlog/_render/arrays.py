"""Draws an array that was logged whole: as pixels for a PNG, as SVG, and many of them as HTML."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable

import numpy as np

from jaxlog._render.card import draw_problem, in_rows, worded
from jaxlog._render.image import columns_of, draw_image, heat_of, pixels_of, tiled
from jaxlog._render.line import draw_line
from jaxlog._render.markup import MUTED, Drawing, document, joined, placed, text
from jaxlog._render.planes import side_by_side
from jaxlog._render.png import MOST_PIXELS, thinned
from jaxlog._render.style import Style
from jaxlog._render.values import as_floats, described, kind
from jaxlog._text import counted

LARGE = 256
"""The pixels along the longer side of a small array, whose entries become squares."""
_MOST_PLANES = 36
_PAD, _FOOT = 8, 16


def array_pixels(array: np.ndarray) -> np.ndarray | None:
    """The pixels of an array, uint8 `[height, width, channels]`; None for one number, and for none.

    An image stays one: uint8 of shape `[height, width]`, or with 1, 3 or 4 channels as a third
    axis. Any other array is a heat map from its smallest to its largest number: a vector as one
    row, more than two axes as planes side by side, along the last two axes. So floats are never an
    image, whose third axis might be one of actions, and whose first might be one of steps:
    `jaxlog.Image` is for these. Small arrays are enlarged, each entry to a square.
    """
    if kind(array) == "other" or not array.size or not array.ndim:
        return None
    if (image := _image(array)) is not None:
        return enlarged(pixels_of(thinned(image)[0]))
    planes = _planes(array)[:_MOST_PLANES]
    if len(planes) == 1:
        return enlarged(heat_of(as_floats(thinned(planes[0])[0])))
    every = -(-max(planes.shape[1:]) * columns_of(len(planes)) // MOST_PIXELS)
    return enlarged(tiled(heat_of(as_floats(planes[:, ::every, ::every]))))


def pixels_left_out(array: np.ndarray) -> list[str]:
    """Says which planes, rows and columns of an array `array_pixels` does not draw."""
    if not array.ndim or not array.size:
        return []
    image = _image(array)
    planes = _planes(array) if image is None else image[None, :, :, 0]
    number, height, width = planes.shape
    found = [f"the first {_MOST_PLANES} of {number} planes"] if number > _MOST_PLANES else []
    every = -(-max(height, width) * columns_of(min(number, _MOST_PLANES)) // MOST_PIXELS)
    if every > 1:
        found.append(f"1 of {every} rows and columns of {height} by {width}")
    return found


def array_svg(array: np.ndarray, title: str, size: int = 200) -> str:
    """An SVG document with an array and its dtype and shape.

    Args:
      array: of any shape.
      title: names it.
      size: the maximal width and height of the drawing, in pixels.
    """
    style = Style(size=size)
    try:
        middle = _draw(array, style)
    except ValueError as error:
        middle = draw_problem(str(error), style)
    words = " · ".join([described(array), *middle.notes])
    width = max(middle.width, 120.0) + 2 * _PAD
    top, foot = _PAD + 16, middle.height + _PAD + 16 + _FOOT
    body = joined(
        (
            text(title, _PAD, _PAD + 8, 11, weight="600", width=width - 2 * _PAD),
            placed(middle, _PAD, top, middle.width, middle.height),
            text(words, _PAD, foot - 2, 10, fill=MUTED, width=width - 2 * _PAD),
        )
    )
    return document(Drawing(width, foot + _PAD, body), kind="array", title=title)


def array_pictures(arrays: Iterable[tuple[str, np.ndarray]], *, left_out: int = 0) -> str:
    """HTML that shows arrays beside each other, with their titles.

    Args:
      arrays: the title and the array of each.
      left_out: the number of arrays that are not among them, which is mentioned.
    """
    pictures = [
        f'<img alt="{html.escape(title)}" style="margin: 2px" src="{svg_address(svg)}">'
        for title, array in arrays
        for svg in [array_svg(array, title)]
    ]
    left = counted(left_out, "earlier array is", "earlier arrays are")
    more = f"<p>{left} not shown.</p>" if left_out else ""
    return f"<div>{''.join(pictures)}{more}</div>" if pictures else "<p>no arrays</p>"


def svg_address(svg: str) -> str:
    """An SVG as an address for `<img>`, so that nothing in it runs or is loaded."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8", "replace")).decode()


def _image(array: np.ndarray) -> np.ndarray | None:
    """An array that is an image, as `[height, width, channels]`; else None."""
    if array.ndim == 2 and array.dtype == np.uint8:
        return array[:, :, None]
    is_image = array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] in (1, 3, 4)
    return array if is_image else None


def _planes(array: np.ndarray) -> np.ndarray:
    """An array as planes, `[n, height, width]`."""
    if array.ndim < 3:
        return array.reshape(1, -1, array.shape[-1])
    if array.ndim == 3 and array.shape[2] == 1:
        return array[None, :, :, 0]
    return array.reshape(-1, *array.shape[-2:])


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """Enlarges a small image, each pixel to a square."""
    times = max(1, LARGE // max(pixels.shape[:2]))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def _draw(array: np.ndarray, style: Style) -> Drawing:
    if array.ndim == 1 and array.size > 1:
        return draw_line(array, style)
    if array.ndim < 2 or not array.size or kind(array) == "other":
        return in_rows([("value", worded(array))], style.size * 0.7)
    if (image := _image(array)) is not None:
        return draw_image(image, style)
    planes = _planes(array)
    if planes.dtype == np.uint8 or kind(planes) == "bool":  # these are to be heat maps, too
        planes = planes.astype(np.int16)
    if len(planes) == 1:
        return draw_image(planes[0], style)
    return side_by_side(planes, draw_image, style)
