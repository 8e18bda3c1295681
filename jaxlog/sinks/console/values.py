"""Values for displays: combined over lanes, and as short texts."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlog._format.across_lanes import numbers_of, values_across_lanes
from jaxlog._format.columns import Columns
from jaxlog._format.events import MetricsEvent
from jaxlog._format.media import word
from jaxlog._terminal import plain as plain

COUNTS = ("count", "nonfinite")
"""The statistics that count values, and so do not leave out non-finite ones."""


class Shown(NamedTuple):
    """The value of one key for all lanes, and the numbers that it leaves out.

    Attributes:
      middle: the mean over the lanes that are alive; of minima the smallest, of maxima the largest.
      spread: their standard deviation; None if there is none.
      alive: the number of lanes with a finite value.
      logged: the number of lanes with a value.
      odd: how many values of episodes of the metric were NaN or infinite.
    """

    middle: float
    spread: float | None = None
    alive: int = 1
    logged: int = 1
    odd: int = 0

    @property
    def beside(self) -> str:
        """The text after the value: its spread, and the numbers that it leaves out."""
        spread = f" ± {self.spread:.2g}" if self.spread and self.alive else ""
        return spread + (f" ({self.left_out})" if self.left_out else "")

    @property
    def left_out(self) -> str:
        """The lanes or values that the value leaves out; empty if none.

        >>> Shown(100.0, 2.0, alive=4, logged=8).left_out, Shown(100.0, odd=26).left_out
        ('4 of 8 lanes', '26 not finite')
        """
        if self.alive < self.logged and self.logged > 1:
            return f"{self.alive} of {self.logged} lanes"
        return f"{self.odd} not finite" if self.odd else ""

    def __str__(self) -> str:
        return number(self.middle) + self.beside


def over_lanes(event: MetricsEvent) -> dict[str, Shown]:
    """Combines each key of an event over its lanes, except histograms."""
    odd: dict[str, int] = {}
    for key, info in event.keys.items():
        if info.statistic == "nonfinite":
            odd[info.stem] = _total(event.columns, key)
    return {
        key: Shown(*value, odd.get(info.stem, 0) if info.statistic not in COUNTS else 0)
        for key, value in values_across_lanes(event.columns, event.keys).items()
        for info in (event.keys[key],)
    }


def described_over_lanes(event: MetricsEvent) -> dict[str, str]:
    """Describes each array that was logged whole, each image and each table.

    Of an array these are its shape and its range over all lanes, of the others their sizes.
    """
    columns = event.columns
    found: dict[str, str] = {}
    for name, arrays in columns.arrays.items():
        logged = columns.present.get(name)
        found[name] = array_text(list(arrays if logged is None else arrays[logged]))
    for name, values in columns.media.items() if event.has_media else ():
        words = {word(value): None for value in values if value is not None}
        if words:
            kind = next(iter(words)).partition(" ")[0]
            found[name] = next(iter(words)) if len(words) == 1 else f"{kind}s of several sizes"
    return found


def _total(columns: Columns, key: str) -> int:
    """The sum of the counts of one key over all lanes."""
    if key not in columns.values:
        return 0
    counts, logged = numbers_of(columns, key)
    return int(counts[logged].sum())


def array_text(arrays: Sequence[np.ndarray]) -> str:
    """Describes the arrays of one name in all lanes together, on one line.

    >>> array_text([np.array([[0, 3], [5, 1]])])
    '[2, 2] 0 … 5'
    >>> array_text([np.array([True, False]), np.array([True, True])])
    '[2] 3 of 4 true'
    """
    shapes = {array.shape for array in arrays}
    shape = str(list(arrays[0].shape)) if len(shapes) == 1 else "[…]"
    size = sum(array.size for array in arrays)
    if not size:
        return f"{shape} empty"
    if all(array.dtype == np.bool_ for array in arrays):
        true = sum(int(np.count_nonzero(array)) for array in arrays)
        return f"{shape} {true} of {size} true"
    floats = np.concatenate([array.reshape(-1).astype(np.float64) for array in arrays])
    finite = floats[np.isfinite(floats)]
    odd = f" ({size - finite.size} not finite)" if finite.size < size else ""
    if not finite.size:
        return f"{shape} NaN{odd}"
    low, high = number(float(finite.min())), number(float(finite.max()))
    return f"{shape} {low if low == high else f'{low} … {high}'}{odd}"


def number(value: float) -> str:
    """Formats a number with four digits, or with all digits before the decimal point.

    >>> [number(value) for value in (0.123456, 12.0, 123456.7, 1.5e9, math.nan)]
    ['0.1235', '12', '123457', '1.5e+09', 'NaN']
    """
    if math.isnan(value):
        return "NaN"
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def per_second(updates: float, unit: str = "update") -> str:
    """Formats the speed of a program, or its inverse if it is slow.

    >>> per_second(2.5), per_second(0.02)
    ('2.5 updates/s', '50 s/update')
    """
    return f"{number(updates)} {unit}s/s" if updates >= 0.1 else f"{number(1 / updates)} s/{unit}"


def summary_values(values: Mapping[str, Any]) -> dict[str, float | str]:
    """Converts the values of a summary to numbers and texts; other values are left out.

    >>> summary_values({"total_reward": np.float32(1.5), "success": np.True_, "task": "maze"})
    {'total_reward': 1.5, 'success': 'yes', 'task': 'maze'}
    """
    found: dict[str, float | str] = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value[()]
        if isinstance(value, bool | np.bool_):
            found[name] = "yes" if value else "no"
        elif isinstance(value, int | float | np.integer | np.floating):
            found[name] = float(value)
        elif isinstance(value, str | complex | np.complexfloating):
            found[name] = str(value)
        elif isinstance(value, np.generic):  # a half-precision type of JAX
            found[name] = float(value.astype(np.float64))
    return found


def text(value: float | str) -> str:
    """Formats a number or a text on one line."""
    return plain(value) if isinstance(value, str) else number(value)


def clock(seconds: float) -> str:
    """Formats a duration like a clock.

    >>> clock(3725.9)
    '1:02:05'
    """
    return str(datetime.timedelta(seconds=int(seconds)))
