"""Draws cards: names and values in two columns, or an error in place of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxlog._render.markup import (
    BAD,
    EDGE,
    INK,
    MUTED,
    Drawing,
    element,
    joined,
    rect,
    shortened,
    text,
    text_width,
    wrapped,
    xml_text,
)
from jaxlog._render.style import Style
from jaxlog._render.values import described, is_array, shown

_MOST_ROWS = 24
_ROW = 22
_LONGEST = 500
"""The most characters of a text that are shown."""
_SMALL = 6
"""The most values of an array that are written out."""


def draw_card(parts: Iterable[tuple[str, Any]], style: Style) -> Drawing:
    """Lists the parts of a state by name; of longer arrays, it shows the dtype and shape."""
    rows = [(name or "state", worded(value)) for name, value in parts]
    return in_rows(rows, style.size * 1.2)


def in_rows(rows: Iterable[tuple[str, str]], width: float) -> Drawing:
    """Draws a row per pair: the name at the left, the value at the right, a line between rows."""
    all_rows = list(rows)
    shown_rows = all_rows[:_MOST_ROWS]
    longest = max((text_width(xml_text(name)) * 12 for name, _ in shown_rows), default=0)
    left = min(longest + 16, width * 0.55)
    body: list[str] = []
    for index, (name, value) in enumerate(shown_rows):
        base = index * _ROW + 15
        body.append(text(name, 0, base, 12, fill=MUTED, width=left - 8))
        value = shortened(value, (width - left) / 12)
        body.append(text(value, width, base, 12, fill=INK, anchor="end", weight="500"))
        if index:
            body.append(rect(0, index * _ROW - 0.5, width, 1, fill=EDGE, opacity=0.6))
    more = len(all_rows) - len(shown_rows)
    if not shown_rows:
        body.append(text("no values were logged", 0, 15, 12, fill=MUTED))
    height = max(len(shown_rows), 1) * _ROW
    return Drawing(width, height, joined(body), (f"and {more} more",) if more else ())


def worded(value: Any) -> str:
    """Formats a value for a row of a card."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "\u2026"
    if isinstance(value, bytes):
        return value[:200].decode("utf-8", "replace")
    if isinstance(value, bool | int | float | complex):
        return shown(value)
    if is_array(value) or isinstance(value, list | tuple):
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            return str(value)[:200]
        if array.dtype.kind in "OSU":
            return str(value)[:200]
        if array.ndim == 0:
            return shown(array[()])
        if array.ndim == 1 and 0 < array.size <= _SMALL:
            return ", ".join(shown(part) for part in array)
        return described(array)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {worded(part)}" for key, part in list(value.items())[:_SMALL])
    try:
        return str(value)[:200]
    except Exception:  # a user's own object
        return type(value).__name__


def draw_problem(reason: str, style: Style) -> Drawing:
    """Draws a panel that says why there is no picture."""
    width = float(style.size)
    lines = wrapped(xml_text(reason), (width - 28) / 12, 9)
    height = 46 + 17 * len(lines)
    words = [text(line, 14, 44 + 17 * index, 12, fill=INK) for index, line in enumerate(lines)]
    panel = rect(0.5, 0.5, width - 1, height - 1, rx=6, fill="#fdf3f1", stroke="#efc3bb")
    mark = element("circle", cx=20, cy=20, r=6, fill=BAD) + element(
        "path", d="M20 16.6v4M20 22.6v0.8", stroke="#ffffff", stroke_width=1.6
    )
    head = text("cannot be drawn", 32, 24, 12, fill=BAD, weight="600")
    return Drawing(width, height, joined((panel, mark, head, *words)))
