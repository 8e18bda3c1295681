"""The statistics that settings can choose, as functions of the moments of a metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax

from jaxlog._format.keys import quantile
from jaxlog._program.statistics import Moments


@dataclass(frozen=True)
class MetricStatistics:
    """The statistics computed for one metric, known before the program runs.

    Attributes:
      statistics: the names, as `statistic` and `quantile` take them.
      edges: the edges of its histogram; empty for no histogram.
      per_episode: True if it has a value per episode, False for a scalar.
      floating: whether its dtype has infinities and NaN.
      accumulator: the name of the dtype in which it is accumulated.
    """

    statistics: tuple[str, ...]
    edges: tuple[float, ...] = ()
    per_episode: bool = True
    floating: bool = True
    accumulator: str = "float32"

    @property
    def has_quantiles(self) -> bool:
        """True if a quantile is among the statistics."""
        return any(quantile(name) is not None for name in self.statistics)


STATISTICS: dict[str, Callable[[Moments], jax.Array]] = {
    "mean": lambda moments: moments.mean,
    "std": lambda moments: moments.std,
    "min": lambda moments: moments.min,
    "max": lambda moments: moments.max,
    "sum": lambda moments: moments.mean * moments.count.astype(moments.mean.dtype),
    "count": lambda moments: moments.count,
}
"""The statistics other than quantiles that the setting `statistics` can name."""


def statistic(moments: Moments, name: str) -> jax.Array:
    """Computes a statistic by its name, for several metrics at once if `moments` is stacked.

    `rate`, of bools, and the empty name, of a scalar over the updates of a window, are the mean.
    """
    return STATISTICS["mean" if name in ("rate", "") else name](moments)
