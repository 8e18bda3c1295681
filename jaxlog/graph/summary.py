"""What is told of a metric: the statistics that settings choose from, and what they read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxlog.graph.quantiles import QuantileSketch
from jaxlog.graph.statistics import Moments


@dataclass(frozen=True)
class Told:
    """What is told of one metric, known before the program runs.

    Attributes:
      statistics: names, as `statistic` takes them.
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


@dataclass(frozen=True)
class Summary:
    """What is kept of the values of one metric.

    Attributes:
      moments: of them.
      sketch: of them, where a quantile is told.
      bins: `int32[len(edges) + 1]`, their `histogram`, where one is told.
    """

    moments: Moments
    sketch: QuantileSketch | None = None
    bins: jax.Array | None = None


STATISTICS: dict[str, Callable[[Summary], jax.Array]] = {
    "mean": lambda summary: summary.moments.mean,
    "std": lambda summary: summary.moments.std,
    "min": lambda summary: summary.moments.min,
    "max": lambda summary: summary.moments.max,
    "sum": lambda summary: (
        summary.moments.mean * summary.moments.count.astype(summary.moments.mean.dtype)
    ),
    "count": lambda summary: summary.moments.count,
}
"""What the setting `statistics` chooses from, beside quantiles: a name, and a function."""


def quantile(name: str) -> float | None:
    """The quantile that a statistic's name means; None where it means none.

    >>> quantile("p95"), quantile("median"), quantile("mean"), quantile("p101")
    (0.95, 0.5, None, None)
    """
    if name == "median":
        return 0.5
    found = re.fullmatch(r"p(\d{1,3}(?:\.\d+)?)", name)
    percent = float(found[1]) if found else 101.0
    return percent / 100 if percent <= 100 else None


def statistic(summary: Summary, name: str) -> jax.Array:
    """One statistic of a summary, by its name: one of `STATISTICS`, `median`, or `p0` to `p100`.

    The mean is also `rate`, of bools, and `` (nothing), of a scalar over the updates of a window.
    """
    q = quantile(name)
    if q is None:
        return STATISTICS["mean" if name in ("rate", "") else name](summary)
    assert summary.sketch is not None
    moments = summary.moments
    return jnp.clip(summary.sketch.quantile(q), moments.min, moments.max)
