"""Draws several arrays side by side: the planes of a stack, or the parts of a state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from jaxlog._render.markup import MUTED, Drawing, joined, placed, text, text_width
from jaxlog._render.style import Style

MOST_PLANES = 9
"""The most planes of a stack that are drawn."""
_GAP = 10
_LABEL = 14

Draw = Callable[[np.ndarray, Style], Drawing]


def side_by_side(planes: np.ndarray, draw: Draw, style: Style) -> Drawing:
    """Draws the first planes of a stack `[n, height, width]` in a square, with their numbers."""
    shown = planes[:MOST_PLANES]
    columns = math.ceil(math.sqrt(len(shown)))
    smaller = replace(style, size=max(24, (style.size - (columns - 1) * _GAP) // columns))
    drawings = [(str(index), draw(plane, smaller)) for index, plane in enumerate(shown)]
    notes = (
        (f"the first {MOST_PLANES} of {len(planes)} planes",) if len(planes) > MOST_PLANES else ()
    )
    square = in_columns(drawings, columns)
    return replace(square, notes=(*notes, *square.notes))


def in_columns(drawings: Sequence[tuple[str, Drawing]], columns: int) -> Drawing:
    """Places drawings in rows of `columns`, each below its label."""
    width = max(max(drawing.width, text_width(label) * 10) for label, drawing in drawings)
    body: list[str] = []
    top = 0.0
    for start in range(0, len(drawings), columns):
        row = drawings[start : start + columns]
        for column, (label, drawing) in enumerate(row):
            x = column * (width + _GAP)
            body.append(text(label, x, top + 10, 10, fill=MUTED, width=width))
            body.append(placed(drawing, x, top + _LABEL, drawing.width, drawing.height))
        top += _LABEL + max(drawing.height for _, drawing in row) + _GAP
    notes = dict.fromkeys(note for _, drawing in drawings for note in drawing.notes)
    across = min(columns, len(drawings))
    return Drawing(across * (width + _GAP) - _GAP, top - _GAP, joined(body), tuple(notes))
