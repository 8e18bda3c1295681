"""What is told of a metric: the statistics that settings choose from, and what they are read off.

A metric becomes a `Summary`: its moments, and, where quantiles or a histogram are asked for, those.
The summaries of two batches merge into the summary of both.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxlog.graph.histogram import histogram
from jaxlog.graph.quantiles import QuantileSketch
from jaxlog.graph.statistics import Moments, moments_of


@dataclass(frozen=True)
class Told:
    """What is told of one metric, known before the program runs.

    Attributes:
      statistics: names, as `statistic` takes them.
      edges: of its histogram; empty for none.
      per_episode: whether it has a value per episode, or is a scalar.
      floating: whether a value may be infinite or NaN.
    """

    statistics: tuple[str, ...]
    edges: tuple[float, ...] = ()
    per_episode: bool = True
    floating: bool = True

    @property
    def has_quantiles(self) -> bool:
        """Whether a quantile is among the statistics."""
        return any(quantile(name) is not None for name in self.statistics)


@jax.tree_util.register_dataclass
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

    def merge(self, other: Summary) -> Summary:
        """The summary of the values of both."""
        return Summary(
            self.moments.merge(other.moments),
            self.sketch and other.sketch and self.sketch.merge(other.sketch),
            None if self.bins is None or other.bins is None else self.bins + other.bins,
        )

    def across(self, axis_name: str | tuple[str, ...]) -> Summary:
        """The summary of the values of all devices, or lanes, along named axes."""
        return Summary(
            self.moments.across(axis_name),
            self.sketch and self.sketch.across(axis_name),
            None if self.bins is None else lax.psum(self.bins, axis_name),
        )


def summaries_of(
    arrays: Mapping[str, jax.Array], where: jax.Array | None, told: Mapping[str, Told]
) -> dict[str, Summary]:
    """The summaries of several arrays of one shape, with what is told of each."""
    found = {}
    for key, moments in moments_of(arrays, where).items():
        found[key] = Summary(moments)
        if told[key].has_quantiles:
            sketch = QuantileSketch.of(arrays[key], where)
            found[key] = dataclasses.replace(found[key], sketch=sketch)
        if told[key].edges:
            bins = histogram(arrays[key], told[key].edges, where)
            found[key] = dataclasses.replace(found[key], bins=bins)
    return found


STATISTICS: dict[str, Callable[[Summary], jax.Array]] = {
    "mean": lambda summary: summary.moments.mean,
    "std": lambda summary: summary.moments.std,
    "min": lambda summary: summary.moments.min,
    "max": lambda summary: summary.moments.max,
    "sum": lambda summary: summary.moments.mean * summary.moments.count.astype(np.float32),
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
