"""Statistics over the lanes of a call: one arithmetic, one rule for what is missing or not finite.

A lane that logged no value of a metric (no episode ended) has no part in it. A lane whose value is
not finite has none either, but it is counted: it logged, and is not alive. So each result says how
many lanes logged a value, and how many of these are alive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._format.events import Key, Lane

EXTREMES = ("min", "max")
"""The statistics of which all lanes together have the extreme, and no spread."""


class AcrossLanes(NamedTuple):
    """One value for all lanes, at one or several places.

    Attributes:
      middle: float64, the mean over the lanes that are alive; the smallest of minima, the largest
        of maxima. Where lanes logged and none is alive, their sum: an infinity, or NaN. NaN where
        none logged.
      spread: float64, the standard deviation over the lanes that are alive (over n, not n - 1);
        NaN of minima and maxima, and where no lane is alive.
      alive: int64, how many lanes have a finite value.
      logged: int64, how many have a value.
    """

    middle: np.ndarray
    spread: np.ndarray
    alive: np.ndarray
    logged: np.ndarray


def across_lanes(
    values: np.ndarray, logged: np.ndarray | None = None, statistic: str = ""
) -> AcrossLanes:
    """The lanes of a metric as one value.

    Args:
      values: float64, shaped (lanes, ...); anything where nothing was logged.
      logged: bool, of that shape: where a lane logged a value; None for everywhere.
      statistic: what the values are, as `Key.statistic` says.

    >>> found = across_lanes(np.array([1.0, 3.0, np.nan]))
    >>> float(found.middle), float(found.spread), int(found.alive), int(found.logged)
    (2.0, 1.0, 2, 3)
    """
    values = np.asarray(values, np.float64)
    logged = np.ones(values.shape, bool) if logged is None else logged
    if statistic == "nonfinite":  # its key is left out where there were none
        values = np.where(logged, values, 0.0)
        logged = np.broadcast_to(logged.any(axis=0), values.shape)
    alive = logged & np.isfinite(values)
    count = alive.sum(axis=0)
    low = np.where(alive, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(alive, values, -np.inf).max(axis=0, initial=-np.inf)
    with np.errstate(all="ignore"):  # 0 / 0 is NaN, as said above
        if statistic in EXTREMES:
            middle = np.where(count > 0, low if statistic == "min" else high, np.nan)
            spread = np.full(count.shape, np.nan)
        else:
            middle = np.where(alive, values, 0.0).sum(axis=0) / count
            # The mean of equal numbers is that number, to the last bit.
            middle = np.where(low == high, low, np.clip(middle, low, high))
            middle = np.where(count > 0, middle, np.nan)
            apart = np.where(alive, values - middle, 0.0)
            spread = np.sqrt(np.square(apart).sum(axis=0) / count)
        total = logged.sum(axis=0)
        dead = (count == 0) & (total > 0)
        if dead.any():
            middle = np.where(dead, np.where(logged, values, 0.0).sum(axis=0), middle)
    return AcrossLanes(middle, spread, count, total)


class Value(NamedTuple):
    """What all lanes have of one key.

    Attributes:
      middle: as in `AcrossLanes`.
      spread: the same; None where there is none: of one lane, and of minima and maxima.
      alive: how many lanes have a finite value.
      logged: how many lanes have a value.
    """

    middle: float
    spread: float | None
    alive: int
    logged: int


def values_across_lanes(lanes: Sequence[Lane], keys: Mapping[str, Key]) -> dict[str, Value]:
    """One value of each key for all lanes of one event; of histograms, and where none logged, none.

    Args:
      lanes: those of a `MetricsEvent`.
      keys: its keys.
    """
    by_statistic: dict[str, list[str]] = {}
    for key, info in keys.items():
        if info.statistic != "histogram":
            special = info.statistic in (*EXTREMES, "nonfinite")
            by_statistic.setdefault(info.statistic if special else "", []).append(key)
    found: dict[str, Value] = {}
    for statistic, own in by_statistic.items():
        rows = [[lane.metrics.get(key) for key in own] for lane in lanes]
        logged = np.array([[value is not None for value in row] for row in rows], bool)
        values = np.array(
            [[np.nan if value is None else float(value) for value in row] for row in rows],
            np.float64,
        )
        result = across_lanes(values.reshape(-1, len(own)), logged.reshape(-1, len(own)), statistic)
        columns = zip(own, *(part.tolist() for part in result), strict=True)
        for key, middle, spread, alive, total in columns:
            if total:
                several = total > 1 and statistic not in EXTREMES
                found[key] = Value(middle, spread if several else None, alive, total)
    return {key: found[key] for key in keys if key in found}


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """The mean, along the last axis, of what is left without the lowest and the highest quarter.

    Of n values, n // 4 are taken off at each end, as `scipy.stats.trim_mean(values, 0.25)` does. It
    is the measure over seeds that Agarwal et al. propose (NeurIPS 2021).

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
"""What the setting `over_lanes` chooses from: a name, and a function of the lanes that are alive,
whatever the statistic of the key is: the mean of minima, too."""


def over_lanes(
    names: Sequence[str], lanes: Sequence[Lane], keys: Mapping[str, Key]
) -> dict[str, Mapping[str, float]]:
    """The lines over all lanes that the setting `over_lanes` asks for; of one lane, none.

    Each statistic is computed over the lanes that are alive. Where these are not all lanes,
    `{key}_lanes` says how many they are; where lanes logged and none is alive, it is NaN.
    """
    if len(lanes) < 2 or not names:
        return {}
    arrays: dict[str, np.ndarray] = {}
    for key, info in keys.items():
        values = [lane.metrics.get(key) for lane in lanes]
        if info.statistic == "nonfinite" and any(value is not None for value in values):
            values = [0 if value is None else value for value in values]  # there were none
        found = [float(value) for value in values if value is not None]
        if found:
            arrays[key] = np.array([value for value in found if np.isfinite(value)])
    fewer = {f"{key}_lanes": float(a.size) for key, a in arrays.items() if a.size < len(lanes)}
    return {
        name: {key: OVER_LANES[name](a) if a.size else np.nan for key, a in arrays.items()} | fewer
        for name in names
    }
