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
from jaxlog._program.examples import Examples
from jaxlog._program.histogram import histogram
from jaxlog._program.quantiles import QuantileSketch
from jaxlog._program.shapes import Bool, Shaped
from jaxlog._program.statistics import Moments, Names, count_of, stacked_moments
from jaxlog._program.summary import Kind, MetricStatistics, statistic


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Window:
    """The statistics accumulated since the last line of a `window_step`.

    A pytree to carry through `scan` and to store with the train state. It has no leaves if logging
    is off. Under `vmap` each array has the lane axes in front. A window without updates is empty,
    whatever its other fields hold: the next merge starts them anew.

    Attributes:
      updates: `int32[]`, how many updates have been merged.
      count: `int32[]`, how many episodes; None if no metric has a value per episode.
      episodes: by the name of the accumulating dtype, the moments of the metrics that have a value
        per episode; each field is an array `[metrics]`.
      arrays: likewise for arrays of which all entries count.
      scalars: likewise for scalars, over the updates.
      sketches: by metric, the sketch of each metric with a quantile among its statistics.
      bins: by metric, the counts `int32[bins + 2]` of each metric with a histogram.
      last: by metric, the last value of each scalar of which that is logged.
      name: the name of the call.
      logged: the metrics in the order of a line, each with the statistics computed for it.
      examples: notes the arguments of `window_step` instead of logging them; else None.
    """

    updates: jax.Array | None = None
    count: jax.Array | None = None
    episodes: Mapping[str, Moments] = field(default_factory=dict)
    arrays: Mapping[str, Moments] = field(default_factory=dict)
    scalars: Mapping[str, Moments] = field(default_factory=dict)
    sketches: Mapping[str, QuantileSketch] = field(default_factory=dict)
    bins: Mapping[str, jax.Array] = field(default_factory=dict)
    last: Mapping[str, jax.Array] = field(default_factory=dict)
    name: str = field(default="batch", metadata={"static": True})
    logged: tuple[tuple[str, MetricStatistics], ...] = field(default=(), metadata={"static": True})
    examples: Examples | None = field(default=None, metadata={"static": True})

    @staticmethod
    def of(
        name: str,
        logged: tuple[tuple[str, MetricStatistics], ...],
        arrays: Mapping[str, Shaped[Array, "..."]],
        where: Bool[Array, "*batch"] | None,
        size: int | None,
    ) -> Window:
        """The window of one update. A scalar is a metric with one value.

        Works under `jit`, `vmap` and `scan`.

        Args:
          name: the name of the call.
          logged: the statistics to compute for each metric; a metric whose origin is not in
            `arrays` is left out.
          arrays: the origins of the metrics: arrays of the batch's shape, other arrays, and
            scalars. One with parts has one more axis, the last.
          where: `bool` of the batch's shape, which episodes count; None for all.
          size: the number of entries of the batch; None if no metric has a value per episode.
        """
        known = {key: spec for key, spec in logged if spec.origin.name in arrays}
        reduced = {key: spec for key, spec in known.items() if spec.reduction != "last"}
        moments = stacked_moments(_grouped(reduced, arrays, "episode"), where)
        scalars = _grouped(reduced, arrays, "scalar")
        count = None if size is None else jnp.int32(size)
        if where is not None:  # the moments have counted it already, if there are any
            counted = next(iter(moments.values()), None)
            count = count_of(where) if counted is None else counted.total[0]

        def entries(spec: MetricStatistics) -> tuple[jax.Array, jax.Array | None]:
            array = spec.origin.take(arrays[spec.origin.name])
            return array, where if spec.kind == "episode" else None

        return Window(
            updates=jnp.int32(1),
            count=count,
            episodes=moments,
            arrays=stacked_moments(_grouped(reduced, arrays, "array"), None),
            scalars=stacked_moments({names: array[None] for names, array in scalars.items()}, None),
            sketches={
                key: QuantileSketch.of(*entries(spec))
                for key, spec in known.items()
                if spec.has_quantiles
            },
            bins={
                key: histogram(array, spec.edges, mask)
                for key, spec in known.items()
                if spec.edges
                for array, mask in [entries(spec)]
            },
            last={key: entries(spec)[0] for key, spec in known.items() if spec.reduction == "last"},
            name=name,
            logged=logged,
        )

    def merge(self, other: Window) -> Window:
        """Merges two windows of the same call; associative and commutative to rounding.

        The last values are those of `other`, the later window.
        """
        assert self.updates is not None
        assert other.updates is not None
        own = self.emptied_where(self.updates == 0)
        return dataclasses.replace(
            self,
            updates=self.updates + other.updates,
            count=None if own.count is None or other.count is None else own.count + other.count,
            episodes={key: m.merge(other.episodes[key]) for key, m in own.episodes.items()},
            arrays={key: m.merge(other.arrays[key]) for key, m in own.arrays.items()},
            scalars={key: m.merge(other.scalars[key]) for key, m in own.scalars.items()},
            sketches={key: s.merge(other.sketches[key]) for key, s in own.sketches.items()},
            bins={key: bins + other.bins[key] for key, bins in own.bins.items()},
            last=other.last,
        )

    def across(self, axes: devices.Axes, all_axes: devices.Axes) -> Window:
        """Merges the windows of all shares of a divided batch.

        Args:
          axes: the named axes that divide the batch.
          all_axes: the named axes that divide the program. A scalar, or an array of which all
            entries count, may vary along any of them, independently of the batch.
        """
        if not all_axes:
            return self
        kinds = {key: spec.kind for key, spec in self.logged}

        def of_all(moments: Moments) -> Moments:
            own = devices.varying(all_axes, moments)
            return moments.across(own) if own else moments

        def summed(key: str, counts: jax.Array) -> jax.Array:
            own = axes if kinds[key] == "episode" else devices.varying(all_axes, counts)
            return lax.psum(counts, own) if own else counts

        def of_batch(moments: Moments) -> Moments:
            return moments.across(axes) if axes else moments

        return dataclasses.replace(
            self,
            updates=devices.of_first(all_axes, self.updates),
            count=self.count if self.count is None or not axes else lax.psum(self.count, axes),
            episodes={key: of_batch(moments) for key, moments in self.episodes.items()},
            arrays={key: of_all(moments) for key, moments in self.arrays.items()},
            scalars={key: of_all(moments) for key, moments in self.scalars.items()},
            sketches={
                key: QuantileSketch(summed(key, sketch.counts))
                for key, sketch in self.sketches.items()
            },
            bins={key: summed(key, bins) for key, bins in self.bins.items()},
            last={key: devices.mean(all_axes, value) for key, value in self.last.items()},
        )

    def values(self) -> dict[tuple[tuple[str, ...], str], Shaped[Array, "metrics *bins"]]:
        """Computes the statistics of all metrics, but for the last values of scalars.

        Returns:
          For each pair of a tuple of metrics and the name of a statistic, an array whose first axis
          runs over these metrics. Besides the statistics of the settings there are `present` (how
          many finite values there were), `nonfinite` and `histogram`. Metrics of one dtype are
          adjacent.
        """
        counts: dict[tuple[tuple[str, ...], str], jax.Array] = {}
        found: dict[tuple[tuple[str, ...], str], jax.Array] = {}
        moments_of = {"episode": self.episodes, "array": self.arrays, "scalar": self.scalars}
        kinds: dict[tuple[Kind, str], dict[str, MetricStatistics]] = {}
        for key, spec in self.logged:
            if spec.reduction != "last":
                kinds.setdefault((spec.kind, spec.accumulator), {})[key] = spec
        for (kind, dtype), metrics in kinds.items():
            moments = moments_of[kind].get(dtype)
            if moments is None:
                continue
            index = {key: i for i, key in enumerate(metrics)}
            counts[tuple(metrics), "present"] = moments.count
            floating = tuple(key for key, spec in metrics.items() if spec.floating)
            if floating:
                indices = [index[key] for key in floating]
                counts[floating, "nonfinite"] = _entries(moments.nonfinite, indices)
            # A scalar has the statistic of the empty name: its reduction over the updates.
            wanted = [(n, spec.reduction) for spec in metrics.values() for n in spec.statistics]
            for name, reduction in dict.fromkeys(wanted):
                having = tuple(
                    key
                    for key, spec in metrics.items()
                    if name in spec.statistics and spec.reduction == reduction
                )
                indices, q = [index[key] for key in having], quantile(name)
                if q is None:
                    values = _entries(statistic(moments, name or reduction), indices)
                    whole = [not metrics[key].floating for key in having]
                    if reduction == "sum" and any(whole):  # a sum of integers is one
                        values = jnp.where(np.array(whole), jnp.round(values), values)
                else:
                    sketched = jnp.stack([self.sketches[key].quantile(q) for key in having])
                    least, most = (_entries(bound, indices) for bound in (moments.min, moments.max))
                    values = jnp.clip(sketched.astype(least.dtype), least, most)
                found[having, name] = values
        for key, bins in self.bins.items():
            counts[(key,), "histogram"] = bins[None]
        return counts | found

    def without_updates_where(self, logged: Bool[Array, ""]) -> Window:
        """Returns an empty window if `logged`, `bool[]`, is True, else the window as it is.

        Only the counts change. To change all fields would add a kernel for each; the next merge
        does it on the way.
        """
        counts = self.updates, self.count
        updates, count = jax.tree.map(lambda count: jnp.where(logged, 0, count), counts)
        return dataclasses.replace(self, updates=updates, count=count)

    def emptied_where(self, emptied: Bool[Array, ""]) -> Window:
        """Returns a window whose fields are those of no update if `emptied`, `bool[]`, is True."""

        def start(path: tuple[jax.tree_util.KeyEntry, ...], leaf: jax.Array) -> jax.Array:
            start = _START.get(getattr(path[-1], "name", ""), 0)
            return jnp.where(emptied, np.array(start, leaf.dtype), leaf)

        return jax.tree_util.tree_map_with_path(start, self)


