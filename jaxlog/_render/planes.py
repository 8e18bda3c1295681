"""Several arrays beside each other: the planes of a stack, the parts of a state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from jaxlog._render.markup import MUTED, Drawing, joined, placed, text, text_width
from jaxlog._render.style import Style

_MOST = 9
_GAP = 10
_LABEL = 14

Draw = Callable[[np.ndarray, Style], Drawing]


def beside(planes: np.ndarray, draw: Draw, style: Style) -> Drawing:
    """The first planes of a stack `[n, height, width]`, each with its number, in a square."""
    shown = planes[:_MOST]
    columns = math.ceil(math.sqrt(len(shown)))
    smaller = replace(style, size=max(24, (style.size - (columns - 1) * _GAP) // columns))
    drawings = [(str(place), draw(plane, smaller)) for place, plane in enumerate(shown)]
    notes = (f"the first {_MOST} of {len(planes)} planes",) if len(planes) > _MOST else ()
    together = in_columns(drawings, columns)
    return replace(together, notes=(*notes, *together.notes))


def in_columns(drawings: Sequence[tuple[str, Drawing]], columns: int) -> Drawing:
    """Drawings in rows of so many, each under its label."""
    width = max(max(drawing.width, text_width(label) * 10) for label, drawing in drawings)
    body: list[str] = []
    top = 0.0
    for start in range(0, len(drawings), columns):
        row = drawings[start : start + columns]
        for place, (label, drawing) in enumerate(row):
            x = place * (width + _GAP)
            body.append(text(label, x, top + 10, 10, fill=MUTED, width=width))
            body.append(placed(drawing, x, top + _LABEL, drawing.width, drawing.height))
        top += _LABEL + max(drawing.height for _, drawing in row) + _GAP
    notes = dict.fromkeys(note for _, drawing in drawings for note in drawing.notes)
    across = min(columns, len(drawings))
    return Drawing(across * (width + _GAP) - _GAP, top - _GAP, joined(body), tuple(notes))
