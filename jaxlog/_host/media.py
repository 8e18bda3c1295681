"""Takes images, figures and tables of plain Python, and makes of each what an event has."""

from __future__ import annotations

import contextlib
import functools
import io
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from jaxlog._format.media import (
    MOST_CAPTION,
    MOST_PIXELS,
    Image,
    Table,
    bytes_of_floats,
    check_image_shape,
    outside_text,
)
from jaxlog._host.left_out import LeftOut
from jaxlog._limits import LARGEST, SMALLEST, as_utf8
from jaxlog._text import counted

MOST_CELLS = 200_000
"""The most cells of a table."""
MOST_TEXT = 1000
"""The most characters of a cell or of the name of a column; a longer text is cut."""
FIGURE_SIDE = 2048
"""The most pixels of a side of a figure; a larger one is drawn with fewer dots per inch."""

_FOREIGN = {
    "figure": ("matplotlib.figure", "Figure"),
    "pillow": ("PIL.Image", "Image"),
    "polars": ("polars", "DataFrame"),
    "pandas": ("pandas", "DataFrame"),
}
"""The classes of other libraries that are taken, each by its module and its name."""
_MODES = {"1": "L", "L": "L", "LA": "RGBA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB",
          "YCbCr": "RGB", "HSV": "RGB", "LAB": "RGB", "P": "RGBA", "PA": "RGBA", "La": "RGBA",
          "RGBa": "RGBA", "RGBX": "RGB"}  # fmt: skip
"""The mode to which an image of Pillow is converted, by its own."""


def is_media(value: Any) -> bool:
    """True for an image, a figure, a table or a DataFrame, and for a list of these."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(_is_of(type(one)) for one in value)
    return _is_of(type(value))


@functools.lru_cache(256)
def _is_of(cls: type) -> bool:
    return issubclass(cls, Image | Table) or _kind_of(cls) is not None


def without_media(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separates values by name: those that are numbers, and images, figures and tables."""
    media = {name: value for name, value in values.items() if is_media(value)}
    return {name: value for name, value in values.items() if name not in media}, media


