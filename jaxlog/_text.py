"""A number of things in words, with the noun that agrees with it."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Returns a number and its noun.

    Args:
      number: how many there are.
      one: the noun for one of them, with the words after it that agree with it.
      many: the same for several; by default `one` and an s.

    >>> counted(1, "run")
    '1 run'
    >>> counted(5000, "run is listed", "runs are listed")
    '5,000 runs are listed'
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
