"""Mergeable statistics accumulated over several updates.

Metrics of one dtype share arrays that have an axis for the metrics, so that merging two windows
takes a few operations in all instead of a few per metric.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxlog._format.keys import quantile
from jaxlog._program import devices
from jaxlog._program.histogram import histogram
from jaxlog._program.quantiles import QuantileSketch
from jaxlog._program.shapes import Bool, Shaped
from jaxlog._program.statistics import Moments, count_of, stacked_moments
from jaxlog._program.summary import MetricStatistics, statistic


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Window:
    """The statistics accumulated since the last line of a `window_step`.

    A pytree to carry through `scan` and to store with the train state. It has no leaves if logging
    is off. Under `vmap` each array has the lane axes in front.

    Attributes:
      updates: `int32[]`, how many updates have been merged.
      count: `int32[]`, how many episodes; None if only scalars are logged.
      episodes: by the name of the accumulating dtype, the moments of the metrics that have a value
        per episode; each field is an array `[metrics]`.
      scalars: likewise for scalars, over the updates.
      sketches: by metric, the sketch of each metric with a quantile among its statistics.
      bins: by metric, the counts `int32[bins + 2]` of each metric with a histogram.
      name: the name of the call.
      logged: the metrics in the order of a line, each with the statistics computed for it.
    """

    updates: jax.Array | None = None
    count: jax.Array | None = None
    episodes: Mapping[str, Moments] = field(default_factory=dict)
    scalars: Mapping[str, Moments] = field(default_factory=dict)
    sketches: Mapping[str, QuantileSketch] = field(default_factory=dict)
    bins: Mapping[str, jax.Array] = field(default_factory=dict)
    name: str = field(default="batch", metadata={"static": True})
    logged: tuple[tuple[str, MetricStatistics], ...] = field(default=(), metadata={"static": True})

    @staticmethod
    def of(
        name: str,
        logged: tuple[tuple[str, MetricStatistics], ...],
        metrics: Mapping[str, Shaped[Array, "..."]],
        where: Bool[Array, "*batch"] | None,
        size: int | None,
    ) -> Window:
        """The window of one update. A scalar is a metric with one value.

        Works under `jit`, `vmap` and `scan`.

        Args:
          name: the name of the call.
          logged: the statistics to compute for each metric; a scalar that is not in `metrics` is
            left out.
          metrics: arrays of the batch's shape, and scalars.
          where: `bool` of the batch's shape, which entries count; None for all.
          size: the number of entries of the batch; None if there are only scalars.
        """
        episodes = {key: metrics[key] for key, spec in logged if spec.per_episode}
        scalars = {
            key: metrics[key][None]
            for key, spec in logged
            if not spec.per_episode and key in metrics
        }
        moments = stacked_moments(episodes, where)
        count = None if size is None else jnp.int32(size)
        if where is not None:  # the moments have counted it already, if there are any
            counted = next(iter(moments.values()), None)
            count = count_of(where) if counted is None else counted.total[0]
        return Window(
            updates=jnp.int32(1),
            count=count,
            episodes=moments,
            scalars=stacked_moments(scalars, None),
            sketches={
                key: QuantileSketch.of(episodes[key], where)
                for key, spec in logged
                if spec.has_quantiles
            },
            bins={
                key: histogram(episodes[key], spec.edges, where)
                for key, spec in logged
                if spec.edges
            },
            name=name,
            logged=logged,
        )

    def merge(self, other: Window) -> Window:
        """Merges two windows of the same call; associative and commutative to rounding."""
        assert self.updates is not None
        assert other.updates is not None
        return dataclasses.replace(
            self,
            updates=self.updates + other.updates,
            count=None if self.count is None or other.count is None else self.count + other.count,
            episodes={key: m.merge(other.episodes[key]) for key, m in self.episodes.items()},
            scalars={key: m.merge(other.scalars[key]) for key, m in self.scalars.items()},
            sketches={key: s.merge(other.sketches[key]) for key, s in self.sketches.items()},
            bins={key: bins + other.bins[key] for key, bins in self.bins.items()},
        )

    def across(self, axes: devices.Axes, all_axes: devices.Axes) -> Window:
        """Merges the windows of all shares of a divided batch.

        Args:
          axes: the named axes that divide the batch.
          all_axes: the named axes that divide the program. A scalar may vary along any of them,
            independently of the batch.
        """

        def of_all(moments: Moments) -> Moments:
            own = devices.varying(all_axes, moments)
            return moments.across(own) if own else moments

        whole = dataclasses.replace(
            self,
            updates=devices.of_first(all_axes, self.updates),
            scalars={key: of_all(moments) for key, moments in self.scalars.items()},
        )
        if not axes:
            return whole
        return dataclasses.replace(
            whole,
            count=None if self.count is None else lax.psum(self.count, axes),
            episodes={key: moments.across(axes) for key, moments in self.episodes.items()},
            sketches={key: sketch.across(axes) for key, sketch in self.sketches.items()},
            bins={key: lax.psum(bins, axes) for key, bins in self.bins.items()},
        )

    def values(self) -> dict[tuple[tuple[str, ...], str], Shaped[Array, "metrics *bins"]]:
        """Computes the statistics of all metrics.

        Returns:
          For each pair of a tuple of metrics and the name of a statistic, an array whose first axis
          runs over these metrics. Besides the statistics of the settings there are `present` (how
          many finite values there were), `nonfinite` and `histogram`. Metrics of one dtype are
          adjacent.
        """
        counts: dict[tuple[tuple[str, ...], str], jax.Array] = {}
        found: dict[tuple[tuple[str, ...], str], jax.Array] = {}
        kinds: dict[tuple[bool, str], dict[str, MetricStatistics]] = {}
        for key, spec in self.logged:
            kinds.setdefault((spec.per_episode, spec.accumulator), {})[key] = spec
        for (per_episode, dtype), metrics in kinds.items():
            moments = (self.episodes if per_episode else self.scalars).get(dtype)
            if moments is None:
                continue
            index = {key: i for i, key in enumerate(metrics)}
            counts[tuple(metrics), "present"] = moments.count
            floating = tuple(key for key, spec in metrics.items() if spec.floating)
            if floating:
                indices = [index[key] for key in floating]
                counts[floating, "nonfinite"] = _entries(moments.nonfinite, indices)
            for name in dict.fromkeys(n for spec in metrics.values() for n in spec.statistics):
                having = tuple(key for key, spec in metrics.items() if name in spec.statistics)
                indices, q = [index[key] for key in having], quantile(name)
                if q is None:
                    values = _entries(statistic(moments, name), indices)
                else:
                    sketched = jnp.stack([self.sketches[key].quantile(q) for key in having])
                    least, most = (_entries(bound, indices) for bound in (moments.min, moments.max))
                    values = jnp.clip(sketched, least, most)
                found[having, name] = values
        for key, bins in self.bins.items():
            counts[(key,), "histogram"] = bins[None]
        return counts | found

    def emptied_where(self, emptied: Bool[Array, ""]) -> Window:
        """Returns an empty window if `emptied`, `bool[]`, is True, else the window as it is."""

        def start(path: tuple[jax.tree_util.KeyEntry, ...], leaf: jax.Array) -> jax.Array:
            start = _START.get(getattr(path[-1], "name", ""), 0)
            return jnp.where(emptied, np.array(start, leaf.dtype), leaf)

        return jax.tree_util.tree_map_with_path(start, self)


def _entries(array: Shaped[Array, " all"], indices: list[int]) -> Shaped[Array, " {len(indices)}"]:
    """Selects entries of a vector by ascending indices."""
    if len(indices) == array.size:
        return array
    return jnp.concatenate([array[i : i + 1] for i in indices])


_START = {"min": np.inf, "max": -np.inf}  # the fields that do not start at 0
