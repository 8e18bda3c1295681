"""What some updates had to tell: what is kept of their metrics, merged.

Metrics of one kind are kept side by side, in arrays with an axis for them: to merge two windows is
then a few operations, and not a few for each metric.
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
    """What was seen since the last line: a pytree to carry, and to store beside a train state.

    With logging off it has no leaves.

    Attributes:
      updates: `int32[]`, how many updates are in it.
      count: `int32[]`, how many episodes; None where only scalars are logged.
      episodes: the moments of metrics with a value per episode, by the dtype they are accumulated
        in; each field has an axis for the metrics.
      scalars: those of scalars.
      sketches: of metrics of which a quantile is told.
      bins: of metrics of which a histogram is told.
      name: of the call it is for.
      told: what is told of each metric, in the order of a line.
    """

    updates: jax.Array | None = None
    count: jax.Array | None = None
    episodes: Mapping[str, Moments] = field(default_factory=dict)
    scalars: Mapping[str, Moments] = field(default_factory=dict)
    sketches: Mapping[str, QuantileSketch] = field(default_factory=dict)
    bins: Mapping[str, jax.Array] = field(default_factory=dict)
    name: str = field(default="batch", metadata={"static": True})
    told: tuple[tuple[str, MetricStatistics], ...] = field(default=(), metadata={"static": True})

    @staticmethod
    def of(
        name: str,
        told: tuple[tuple[str, MetricStatistics], ...],
        metrics: Mapping[str, Shaped[Array, "..."]],
        where: Bool[Array, "*batch"] | None,
        size: int | None,
    ) -> Window:
        """What one update has to tell. A scalar is a metric with one value.

        Args:
          name: of the call.
          told: what is told of each metric; a scalar that is not in `metrics` is left out.
          metrics: arrays of the batch's shape, and scalars.
          where: `bool` of the batch's shape; all entries, if None.
          size: of the batch; None where there are only scalars.
        """
        episodes = {key: metrics[key] for key, of in told if of.per_episode}
        scalars = {
            key: metrics[key][None] for key, of in told if not of.per_episode and key in metrics
        }
        moments = stacked_moments(episodes, where)
        count = None if size is None else jnp.int32(size)
        if where is not None:  # it has been counted, if anything has
            counted = next(iter(moments.values()), None)
            count = count_of(where) if counted is None else counted.total[0]
        return Window(
            updates=jnp.int32(1),
            count=count,
            episodes=moments,
            scalars=stacked_moments(scalars, None),
            sketches={
                key: QuantileSketch.of(episodes[key], where) for key, of in told if of.has_quantiles
            },
            bins={key: histogram(episodes[key], of.edges, where) for key, of in told if of.edges},
            name=name,
            told=told,
        )

    def merge(self, other: Window) -> Window:
        """The window of the updates of both."""
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
        """The window of all shares of a batch.

        Args:
          axes: along which the batch is divided.
          all_axes: along which the program is. A scalar is not divided with the batch: it varies,
            or not, for itself.
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
        """What is told of the metrics.

        Returns:
          By some metrics and the name of what is told of them, an array with an axis for these
          metrics. Beside the statistics it is `present`, how many values there were, `nonfinite`
          and `histogram`. Those of one dtype stand together.
        """
        counts: dict[tuple[tuple[str, ...], str], jax.Array] = {}
        found: dict[tuple[tuple[str, ...], str], jax.Array] = {}
        kinds: dict[tuple[bool, str], dict[str, MetricStatistics]] = {}
        for key, told in self.told:
            kinds.setdefault((told.per_episode, told.accumulator), {})[key] = told
        for (per_episode, dtype), metrics in kinds.items():
            moments = (self.episodes if per_episode else self.scalars).get(dtype)
            if moments is None:
                continue
            place = {key: i for i, key in enumerate(metrics)}
            counts[tuple(metrics), "present"] = moments.count
            floating = tuple(key for key, told in metrics.items() if told.floating)
            if floating:
                places = [place[key] for key in floating]
                counts[floating, "nonfinite"] = _some(moments.nonfinite, places)
            for name in dict.fromkeys(n for told in metrics.values() for n in told.statistics):
                telling = tuple(key for key, told in metrics.items() if name in told.statistics)
                places, q = [place[key] for key in telling], quantile(name)
                if q is None:
                    values = _some(statistic(moments, name), places)
                else:
                    sketched = jnp.stack([self.sketches[key].quantile(q) for key in telling])
                    least, most = (_some(bound, places) for bound in (moments.min, moments.max))
                    values = jnp.clip(sketched, least, most)
                found[telling, name] = values
        for key, bins in self.bins.items():
            counts[(key,), "histogram"] = bins[None]
        return counts | found

    def emptied_where(self, emptied: Bool[Array, ""]) -> Window:
        """The window, with nothing in it where `emptied`, `bool[]`, is True."""

        def start(path: tuple[jax.tree_util.KeyEntry, ...], leaf: jax.Array) -> jax.Array:
            start = _START.get(getattr(path[-1], "name", ""), 0)
            return jnp.where(emptied, np.array(start, leaf.dtype), leaf)

        return jax.tree_util.tree_map_with_path(start, self)


def _some(array: Shaped[Array, " all"], places: list[int]) -> Shaped[Array, " {len(places)}"]:
    """Some entries of a vector: those at increasing places."""
    if len(places) == array.size:
        return array
    return jnp.concatenate([array[i : i + 1] for i in places])


_START = {"min": np.inf, "max": -np.inf}  # the fields that do not start at 0
