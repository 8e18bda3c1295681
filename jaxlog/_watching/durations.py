"""Durations as short texts."""

from __future__ import annotations


def ago(seconds: float) -> str:
    """Formats a duration, rounded down to one unit.

    >>> ago(75), ago(7300), ago(90000)
    ('1 min', '2 h', '1 d')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
