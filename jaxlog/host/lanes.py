"""Statistics over the lanes of a program: over seeds, say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxlog.events import Histogram, Key, Lane


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
    "mean": lambda values: float(values.mean()),
    "std": lambda values: float(values.std()),
    "iqm": lambda values: float(interquartile_mean(values)),
}
"""What the setting `over_lanes` chooses from: a name, and a function of a value for each lane."""


def over_lanes(
    names: Sequence[str], lanes: Sequence[Lane], keys: Mapping[str, Key]
) -> dict[str, Mapping[str, float]]:
    """Some statistics of each metric over the lanes that have a finite value; of one lane, none.

    Where some lanes have none, `{key}_lanes` says how many have.
    """
    if len(lanes) < 2 or not names:
        return {}
    arrays: dict[str, np.ndarray] = {}
    for key, info in keys.items():
        values = [lane.metrics.get(key) for lane in lanes]
        if info.statistic == "nonfinite" and any(value is not None for value in values):
            values = [0 if value is None else value for value in values]  # there were none
        found = [float(v) for v in values if v is not None and not isinstance(v, Histogram)]
        array = np.array([value for value in found if np.isfinite(value)])
        if array.size:
            arrays[key] = array
    fewer = {f"{key}_lanes": float(a.size) for key, a in arrays.items() if a.size < len(lanes)}
    return {
        name: {key: OVER_LANES[name](array) for key, array in arrays.items()} | fewer
        for name in names
    }
