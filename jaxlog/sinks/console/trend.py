"""The trend of a whole run, in bounded memory: evenly spaced values, and their drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

BLOCKS = "▁▂▃▄▅▆▇█"
NOT_FINITE = "x"
"""A value in a trend that is not finite."""

T = TypeVar("T")


class Thinned(Generic[T]):
    """Evenly spaced items of a sequence that grows: the first item of each range of positions.

    When there are more than `most` ranges, each two become one, and the second of their items is
    dropped. Which items are kept depends only on their positions.

    Args:
      most: the maximum number of items.

    Attributes:
      width: the length of a range.

    >>> thinned = Thinned[int](4)
    >>> for position in range(10):
    ...     thinned.add(position, position)
    >>> thinned.items(), thinned.width
    ([0, 4, 8], 4)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.width = 1
        self._positions: tuple[int, int] | None = None  # the lowest and the highest one
        self._kept: dict[int, T] = {}

    def add(self, position: int, item: T) -> None:
        """Adds an item, unless its range has one."""
        self.make_room(position)
        self._kept.setdefault(position // self.width, item)

    def make_room(self, position: int) -> None:
        """Widens the ranges until there are few enough up to a position."""
        low, high = self._positions or (position, position)
        self._positions = low, high = min(low, position), max(high, position)
        while high // self.width - low // self.width >= self._most:
            self.width *= 2
            wider: dict[int, T] = {}
            for number in sorted(self._kept):
                wider.setdefault(number // 2, self._kept[number])
            self._kept = wider  # a new dict, since another thread may read the old one

    def has(self, position: int, item: T) -> bool:
        """True if an item, which was added at a position, is kept."""
        return self._kept.get(position // self.width) is item

    def items(self) -> list[T]:
        """The items that are kept, in the order of their positions."""
        kept = dict(self._kept)
        return [kept[number] for number in sorted(kept)]


def condensed(values: Sequence[float | None], width: int) -> list[float | None]:
    """Combines neighbours so that at most `width` values are left, and covers all of them.

    Each is the mean of its part; NaN if one of the part is not finite, and None if none has a
    value.

    >>> condensed([1.0, 3.0, None, 5.0, None, None], 3), condensed([0.1] * 6, 2)
    ([2.0, 5.0, None], [0.1, 0.1])
    """
    size = len(values)
    if size <= width:
        return list(values)
    parts = [values[i * size // width : (i + 1) * size // width] for i in range(width)]
    return [_mean([value for value in part if value is not None]) for part in parts]


def _mean(values: Sequence[float]) -> float | None:
    if not values:
        return None
    if not _all_finite(values):
        return math.nan
    # Divided before the sum, so that the largest floats do not overflow.
    mean = sum(value / len(values) for value in values)
    return min(max(mean, min(values)), max(values))  # equal values have no other mean


def _all_finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))


def sparkline(values: Sequence[float | None]) -> str:
    """Draws values as blocks: a gap for no value, a cross for one that is not finite.

    >>> sparkline([1, 2, None, float("nan"), 3, 4])
    '▁▃ x▆█'
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    # Halved before the subtraction, so that the largest floats do not overflow.
    span = high / 2 - low / 2
    top = len(BLOCKS) - 1

    def block(value: float | None) -> str:
        if value is None:
            return " "
        if not math.isfinite(value):
            return NOT_FINITE
        return BLOCKS[round((value / 2 - low / 2) / span * top)] if span else "▄"

    return "".join(map(block, values))
