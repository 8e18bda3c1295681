"""Statistics over the lanes of a call, with one rule for missing and non-finite values.

A lane without a value of a metric (no episode ended) is left out. A lane whose value is not finite
is left out too, but counted: it logged, and is not alive. Each result says how many lanes logged a
value, and how many of these are alive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._format.columns import Columns
from jaxlog._format.events import Histogram, Key

EXTREMES = ("min", "max")
"""The statistics that are combined over lanes by their extreme, without a spread."""


class AcrossLanes(NamedTuple):
    """One value for all lanes, or an array of such values.

    Attributes:
      middle: float64, the mean over the lanes that are alive; the smallest of minima, the largest
        of maxima. If lanes logged but none is alive, their sum, which is infinite or NaN; NaN if no
        lane logged.
      spread: float64, the standard deviation over the lanes that are alive (divided by n, not
        n - 1); NaN for minima and maxima, and if no lane is alive.
      alive: int64, the number of lanes with a finite value.
      logged: int64, the number of lanes with a value.
    """

    middle: np.ndarray
    spread: np.ndarray
    alive: np.ndarray
    logged: np.ndarray


def across_lanes(
    values: np.ndarray, logged: np.ndarray | None = None, statistic: str = ""
) -> AcrossLanes:
    """Combines the values of a metric over its lanes.

    Args:
      values: `float64[lanes, ...]`; entries that were not logged are ignored.
      logged: `bool`, of that shape, which entries were logged; None for all.
      statistic: the statistic that the values are, as in `Key.statistic`.

    >>> found = across_lanes(np.array([1.0, 3.0, np.nan]))
    >>> float(found.middle), float(found.spread), int(found.alive), int(found.logged)
    (2.0, 1.0, 2, 3)
    """
    values = np.asarray(values, np.float64)
    logged = np.ones(values.shape, bool) if logged is None else logged
    if statistic == "nonfinite":  # a lane without non-finite values does not log this key
        values = np.where(logged, values, 0.0)
        logged = np.broadcast_to(logged.any(axis=0), values.shape)
    return _combined(values, logged, statistic, _Lanes())


def across_lanes_of_points(
    values: np.ndarray, point: np.ndarray, points: int, lanes: int, statistic: str = ""
) -> AcrossLanes:
    """Combines what lanes logged at each point, as `across_lanes` does, without a row per lane.

    Args:
      values: `float64[rows]`, a row for each value that a lane logged.
      point: `int64[rows]`, the point of each, below `points`.
      points: the number of points; at each, a lane has logged a value.
      lanes: the number of lanes, also of those that did not log at a point.
      statistic: as in `across_lanes`.

    >>> found = across_lanes_of_points(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1]), 2, 2)
    >>> found.middle.tolist(), found.logged.tolist()
    ([2.0, 5.0], [2, 1])
    """
    weight = None
    if statistic == "nonfinite":  # as in `across_lanes`; the zeros are one row with their number
        values = np.append(values, np.zeros(points))
        weight = np.append(np.ones(len(point)), lanes - np.bincount(point, minlength=points))
        point = np.append(point, np.arange(points))
        values, weight, point = values[weight > 0], weight[weight > 0], point[weight > 0]
    return _combined(
        values, np.ones(len(values), np.bool_), statistic, _Points(point, points, weight)
    )


class _Lanes:
    """Reduces arrays over their first axis."""

    def sum(self, entries: np.ndarray) -> np.ndarray:
        return entries.sum(axis=0)

    def min(self, entries: np.ndarray) -> np.ndarray:
        return entries.min(axis=0, initial=np.inf)

    def max(self, entries: np.ndarray) -> np.ndarray:
        return entries.max(axis=0, initial=-np.inf)

    def of_entries(self, found: np.ndarray) -> np.ndarray:
        return found


class _Points(NamedTuple):
    """Reduces the entries of each point.

    Attributes:
      point: the point of each entry.
      points: the number of points.
      weight: how many equal entries each is; None if each is one.
    """

    point: np.ndarray
    points: int
    weight: np.ndarray | None

    def sum(self, entries: np.ndarray) -> np.ndarray:
        weighted = entries if self.weight is None else entries * self.weight
        return np.bincount(self.point, weighted, self.points)

    def min(self, entries: np.ndarray) -> np.ndarray:
        found = np.full(self.points, np.inf)
        np.minimum.at(found, self.point, entries)
        return found

    def max(self, entries: np.ndarray) -> np.ndarray:
        found = np.full(self.points, -np.inf)
        np.maximum.at(found, self.point, entries)
        return found

    def of_entries(self, found: np.ndarray) -> np.ndarray:
        return found[self.point]


def _combined(
    values: np.ndarray, logged: np.ndarray, statistic: str, over: _Lanes | _Points
) -> AcrossLanes:
    alive = logged & np.isfinite(values)
    count = over.sum(alive).astype(np.int64, copy=False)
    low = over.min(np.where(alive, values, np.inf))
    high = over.max(np.where(alive, values, -np.inf))
    with np.errstate(all="ignore"):  # 0 / 0 is NaN, as documented
        if statistic in EXTREMES:
            middle = np.where(count > 0, low if statistic == "min" else high, np.nan)
            spread = np.full(count.shape, np.nan)
        else:
            middle = over.sum(np.where(alive, values, 0.0)) / count
            # The mean of equal numbers has to be exactly that number.
            middle = np.where(low == high, low, np.clip(middle, low, high))
            middle = np.where(count > 0, middle, np.nan)
            apart = np.where(alive, values - over.of_entries(middle), 0.0)
            spread = np.sqrt(over.sum(np.square(apart)) / count)
        total = over.sum(logged).astype(np.int64, copy=False)
        dead = (count == 0) & (total > 0)
        if dead.any():
            middle = np.where(dead, over.sum(np.where(logged, values, 0.0)), middle)
    return AcrossLanes(middle, spread, count, total)


class Value(NamedTuple):
    """One key combined over all lanes.

    Attributes:
      middle: as in `AcrossLanes`.
      spread: as in `AcrossLanes`; None for a single lane, and for minima and maxima.
      alive: the number of lanes with a finite value.
      logged: the number of lanes with a value.
    """

    middle: float
    spread: float | None
    alive: int
    logged: int


def values_across_lanes(columns: Columns, keys: Mapping[str, Key]) -> dict[str, Value]:
    """Combines each key of one event over its lanes, except histograms and keys without a value.

    Args:
      columns: the columns of a `MetricsEvent`.
      keys: the keys of the event.
    """
    by_statistic: dict[str, list[str]] = {}
    for key, info in keys.items():
        if key in columns.values and key not in columns.edges:
            special = info.statistic in (*EXTREMES, "nonfinite")
            by_statistic.setdefault(info.statistic if special else "", []).append(key)
    found: dict[str, Value] = {}
    for statistic, own in by_statistic.items():
        # NumPy adds up the rows of this layout in another order than those of other layouts.
        values = np.empty((len(columns), len(own)), np.float64)
        logged = np.ones(values.shape, np.bool_)
        for place, key in enumerate(own):
            column = columns.values[key]
            if key in columns.present or column.dtype == object:
                column, logged[:, place] = numbers_of(columns, key)
            values[:, place] = column
        result = across_lanes(values, logged, statistic)
        parts = zip(own, *(part.tolist() for part in result), strict=True)
        for key, middle, spread, alive, total in parts:
            if total:
                several = total > 1 and statistic not in EXTREMES
                found[key] = Value(middle, spread if several else None, alive, total)
    return {key: found[key] for key in keys if key in found}


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis without the lowest and the highest quarter of the values.

    It leaves out n // 4 of n values at each end, as `scipy.stats.trim_mean(values, 0.25)` does.
    Agarwal et al. (NeurIPS 2021) propose it for results over seeds.

    >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 99.0])))
    1.5
    """
    size = values.shape[-1]
    return np.sort(values, axis=-1)[..., size // 4 : size - size // 4].mean(axis=-1)


OVER_LANES: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda values: float(across_lanes(values).middle),
    "std": lambda values: float(across_lanes(values).spread),
    "iqm": lambda values: float(interquartile_mean(values)),
}
"""The statistics that the setting `over_lanes` can name, as functions of the values of the lanes
that are alive. They do not depend on the key: for minima, `mean` is the mean of the minima."""


