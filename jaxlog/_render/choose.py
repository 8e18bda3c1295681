"""Chooses the renderer of a state: one by name, the user's own, or one that suits its arrays."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from jaxlog._render.card import draw_card, in_rows, worded
from jaxlog._render.foreign import embedded
from jaxlog._render.grid import as_planes, draw_grid
from jaxlog._render.image import draw_image
from jaxlog._render.left_out import shown_parts
from jaxlog._render.line import draw_line
from jaxlog._render.markup import Drawing, joined, placed
from jaxlog._render.planes import in_columns, side_by_side
from jaxlog._render.style import Draws, Style
from jaxlog._render.values import CannotDrawError, as_integers, is_array, kind
from jaxlog._text import counted

_OF_ARRAYS: dict[str, Callable[[np.ndarray, Style], Drawing]] = {
    "grid": draw_grid,
    "image": draw_image,
    "line": draw_line,
}
RENDERERS = ("auto", *_OF_ARRAYS, "card")
"""The names of the renderers."""
OWN = "package.module:function, a function of yours that takes a state and returns an SVG as text"

MOST_PARTS = 4
"""The most arrays of one state that are drawn."""
_MOST_NUMBERS = 6
_FEW_VALUES = 32
"""Integers below this are taken for symbols and drawn as a grid; others as a heat map."""


def load(name: str) -> str | Draws:
    """Returns a renderer by name: the name itself, or the user's function, which it imports.

    Raises:
      ValueError: there is no such renderer; the text lists those there are.
    """
    if name in RENDERERS:
        return name
    module, colon, path = name.partition(":")
    takes = f"one of {', '.join(RENDERERS)}, or {OWN}"
    if not (colon and module and path):
        raise ValueError(f"got {name!r}, takes {takes}")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever the user's module raises
        raise ValueError(
            f"got {name!r}, which cannot be imported ({type(error).__name__}: {error}), takes "
            f"{takes}"
        ) from error
    if not callable(found):
        raise ValueError(f"got {name!r}, which is a {type(found).__name__}, takes {takes}")
    return cast("Draws", found)


def draw(state: Any, style: Style, prefix: str) -> Drawing:
    """Draws a state.

    Args:
      state: an array, a number, or a structure of these.
      style: the renderer, the palette and the size.
      prefix: the prefix of identifiers in an SVG that is drawn by the state or by the user's
        function.

    Raises:
      Exception: the function of the user or of the state failed.
      ValueError: the renderer cannot draw such a state, or did not return an SVG.
    """
    if not isinstance(style.renderer, str):
        return _fitted(embedded(style.renderer(_copied(state)), prefix), style)
    if style.renderer == "auto":
        for name in ("to_svg", "_repr_svg_"):
            own = getattr(state, name, None)
            if callable(own):
                return _fitted(embedded(own(), prefix), style)
    parts, left_out = shown_parts(state)
    if style.renderer == "auto":
        drawing = _of_parts(parts, style)
    elif style.renderer == "card":
        drawing = draw_card(parts, style)
    else:
        drawing = _of_first_array(state, parts, style)
    return replace(drawing, notes=(*drawing.notes, *left_out))


def _copied(state: Any) -> Any:
    """A copy that the user's function may draw in: the arrays of an event are read-only."""
    try:
        return copy.deepcopy(state)
    except Exception:  # a node of the user's that cannot be copied
        return state


def _fitted(drawing: Drawing, style: Style) -> Drawing:
    """Scales a drawing to the size of the style."""
    scale = style.size / max(drawing.width, drawing.height)
    width, height = max(1.0, drawing.width * scale), max(1.0, drawing.height * scale)
    return replace(drawing, width=width, height=height, body=placed(drawing, 0, 0, width, height))


def _of_first_array(state: Any, parts: Iterable[tuple[str, Any]], style: Style) -> Drawing:
    """Draws the first part of a state that the renderer of the style can draw."""
    assert isinstance(style.renderer, str)
    renderer = _OF_ARRAYS[style.renderer]
    first: CannotDrawError | None = None
    for _, value in parts:
        if is_array(value) or isinstance(value, bool | int | float):
            try:
                return renderer(np.asarray(value), style)
            except CannotDrawError as error:
                first = first or error
    raise first or CannotDrawError(
        f"{type(state).__name__}: has no arrays; draw it with the renderer card, or one of your own"
    )


def _of_parts(parts: Sequence[tuple[str, Any]], style: Style) -> Drawing:
    """Draws each part of a state with a suitable renderer; parts in words are listed below."""
    drawn: list[tuple[str, Drawing]] = []
    listed: list[tuple[str, str]] = []
    arrays = [value for _, value in parts if is_array(value) and suiting(value) is not None]
    columns = 1 if len(arrays) < 2 else 2
    smaller = replace(style, size=style.size if columns == 1 else (style.size - 10) // 2)
    for name, value in parts:
        suits = suiting(value) if is_array(value) and len(drawn) < MOST_PARTS else None
        if suits is None:
            listed.append((name or "state", worded(value)))
        else:
            drawn.append((name, suits(value, smaller)))
    if not drawn:
        return in_rows(listed, style.size * 1.2 if len(parts) > 1 else style.size * 0.7)
    if len(drawn) == 1 and not listed:
        return drawn[0][1]
    pictures = in_columns(drawn, columns)
    if not listed:
        return pictures
    rows = in_rows(listed[:_MOST_NUMBERS], max(pictures.width, style.size * 0.8))
    more = len(listed) - _MOST_NUMBERS
    left = counted(more, "more part")
    body = joined(
        (
            placed(pictures, 0, 0, pictures.width, pictures.height),
            placed(rows, 0, pictures.height + 10, rows.width, rows.height),
        )
    )
    return Drawing(
        max(pictures.width, rows.width),
        pictures.height + 10 + rows.height,
        body,
        (*pictures.notes, *((f"and {left}",) if more > 0 else ())),
    )


def suiting(value: Any) -> Callable[[np.ndarray, Style], Drawing] | None:
    """Returns the renderer that suits an array; None if it is better described in words."""
    array = np.asarray(value)
    values = kind(array)
    if values == "other" or not array.size:
        return None
    if array.ndim == 1:
        return draw_line if array.size > 1 else None
    numbers = as_integers(array) if values == "int" else np.zeros(1, int)
    few = values != "float" and -_FEW_VALUES < numbers.min() <= numbers.max() < _FEW_VALUES
    if array.ndim == 2:
        return draw_grid if few else draw_image
    if array.ndim != 3:
        return None
    channels = array.shape[2]
    if channels == 1:
        return _squeezed
    if channels in (3, 4):
        # A grid world's observation: small, with few distinct symbols.
        symbols = few and numbers.max() < _FEW_VALUES // 2 and max(array.shape[:2]) <= 32
        if (array.dtype == np.uint8 and not symbols) or (values == "float" and channels == 3):
            return draw_image
    return draw_grid if few else _heat_maps


def _squeezed(array: np.ndarray, style: Style) -> Drawing:
    renderer = suiting(array[:, :, 0])
    assert renderer is not None
    return renderer(array[:, :, 0], style)


def _heat_maps(array: np.ndarray, style: Style) -> Drawing:
    return side_by_side(as_planes(array), draw_image, style)
