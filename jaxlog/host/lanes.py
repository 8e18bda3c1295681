"""Statistics over the lanes of a program: over seeds, say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxlog.events import Histogram, Lane


def interquartile_mean(values: np.ndarray) -> float:
    """The mean of what is left when the lowest and the highest quarter are taken off.

    Of n values, n // 4 are taken off at each end, as `scipy.stats.trim_mean(values, 0.25)` does. It
    is the measure over seeds that Agarwal et al. propose (NeurIPS 2021).

    >>> interquartile_mean(np.array([0.0, 1.0, 2.0, 99.0]))
    1.5
    """
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())


OVER_LANES: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda values: float(values.mean()),
    "std": lambda values: float(values.std()),
    "iqm": interquartile_mean,
}
"""What the setting `over_lanes` chooses from: a name, and a function of a value for each lane."""


def over_lanes(names: Sequence[str], lanes: Sequence[Lane]) -> dict[str, Mapping[str, float]]:
    """Some statistics of each metric over the lanes that have a finite value; of one lane, none."""
    if len(lanes) < 2 or not names:
        return {}
    values: dict[str, list[float]] = {}
    for lane in lanes:
        for key, value in lane.metrics.items():
            if not isinstance(value, Histogram) and np.isfinite(float(value)):
                values.setdefault(key, []).append(float(value))
    arrays = {key: np.array(found) for key, found in values.items()}
    return {name: {key: OVER_LANES[name](array) for key, array in arrays.items()} for name in names}
