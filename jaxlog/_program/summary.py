"""The statistics that settings can choose, as functions of the moments of a metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax

from jaxlog._format.keys import quantile
from jaxlog._program.parts import Origin
from jaxlog._program.statistics import Moments

Kind = Literal["episode", "array", "scalar"]


@dataclass(frozen=True)
class MetricStatistics:
    """The statistics computed for one metric, known before the program runs.

    Attributes:
      statistics: the names, as `statistic` and `quantile` take them.
      origin: the array that its values come from.
      edges: the edges of its histogram; empty for no histogram.
      kind: `episode` if it has a value per episode, `array` if all entries of an array count,
        `scalar` if it is one number.
      floating: whether its dtype has infinities and NaN.
      accumulator: the name of the dtype in which it is accumulated.
      reduction: of a scalar, how a window reduces it over its updates: one of `REDUCTIONS`.
    """

    statistics: tuple[str, ...]
    origin: Origin
    edges: tuple[float, ...] = ()
    kind: Kind = "episode"
    floating: bool = True
    accumulator: str = "float32"
    reduction: str = "mean"

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


REDUCTIONS = ("mean", "last", "sum", "min", "max")
"""The ways in which a window can reduce a scalar over its updates."""


def statistic(moments: Moments, name: str) -> jax.Array:
    """Computes a statistic by its name, for several metrics at once if `moments` is stacked.

    `rate`, of bools, is the mean.
    """
    return STATISTICS["mean" if name == "rate" else name](moments)