def _grouped(
    logged: Mapping[str, MetricStatistics],
    arrays: Mapping[str, Shaped[Array, "..."]],
    kind: Kind,
) -> dict[Names, Shaped[Array, "..."]]:
    """The origins of the metrics of one kind, each under the names of its parts.

    Of an origin with parts that are not logged, only the logged parts are taken.
    """
    metrics: dict[str, dict[str, int | None]] = {}
    for key, spec in logged.items():
        if spec.kind == kind:
            metrics.setdefault(spec.origin.name, {})[key] = spec.origin.part
    found: dict[Names, jax.Array] = {}
    for name, parts in metrics.items():
        array, taken = arrays[name], [part for part in parts.values() if part is not None]
        if not taken:
            found[name] = array
        elif len(taken) == array.shape[-1]:
            found[tuple(parts)] = array
        else:
            found[tuple(parts)] = jnp.stack([array[..., part] for part in taken], axis=-1)
    return found


def _entries(array: Shaped[Array, " all"], indices: list[int]) -> Shaped[Array, " {len(indices)}"]:
    """Selects entries of a vector by ascending indices."""
    if len(indices) == array.size:
        return array
    return jnp.concatenate([array[i : i + 1] for i in indices])


_START = {"min": np.inf, "max": -np.inf}  # the fields that do not start at 0