def over_lanes(
    names: Sequence[str], columns: Columns, keys: Mapping[str, Key]
) -> dict[str, Mapping[str, float]]:
    """Computes the lines of the setting `over_lanes`; empty for a single lane.

    Each statistic is computed over the lanes that are alive. If these are not all lanes,
    `{key}_lanes` is their number; if lanes logged but none is alive, the statistic is NaN.
    """
    if len(columns) < 2 or not names:
        return {}
    arrays: dict[str, np.ndarray] = {}
    for key, info in keys.items():
        if key not in columns.values or key in columns.edges:
            continue
        values, logged = numbers_of(columns, key)
        if info.statistic == "nonfinite" and logged.any():
            values, logged = np.where(logged, values, 0.0), np.ones_like(logged)  # none means 0
        if logged.any():
            arrays[key] = values[logged & np.isfinite(values)]
    fewer = {f"{key}_lanes": float(a.size) for key, a in arrays.items() if a.size < len(columns)}
    return {
        name: {key: OVER_LANES[name](a) if a.size else np.nan for key, a in arrays.items()} | fewer
        for name in names
    }


def numbers_of(columns: Columns, key: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of one key as `float64[n]`, and `bool[n]`, which lanes have one.

    Where a lane has none, or another event's histogram, its number is NaN.
    """
    column = columns.values[key]
    logged = columns.present.get(key)
    logged = np.ones(len(column), np.bool_) if logged is None else logged
    if column.dtype == object:  # numbers of several types, which float converts one by one
        logged = logged & np.array([not isinstance(one, Histogram) for one in column], np.bool_)
        column = np.array(
            [float(one) if has else np.nan for one, has in zip(column, logged, strict=True)]
        )
    return np.where(logged, column.astype(np.float64), np.nan), logged
