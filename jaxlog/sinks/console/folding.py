"""Folds the parts of an array, such as `achievements/wood`, into one value for displays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from jaxlog._format.events import Key
from jaxlog.sinks.console.values import Shown

MOST_PARTS = 4
"""The largest number of parts that have a row each."""


class Folded(NamedTuple):
    """The values of one statistic of all parts.

    Attributes:
      shown: their mean; values that are not finite are left out and counted.
      low: the smallest finite value of a part; NaN if there is none.
      high: the largest.
      names: the keys of the parts.
    """

    shown: Shown
    low: float
    high: float
    names: tuple[str, ...]


def fold(values: Mapping[str, Shown], keys: Mapping[str, Key]) -> dict[str, Folded]:
    """Folds keys that differ only in the part after the last slash, if there are many of them.

    Args:
      values: the values by key.
      keys: the meaning of each key.

    Returns:
      By a name like `achievements/*_rate (22)`, with the number of parts.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in values:
        group, slash, _ = keys[name].stem.rpartition("/")
        if slash and keys[name].statistic != "nonfinite":
            groups.setdefault((group, keys[name].statistic), []).append(name)
    found = {}
    for (group, statistic), names in groups.items():
        if len(names) > MOST_PARTS:
            ending = f"_{statistic}" if statistic else ""
            found[f"{group}/*{ending} ({len(names)})"] = _mean(names, values)
    return found


def _mean(names: list[str], values: Mapping[str, Shown]) -> Folded:
    parts = [values[name] for name in names]
    finite = [part for part in parts if math.isfinite(part.middle)]
    numbers = [part.middle for part in finite]
    shown = Shown(
        math.fsum(numbers) / len(numbers) if numbers else math.nan,
        None,
        min((part.alive for part in finite), default=0),
        max(part.logged for part in parts),
        sum(part.odd for part in parts) or len(parts) - len(finite),
    )
    return Folded(
        shown, min(numbers, default=math.nan), max(numbers, default=math.nan), tuple(names)
    )
