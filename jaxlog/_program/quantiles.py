"""Quantiles of a batch, from a sketch of bounded size that merges without loss.

A sketch counts values in buckets whose bounds grow by a constant factor (DDSketch; Masson, Rim and
Lee, VLDB 12(12), 2019), so the sketch of several batches is the sum of their sketches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxlog._program import devices
from jaxlog._program.shapes import Bool, Float, Shaped
from jaxlog._program.statistics import accumulator

ACCURACY = 0.01
"""The largest relative error of a quantile."""
SMALLEST, LARGEST = 1e-6, 1e9
"""The absolute values between which quantiles are this accurate; a smaller one counts as 0, a
larger one as the larger bound."""

_GROWTH = (1 + ACCURACY) / (1 - ACCURACY)
_NUM_BUCKETS = math.ceil(math.log(LARGEST / SMALLEST) / math.log(_GROWTH)) + 1  # of each sign


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class QuantileSketch:
    """Estimates quantiles from the number of values in each of 3 457 buckets, which take 14 KB.

    Attributes:
      counts: `int32[3457]`, from the most negative bucket to the most positive; under `vmap` with
        the lane axes in front.
    """

    counts: jax.Array

    @staticmethod
    def empty() -> QuantileSketch:
        """The sketch of no values, the neutral element of `merge`.

        >>> int(QuantileSketch.empty().counts.sum())
        0
        """
        return QuantileSketch(jnp.zeros(2 * _NUM_BUCKETS + 1, np.int32))

    @staticmethod
    def of(values: ArrayLike, where: ArrayLike | None = None) -> QuantileSketch:
        """The sketch of an array. Values that are not finite are left out.

        Works under `jit`, `vmap` and `scan`; a count has no gradient.

        Args:
          values: an array of any shape of bools, integers or real numbers.
          where: `bool`, of that shape, which values count; None for all.

        >>> sketch = QuantileSketch.of(jnp.arange(1.0, 101.0))
        >>> bool(abs(sketch.quantile(0.5) - 50) <= 0.5)
        True
        """
        values = jnp.asarray(values)
        mask = jnp.ones(values.shape, bool) if where is None else jnp.asarray(where)
        return devices.with_automatic_axes(QuantileSketch._of)((values, mask))

    @staticmethod
    def _of(arrays: tuple[Shaped[Array, "*batch"], Bool[Array, "*batch"]]) -> QuantileSketch:
        values, mask = arrays
        values = lax.stop_gradient(values.astype(accumulator(values.dtype)))
        finite = jnp.isfinite(values) & mask
        size = jnp.abs(values)
        grown = jnp.log(jnp.maximum(size, SMALLEST) / SMALLEST) / math.log(_GROWTH)
        bucket = jnp.minimum(jnp.ceil(grown).astype(np.int32), _NUM_BUCKETS - 1)
        signed = jnp.where(values < 0, -1 - bucket, 1 + bucket)
        index = jnp.where(size < SMALLEST, 0, jnp.clip(signed, -_NUM_BUCKETS, _NUM_BUCKETS))
        counts = jnp.zeros_like(QuantileSketch.empty().counts)
        flat = (index + _NUM_BUCKETS).reshape(-1)
        counts = counts.at[flat].add(finite.reshape(-1).astype(np.int32), mode="drop")
        return QuantileSketch(counts)

    def merge(self, other: QuantileSketch) -> QuantileSketch:
        """The sketch of the values of both sketches; exactly associative and commutative.

        >>> low, high = (QuantileSketch.of(jnp.arange(n, n + 50.0)) for n in (0.0, 50.0))
        >>> bool((low.merge(high).counts == QuantileSketch.of(jnp.arange(100.0)).counts).all())
        True
        """
        return QuantileSketch(self.counts + other.counts)

    def across(self, axis_name: str | tuple[str, ...]) -> QuantileSketch:
        """The sketch of the values of all devices or lanes along named axes.

        For use under `shard_map`, `pmap`, or a `vmap` with an `axis_name`; the result is the same
        on all of them.

        Args:
          axis_name: the name of an axis, or several.

        >>> halves = jnp.array([[1.0, 2.0], [3.0, 6.0]])
        >>> sketches = jax.vmap(lambda x: QuantileSketch.of(x).across("half"), axis_name="half")
        >>> sketches(halves).counts.sum(axis=1).tolist()
        [4, 4]
        """
        return QuantileSketch(lax.psum(self.counts, axis_name))

    def quantile(self, q: float) -> Float[Array, ""]:
        """The value below which a share `q` of the values lies.

        It is within 1 % of `np.quantile(..., method="lower")` if the absolute value of that is
        between 1e-6 and 1e9. The result is undefined for an empty sketch.

        Args:
          q: a Python float from 0 to 1.

        Returns:
          `float32[]`.

        Raises:
          ValueError: `q` is not from 0 to 1.

        >>> round(float(QuantileSketch.of(jnp.arange(101.0)).quantile(0.9)))
        90
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q: got {q}, expected 0 to 1")
        running = jnp.cumsum(self.counts)
        # The rank is exact up to 2^24 values, and has a relative error of 2^-24 beyond.
        rank = jnp.floor((running[-1] - 1).astype(np.float32) * np.float32(q)).astype(np.int32)
        index = jnp.sum(running <= rank, dtype=np.int32) - np.int32(_NUM_BUCKETS)
        exponent = (jnp.abs(index) - 1).astype(np.float32)
        middle = SMALLEST * 2 / (1 + _GROWTH) * jnp.exp(exponent * math.log(_GROWTH))
        return jnp.sign(index).astype(np.float32) * middle.astype(np.float32)
