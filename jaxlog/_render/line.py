"""Draws vectors as lines or bars."""

from __future__ import annotations

import numpy as np

from jaxlog._render.markup import (
    ACCENT,
    EDGE,
    MUTED,
    PANEL,
    Drawing,
    element,
    joined,
    number,
    rect,
    text,
    text_width,
)
from jaxlog._render.style import Style
from jaxlog._render.values import CannotDrawError, as_floats, described, kind, not_finite, shown

_MOST_LINES = 8
_MOST_BARS = 32
_MOST_POINTS = 480
"""The most points of a line; of a longer one, the extremes of groups of points are drawn."""
_TOP, _BOTTOM = 6, 16
_LABEL = 10  # the font size of the labels at the axes
_COLOURS = (
    ACCENT, "#d9822b", "#1a8f4c", "#b03a78", "#6a5acd", "#8a6d3b", "#2a9d9d", "#c8402f",
)  # fmt: skip


def draw_line(state: np.ndarray, style: Style) -> Drawing:
    """Draws a short vector as bars from zero, a longer one as a line, a stack `[k, n]` as k lines.

    Values that are not finite are gaps, and a note counts them.

    Raises:
      CannotDrawError: the array is not of numbers, has other axes, or is empty.
    """
    array = np.asarray(state)
    if kind(array) == "other" or array.ndim not in (1, 2) or not array.size:
        raise CannotDrawError(f"{described(array)}: line takes numbers [n] or [k, n]")
    rows = as_floats(array.reshape(-1, array.shape[-1]))
    notes = not_finite(rows)
    if len(rows) > _MOST_LINES:
        notes = (f"the first {_MOST_LINES} of {len(rows)} lines", *notes)
        rows = rows[:_MOST_LINES]
    length = rows.shape[1]
    bars = len(rows) == 1 and length <= _MOST_BARS
    finite = rows[np.isfinite(rows)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if bars:
        low, high = min(low, 0.0), max(high, 0.0)
    axis = _Axis(low, high, style.size, round(style.size * 0.55))
    if bars:
        marks = _bars(rows[0], axis)
    else:
        if length > _MOST_POINTS:
            rows, positions, group = _grouped(rows)
            notes = (f"{length} values: the range of every {group}", *notes)
        else:
            positions = np.arange(length, dtype=np.float64)
        marks = joined(
            _line(row, positions / max(length - 1, 1), axis, _COLOURS[index])
            for index, row in enumerate(rows)
        )
    body = joined((axis.behind(length), marks))
    return Drawing(axis.width, axis.height, body, notes)


class _Axis:
    """Maps values to coordinates, and draws the frame of the plot with its labels."""

    def __init__(self, low: float, high: float, width: int, height: int) -> None:
        self.low, self.high, self.width, self.height = low, high, width, height
        self.right = width - 2
        self.base = height - _BOTTOM
        marks = [high, low] if high > low else [low]
        if low < 0 < high and min(self.y(0) - self.y(high), self.y(low) - self.y(0)) > 12:
            marks.append(0.0)
        self.labels = {mark: shown(mark, 4) for mark in marks}
        self.left = 6 + max(40.0, *(_LABEL * text_width(label) for label in self.labels.values()))

    def y(self, value: float) -> float:
        # Halved first: the difference of the two largest floats would overflow.
        span = self.high / 2 - self.low / 2
        part = (value / 2 - self.low / 2) / span if span > 0 else 0.5
        return self.base - part * (self.base - _TOP)

    def x(self, part: float) -> float:
        return self.left + 4 + part * self.room

    @property
    def room(self) -> float:
        """The width inside the edges of the plot."""
        return self.right - self.left - 8

    def behind(self, length: int) -> str:
        left, top = self.left, _TOP - 4
        plot = rect(
            left, top, self.right - left, self.base - top + 4, fill=PANEL, stroke=EDGE, rx=3
        )
        if self.low < 0 < self.high:
            path = f"M{number(left)} {number(self.y(0))}H{self.right}"
            plot += element("path", d=path, stroke="#b4bfcc")
        labels = [
            text(label, left - 5, self.y(mark) + 3.5, _LABEL, fill=MUTED, anchor="end")
            for mark, label in self.labels.items()
        ]
        labels.append(text("0", left, self.height - 1, _LABEL, fill=MUTED))
        if length > 1:
            last = text(
                shown(length - 1), self.right, self.height - 1, _LABEL, fill=MUTED, anchor="end"
            )
            labels.append(last)
        return joined((plot, *labels))


def _bars(values: np.ndarray, axis: _Axis) -> str:
    room = axis.room / len(values)
    width = min(room * 0.76, 28)
    zero = axis.y(0)
    found = []
    for index, value in enumerate(values.tolist()):
        x = axis.left + 4 + index * room + (room - width) / 2
        if np.isfinite(value):
            y = axis.y(value)
            top, height = min(y, zero), max(abs(y - zero), 1)  # a bar of zero is visible too
            found.append(
                rect(
                    x, top, width, height, fill=ACCENT if value >= 0 else _COLOURS[1], class_="bar"
                )
            )
        else:
            label = {np.inf: "\u221e", -np.inf: "\u2212\u221e"}.get(value, "NaN")
            found.append(text(label, x + width / 2, zero - 3, 9, fill="#c8402f", anchor="middle"))
    return joined(found)


def _grouped(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns the extremes of groups of neighbours, their positions, and the size of a group."""
    length = rows.shape[1]
    group = -(-length // (_MOST_POINTS // 2))
    groups = -(-length // group)
    padded = np.full((len(rows), groups * group), np.nan)
    padded[:, :length] = np.where(np.isfinite(rows), rows, np.nan)
    parts = padded.reshape(len(rows), groups, group)
    # fmin and fmax ignore NaN, and are NaN only if a group has nothing else.
    ends = np.stack([np.fmin.reduce(parts, -1), np.fmax.reduce(parts, -1)], -1)
    starts = np.arange(groups) * group
    middles = np.minimum(starts + group / 2, length - 1)
    return ends.reshape(len(rows), -1), np.repeat(middles, 2), group


def _line(values: np.ndarray, parts: np.ndarray, axis: _Axis, colour: str) -> str:
    """Draws a polyline per stretch of finite values; a single value is a point."""
    found = []
    finite = np.isfinite(values)
    edges = np.flatnonzero(np.diff(np.pad(finite.astype(np.int8), 1)))
    for start, end in edges.reshape(-1, 2).tolist():
        points = [
            f"{number(axis.x(part))},{number(axis.y(value))}"
            for part, value in zip(
                parts[start:end].tolist(), values[start:end].tolist(), strict=True
            )
        ]
        if len(points) == 1:
            x, y = map(float, points[0].split(","))
            found.append(element("circle", cx=x, cy=y, r=1.8, fill=colour))
        else:
            found.append(
                element(
                    "polyline",
                    points=" ".join(points),
                    fill="none",
                    stroke=colour,
                    stroke_width=1.4,
                    stroke_linejoin="round",
                )
            )
    return joined(found)
