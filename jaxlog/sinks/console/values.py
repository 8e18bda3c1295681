"""One value for all lanes, and how values read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxlog.events import MetricsEvent

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TOLD_WITH_SPREAD = ("", "mean", "rate")
"""The statistics of which lanes have a mean and a spread; of others, a mean."""


class Value(NamedTuple):
    """What all lanes have of one key.

    Attributes:
      value: the mean over lanes; the smallest of minima, the largest of maxima.
      spread: the standard deviation over lanes; None where all are the same.
    """

    value: float
    spread: float | None = None

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2g}"
        return f"{number(self.value)}{spread}"


def over_lanes(event: MetricsEvent) -> dict[str, Value]:
    """One value for all lanes that have one, by key; histograms have none."""
    lanes = [lane.metrics for lane in event.lanes]
    found = {}
    for key, info in event.keys.items():
        if info.statistic == "histogram":
            continue
        values = [metrics[key] for metrics in lanes if key in metrics]
        if values:
            with np.errstate(all="ignore"):  # inf - inf is NaN, and is shown
                found[key] = _one_value(values, info.statistic)
    return found


def _one_value(values: list[Any], statistic: str) -> Value:
    if len(values) == 1:
        return Value(float(values[0]))
    array = np.array(values, np.float64)
    # NumPy's methods cost four times what its ufuncs do on an array of a few lanes.
    low, high = float(np.minimum.reduce(array)), float(np.maximum.reduce(array))
    if statistic in ("min", "max"):
        return Value(low if statistic == "min" else high)
    if low == high:
        return Value(low)
    mean = float(np.add.reduce(array)) / len(values)
    if statistic not in _TOLD_WITH_SPREAD or not np.isfinite(mean):
        return Value(mean)
    array -= mean
    return Value(mean, float(np.dot(array, array) / len(values)) ** 0.5)


def number(value: float) -> str:
    """A number in four digits, or in all that are before the point.

    >>> [number(value) for value in (0.123456, 12.0, 123456.7, 1.5e9)]
    ['0.1235', '12', '123457', '1.5e+09']
    """
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def told(values: Mapping[str, Any]) -> dict[str, float | str]:
    """What a summary says, as numbers and texts; what is neither is left out.

    >>> told({"total_reward": np.float32(1.5), "success": np.True_, "task": "maze", "path": [1, 2]})
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
        elif isinstance(value, np.generic):  # a half-precision type of JAX's
            found[name] = float(value.astype(np.float64))
    return found


def text(value: float | str) -> str:
    """A number or a text, on one line."""
    return plain(value) if isinstance(value, str) else number(value)


def plain(text: str) -> str:
    r"""A text on one line, without what would steer a terminal: names and labels may be anyone's.

    >>> plain("two\nlines, \x1b[31mred")
    'two lines, �[31mred'
    """
    return _CONTROL.sub("�", " ".join(text.split()))


def clock(seconds: float) -> str:
    """A duration, as a clock shows it.

    >>> clock(3725.9)
    '1:02:05'
    """
    return str(datetime.timedelta(seconds=int(seconds)))
