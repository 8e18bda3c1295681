"""The statistics of a metric: those that settings choose from, and what they are computed from."""

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
      statistics: names, as `statistic` and `quantile` take them.
      edges: of its histogram; empty for none.
      per_episode: whether it has a value per episode, or is a scalar.
      floating: whether a value may be infinite or NaN.
      accumulator: the name of the dtype in which it is accumulated.
    """

    statistics: tuple[str, ...]
    edges: tuple[float, ...] = ()
    per_episode: bool = True
    floating: bool = True
    accumulator: str = "float32"

    @property
    def has_quantiles(self) -> bool:
        """Whether a quantile is among the statistics."""
        return any(quantile(name) is not None for name in self.statistics)


STATISTICS: dict[str, Callable[[Moments], jax.Array]] = {
    "mean": lambda moments: moments.mean,
    "std": lambda moments: moments.std,
    "min": lambda moments: moments.min,
    "max": lambda moments: moments.max,
    "sum": lambda moments: moments.mean * moments.count.astype(moments.mean.dtype),
    "count": lambda moments: moments.count,
}
"""What the setting `statistics` chooses from, beside quantiles: a name, and a function."""


def statistic(moments: Moments, name: str) -> jax.Array:
    """One of `STATISTICS`, by its name; of several metrics at once, where these are stacked.

    The mean is also `rate`, of bools, and `` (nothing), of a scalar over the updates of a window.
    """
    return STATISTICS["mean" if name in ("rate", "") else name](moments)
