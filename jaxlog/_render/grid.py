"""Draws grids: 2-D arrays of integers or bools, with a colour per value, as in ARC."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jaxlog._render.markup import Drawing, element, joined, rect
from jaxlog._render.planes import MOST_PLANES, side_by_side
from jaxlog._render.png import embedded, thinned
from jaxlog._render.style import Style, colour_of
from jaxlog._render.values import CannotDrawError, as_integers, described, kind

_LARGEST_CELL = 32
_MOST_CELLS = 64
"""The most cells along a side that are drawn as shapes; a larger grid becomes an image."""
_LINE = "#7d8896"
_STRIKE = "#a3adba"


def draw_grid(state: np.ndarray, style: Style) -> Drawing:
    """Draws a grid as coloured cells.

    0 and False have the first colour of the palette. A value beyond the palette has its own paler
    colour; a negative value is pale and struck through. One-hot planes, `[height, width, n]` or
    `[n, height, width]`, are drawn as the grid that they encode; other planes side by side.

    Raises:
      CannotDrawError: the array is not of integers or bools, has not two or three axes, or is
        empty.
    """
    array = np.asarray(state)
    if kind(array) not in ("int", "bool") or array.ndim not in (2, 3) or not array.size:
        raise CannotDrawError(f"{described(array)}: grid takes integers [height, width]")
    grids, notes = _grids(array)
    if len(grids) > 1:
        return side_by_side(grids, _one, style)
    drawing = _one(grids[0], style)
    return replace(drawing, notes=(*notes, *drawing.notes))


def grid_pixels(array: np.ndarray, palette: tuple[str, ...]) -> np.ndarray:
    """Colours the cells of what `draw_grid` draws: a pixel for each, uint8 `[height, width, 3]`.

    Several planes are side by side, with a white column between them.
    """
    grids, _ = _grids(array)
    coloured = [_coloured(thinned(grid)[0], palette) for grid in grids[:MOST_PLANES]]
    gap = np.full((len(coloured[0]), 1, 3), 255, np.uint8)
    return np.concatenate([part for one in coloured for part in (gap, one)][1:], axis=1)


def _grids(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The grids in an array, `[n, height, width]`, one for planes that are one-hot; and notes."""
    if array.ndim == 2:
        return as_integers(array)[None], ()
    planes = as_planes(as_integers(array))
    if len(planes) > 1 and (planes >= 0).all() and (planes.sum(0) == 1).all():
        return planes.argmax(0)[None], (f"one-hot of {len(planes)} values",)
    return planes, ()


def as_planes(array: np.ndarray) -> np.ndarray:
    """Returns a stack `[n, height, width]`; the planes may be along the first or the last axis.

    If one choice gives square planes, it is taken. Otherwise the planes are along the shorter of
    the two axes; if both are equal, along the last.
    """
    first, second, last = array.shape
    along_first = first < last and (first != second or second == last)
    along_first |= second == last != first
    return array if along_first else np.moveaxis(array, 2, 0)


def _one(grid: np.ndarray, style: Style) -> Drawing:
    height, width = grid.shape
    if max(height, width) > _MOST_CELLS:
        return _as_image(grid, style)
    cell = min(_LARGEST_CELL, style.size / max(height, width))
    cell = int(cell) if cell >= 3 else cell  # whole pixels give sharp edges
    values = np.unique(grid).tolist()
    cells = [
        element(
            "path",
            fill=colour_of(value, style.palette),
            d=_squares(grid == value),
            data_value=value,
        )
        for value in values
    ]
    lines = "".join(f"M{x} 0v{height}" for x in range(1, width))
    lines += "".join(f"M0 {y}h{width}" for y in range(1, height))
    struck = "".join(f"M{x} {y + 1}l1 -1" for y, x in np.argwhere(grid < 0).tolist())
    thin = f"{1 / cell:.3f}"
    body = element(
        "g",
        joined(
            (
                element("g", "".join(cells), class_="cells", shape_rendering="crispEdges"),
                struck and element("path", d=struck, stroke=_STRIKE, stroke_width=thin),
                lines and element("path", d=lines, stroke=_LINE, stroke_width=thin, opacity="0.55"),
            )
        ),
        transform=f"scale({cell:g})",
        fill="none",
    )
    frame = rect(0.5, 0.5, width * cell - 1, height * cell - 1, fill="none", stroke=_LINE)
    return Drawing(width * cell, height * cell, joined((body, frame)), _notes(values, style))


def _squares(mask: np.ndarray) -> str:
    """Returns the path of the cells of a mask; neighbours in a row share one rectangle."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    starts, ends = np.argwhere(edges == 1).tolist(), np.argwhere(edges == -1)[:, 1].tolist()
    return "".join(
        f"M{x} {y}h{end - x}v1h{x - end}z" for (y, x), end in zip(starts, ends, strict=True)
    )


def _as_image(grid: np.ndarray, style: Style) -> Drawing:
    notes = _notes([int(grid.min()), int(grid.max())], style)
    grid, thinning = thinned(grid)
    height, width = grid.shape
    scale = style.size / max(height, width)
    across, down = max(1.0, width * scale), max(1.0, height * scale)
    body = embedded(_coloured(grid, style.palette), across, down)
    return Drawing(across, down, body, (*thinning, *notes))


def _coloured(grid: np.ndarray, palette: tuple[str, ...]) -> np.ndarray:
    """The colour of each cell, uint8 `[height, width, 3]`."""
    values, indices = np.unique(grid, return_inverse=True)
    colours = [bytes.fromhex(colour_of(value, palette)[1:]) for value in values.tolist()]
    table = np.frombuffer(b"".join(colours), np.uint8).reshape(-1, 3)
    return table[indices.reshape(grid.shape)]


def _notes(values: list[int], style: Style) -> tuple[str, ...]:
    """Returns notes about values outside the palette."""
    low, high, largest = min(values), max(values), len(style.palette) - 1
    return (
        *((f"struck: negative, to {low}".replace("-", "\u2212"),) if low < 0 else ()),
        *((f"paler: above {largest}, to {high}",) if high > largest >= 0 else ()),
    )