class MediaTaker:
    """Takes the images and tables of plain Python, and says which are left out.

    Args:
      most_bytes: the setting `max_array_bytes`, for tables.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._left_out = LeftOut()

    def taken(self, call: str, given: Mapping[str, Any], num_lanes: int) -> list[dict[str, Any]]:
        """The images and tables of each lane, by name, as copies that nobody can change.

        Args:
          call: the name of the call.
          given: as from `without_media`.
          num_lanes: the number of lanes of the line. With several, each name has a list with one
            for each; otherwise those of a list are named by their numbers.
        """
        lanes: list[dict[str, Any]] = [{} for _ in range(num_lanes)]
        for name, value in given.items():
            try:
                entries = _by_lane(name, value, num_lanes)
            except TypeError as error:
                self._left_out.add(f"{call}/{name}", str(error))
                continue
            for lane, own, one in entries:
                try:
                    lanes[lane][own] = self._checked(own, one)
                except Exception as error:  # also whatever a figure or a frame raises
                    text = " ".join(str(error).split())
                    if not text.startswith(path := _path(own)):
                        text = f"{path}: cannot be read: {type(error).__name__}: {text}"
                    self._left_out.add(f"{call}/{own}", _cut(text, MOST_TEXT))
        return lanes

    def _checked(self, name: str, value: Any) -> Image | Table:
        path = _path(name)
        if isinstance(value, Table) or _foreign(value) in ("polars", "pandas"):
            return self._table(path, value)
        image = value if isinstance(value, Image) else Image(value)
        caption = image.caption
        if caption is not None:
            caption = _cut(caption, MOST_CAPTION)
        return Image(_pixels(path, image.array), caption)

    def _table(self, path: str, value: Any) -> Table:
        table = _checked_table(path, value if isinstance(value, Table) else _of_frame(path, value))
        size = len(orjson.dumps([table.columns, table.rows]))
        if size > self._most_bytes:
            raise ValueError(
                f"{path}: got a table of {counted(table.shape[0], 'row')}, {size:,} bytes as JSON, "
                f"expected at most {self._most_bytes:,} (the setting max_array_bytes); log the "
                "first rows, or a summary"
            )
        return table


def _path(name: str) -> str:
    return f"values[{name!r}]"


def _foreign(value: Any) -> str | None:
    """The kind of an object of another library; None for none."""
    return _kind_of(type(value))


@functools.lru_cache(256)
def _kind_of(cls: type) -> str | None:
    """The kind of a class; a library that is not loaded has none of its objects."""
    for kind, (module, name) in _FOREIGN.items():
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and issubclass(cls, found):
            return kind
    return None


def _by_lane(name: str, value: Any, num_lanes: int) -> list[tuple[int, str, Any]]:
    """The values of one name with their lanes and names."""
    several = value if isinstance(value, list | tuple) else None
    if num_lanes == 1:
        if several is None:
            return [(0, name, value)]
        return [(0, f"{name}/{number}", one) for number, one in enumerate(several)]
    if several is None or len(several) != num_lanes:
        of = type(value).__name__ if several is None else f"a list of {len(several)}"
        raise TypeError(
            f"{_path(name)}: got {of}, expected a list of {num_lanes}, an image or a table for "
            "each lane"
        )
    return [(lane, name, one) for lane, one in enumerate(several)]


def _pixels(path: str, value: Any) -> np.ndarray:
    """An image as uint8 `[height, width, channels]`, a read-only copy."""
    match _foreign(value):
        case "figure":
            value = _of_figure(value)
        case "pillow":
            value = _of_pillow(path, value)
        case _:
            pass
    array = np.asarray(value)
    floating = array.dtype.kind == "f" or (
        array.dtype.kind == "V" and "float" in array.dtype.name  # the halves of ml_dtypes
    )
    got = f"{array.dtype.name}{list(array.shape)}"
    if array.dtype.kind in "OUSMm":
        got = type(value).__name__
    is_image_dtype = array.dtype == np.uint8 or floating
    check_image_shape(path, array.shape, is_image_dtype=is_image_dtype, got=got)
    if floating:
        array, outside = bytes_of_floats(array)
        if outside:
            raise ValueError(f"{path}: {outside_text(outside, array.size)}")
    pixels = np.array(array if array.ndim == 3 else array[:, :, None])
    pixels.flags.writeable = False
    return pixels


def _of_figure(figure: Any) -> np.ndarray:
    """Draws a matplotlib figure, on this thread: another must not draw while the user changes it.

    It has its own resolution, unless a side would have more pixels than `FIGURE_SIDE`.
    """
    from PIL import Image as Pillow  # which matplotlib needs, too

    dots = min(figure.dpi, FIGURE_SIDE / max(*figure.get_size_inches(), 1e-3))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dots)
    drawn.seek(0)
    with Pillow.open(drawn) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:  # savefig.bbox: tight, and something far outside
            raise ValueError(
                f"got a figure of {width:,} by {height:,} pixels, expected at most "
                f"{MOST_PIXELS:,}; leave out what is far outside of its axes"
            )
        pixels = np.asarray(image.convert("RGBA"))
    return pixels[:, :, :3] if (pixels[:, :, 3] == 255).all() else pixels


def _of_pillow(path: str, image: Any) -> np.ndarray:
    mode = _MODES.get(image.mode)
    if mode is None:
        raise TypeError(
            f"{path}: got an image of Pillow in the mode {image.mode}, expected one of 8 bits for "
            "each channel; convert it to an array of floats from 0 to 1"
        )
    width, height = image.size
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError(
            f"{path}: got {width:,} by {height:,} pixels, expected 1 to {MOST_PIXELS:,}; use "
            "image.thumbnail((2048, 2048))"
        )
    return np.asarray(image.convert(mode))


def _of_frame(path: str, frame: Any) -> Table:
    """The rows of a DataFrame; the index of pandas comes first, unless it counts the rows."""
    if math.prod(frame.shape) > MOST_CELLS:
        raise ValueError(_too_many(path, *frame.shape))
    if _foreign(frame) == "polars":
        return Table(frame.columns, frame.rows())
    index = frame.index
    if type(index).__name__ != "RangeIndex" or index.start != 0 or index.step != 1:
        frame = frame.reset_index()
    columns = [frame.iloc[:, place].tolist() for place in range(frame.shape[1])]
    return Table(list(frame.columns), list(zip(*columns, strict=True)))


def _checked_table(path: str, table: Table) -> Table:
    names: Any = table.columns
    if isinstance(names, str) or not isinstance(names, Sequence | np.ndarray):
        raise TypeError(f"{path}: got the columns {names!r:.60}, expected a list of their names")
    columns = tuple(_cut(str(name), MOST_TEXT) for name in names)
    if not columns:
        raise ValueError(f"{path}: got a table without columns, expected at least one")
    for name in columns:
        if columns.count(name) > 1:
            raise ValueError(f"{path}: got two columns named {name!r:.60}; rename one of them")
    rows: Any = table.rows
    if hasattr(rows, "__array__") and not isinstance(rows, np.ndarray):
        rows = np.asarray(rows)
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2:
            raise ValueError(
                f"{path}: got rows of shape {list(rows.shape)}, expected [rows, {len(columns)}]"
            )
        if rows.size > MOST_CELLS:
            raise ValueError(_too_many(path, *rows.shape))
        rows = rows.tolist()
    if isinstance(rows, str) or not isinstance(rows, Sequence):
        raise TypeError(f"{path}: got the rows {rows!r:.60}, expected a list of rows")
    if len(rows) * len(columns) > MOST_CELLS:
        raise ValueError(_too_many(path, len(rows), len(columns)))
    found: list[tuple[Any, ...]] = []
    for number, row in enumerate(rows):
        if isinstance(row, str | Mapping) or not isinstance(row, Sequence | np.ndarray):
            raise TypeError(
                f"{path}: row {number}: got {row!r:.60}, expected a list of "
                f"{counted(len(columns), 'cell')}"
            )
        if len(row) != len(columns):
            raise ValueError(
                f"{path}: row {number}: got {counted(len(row), 'cell')}, expected "
                f"{len(columns)}, one for each of the columns {', '.join(columns):.200}"
            )
        found.append(tuple(_cell(f"{path}: row {number}", cell) for cell in row))
    return Table(columns, tuple(found))


def _too_many(path: str, rows: int, columns: int) -> str:
    return (
        f"{path}: got a table of {counted(rows, 'row')} and {counted(columns, 'column')}, expected "
        f"at most {MOST_CELLS:,} cells; log the first rows, or a summary"
    )


def _cell(path: str, value: Any) -> bool | int | float | str | None:
    """A cell as a value that JSON has; a missing value of pandas is None."""
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        array = np.asarray(value)
        if array.ndim:
            got = f"{array.dtype.name}{list(array.shape)}"
            raise TypeError(f"{path}: got {got} in a cell, expected a number, a text or None")
        value = array[()]
    if isinstance(value, np.generic):
        if np.isnat(value) if value.dtype.kind in "mM" else False:
            return None
        value = float(value) if value.dtype.kind == "V" else value.item()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if SMALLEST <= value <= LARGEST else str(value)
    with contextlib.suppress(Exception):
        if value != value and type(value).__name__ == "NaTType":
            return None
    if type(value).__name__ == "NAType":
        return None
    return _cut(str(value), MOST_TEXT)


def _cut(text: str, most: int) -> str:
    text = as_utf8(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
