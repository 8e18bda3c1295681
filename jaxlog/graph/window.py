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
from jax import lax

from jaxlog.graph import devices
from jaxlog.graph.histogram import histogram
from jaxlog.graph.quantiles import QuantileSketch
from jaxlog.graph.statistics import Moments, stacked_moments
from jaxlog.graph.summary import Summary, Told


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
    told: tuple[tuple[str, Told], ...] = field(default=(), metadata={"static": True})

    @staticmethod
    def of(
        name: str,
        told: tuple[tuple[str, Told], ...],
        metrics: Mapping[str, jax.Array],
        where: jax.Array | None,
        count: jax.Array | None,
    ) -> Window:
        """What one update has to tell. A scalar is a metric with one value.

        Args:
          name: of the call.
          told: what is told of each metric; a scalar that is not in `metrics` is left out.
          metrics: arrays of the batch's shape, and scalars.
          where: `bool` of the batch's shape; all entries, if None.
          count: `int32[]`, how many episodes these are.
        """
        episodes = {key: metrics[key] for key, of in told if of.per_episode}
        scalars = {
            key: metrics[key][None] for key, of in told if not of.per_episode and key in metrics
        }
        return Window(
            updates=jnp.int32(1),
            count=count,
            episodes=stacked_moments(episodes, where),
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

    def summaries(self) -> dict[str, Summary]:
        """What is kept of each metric."""
        kinds: dict[tuple[bool, str], list[str]] = {}
        for key, told in self.told:
            kinds.setdefault((told.per_episode, told.accumulator), []).append(key)
        found = {}
        for (per_episode, dtype), keys in kinds.items():
            moments = (self.episodes if per_episode else self.scalars).get(dtype)
            for i, key in enumerate(keys if moments is not None else ()):
                own = jax.tree.map(lambda leaf, i=i: leaf[i], moments)
                found[key] = Summary(own, self.sketches.get(key), self.bins.get(key))
        return {key: found[key] for key, _ in self.told if key in found}

    def emptied_where(self, emptied: jax.Array) -> Window:
        """The window, with nothing in it where `emptied`, `bool[]`, is True."""

        def start(path: tuple[jax.tree_util.KeyEntry, ...], leaf: jax.Array) -> jax.Array:
            start = _START.get(getattr(path[-1], "name", ""), 0)
            return jnp.where(emptied, np.array(start, leaf.dtype), leaf)

        return jax.tree_util.tree_map_with_path(start, self)


_START = {"min": np.inf, "max": -np.inf}  # the fields that do not start at 0
