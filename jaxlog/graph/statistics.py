"""Statistics of a batch: pure, masked, and exact to float32 rounding.

A batch becomes a `Moments`: count, mean and centred second moment, smallest and largest. The
moments of two batches merge into the moments of both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which values of `dtype` are accumulated: float32, or float64 for 64 bits."""
    return np.dtype(np.float64 if dtype in (np.float64, np.int64, np.uint64) else np.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments:
    """The moments of some values. Each field is a scalar, or has the lane axes of a `vmap`.

    Values that are not finite are counted in `nonfinite` and left out of all else. With a `count`
    of 0 the other fields say nothing: `mean` and `m2` are 0, `min` is +inf and `max` is -inf, the
    neutral elements of `merge`.

    Attributes:
      count: `int32[]`, the finite values.
      nonfinite: `int32[]`, the values that were infinite or NaN.
      mean: `float[]`, their mean.
      m2: `float[]`, the sum of squared distances from the mean.
      min: `float[]`, the smallest.
      max: `float[]`, the largest.
    """

    count: jax.Array
    nonfinite: jax.Array
    mean: jax.Array
    m2: jax.Array
    min: jax.Array
    max: jax.Array

    @staticmethod
    def empty(dtype: np.dtype | type = np.float32) -> Moments:
        """The moments of nothing, which `merge` leaves the other as it is.

        >>> int(Moments.empty().count)
        0
        """
        dtype = accumulator(np.dtype(dtype))
        zero, none = jnp.zeros((), dtype), jnp.zeros((), np.int32)
        inf = jnp.array(np.inf, dtype)
        return Moments(count=none, nonfinite=none, mean=zero, m2=zero, min=inf, max=-inf)

    @staticmethod
    def of(values: ArrayLike, where: ArrayLike | None = None) -> Moments:
        """The moments of an array.

        The mean is taken twice, the second time of the distances from the first: that takes out the
        rounding of a float32 sum, and of the squares it would otherwise spoil (the corrected
        two-pass algorithm; Chan, Golub and LeVeque, 1983, eq. 1.7).

        Works under `jit`, `vmap` (moments of each lane) and `scan`; `grad` goes through it.

        Args:
          values: any shape; bool, integer or floating. All are accumulated in float32, those of
            64 bits (under x64) in float64.
          where: `bool`, of the shape of `values`; those that count. All, if None.

        Raises:
          TypeError: `values` are complex, or `where` is not bool.
          ValueError: the shapes differ.

        >>> m = Moments.of(jnp.array([1.0, 2.0, 3.0, 9.0]), where=jnp.array([1, 1, 1, 0], bool))
        >>> float(m.mean), float(m.max), int(m.count)
        (2.0, 3.0, 3)
        """
        values = jnp.asarray(values)
        if not (jnp.isrealobj(values) and jnp.issubdtype(values.dtype, np.generic)):
            raise TypeError(f"values: got {values.dtype}, expected bool, integers or real numbers")
        if where is None:
            mask = jnp.ones(values.shape, bool)
        else:
            mask = jnp.asarray(where)
            if mask.dtype != np.bool_:
                raise TypeError(f"where: got {mask.dtype}, expected bool; compare with something")
            if mask.shape != values.shape:
                raise ValueError(
                    f"where: got shape {mask.shape}, expected {values.shape}, that of the values"
                )
        finite = mask
        if jnp.issubdtype(values.dtype, np.floating):
            finite = mask & jnp.isfinite(values)
        values = values.astype(accumulator(values.dtype))
        count = jnp.sum(finite, dtype=np.int32)
        nonfinite = jnp.sum(mask, dtype=np.int32) - count
        total = jnp.maximum(count, 1).astype(values.dtype)

        first_mean = jnp.sum(jnp.where(finite, values, 0)) / total
        distance = jnp.where(finite, values - first_mean, 0)
        drift = jnp.sum(distance) / total
        # What rounding left in `distance` counts twice in the squares; a negative rest is rounding.
        m2 = jnp.maximum(jnp.sum(distance * distance) - total * drift * drift, 0)
        return Moments(
            count=count,
            nonfinite=nonfinite,
            mean=first_mean + drift,
            m2=m2,
            min=jnp.min(values, initial=np.inf, where=finite),
            max=jnp.max(values, initial=-np.inf, where=finite),
        )

    def merge(self, other: Moments) -> Moments:
        """The moments of the values of both; associative and commutative to rounding.

        The update is that of Chan, Golub and LeVeque (1979), in the form that needs no product of
        the two counts, which would leave int32 behind.

        >>> a, b = Moments.of(jnp.array([1.0, 2.0])), Moments.of(jnp.array([3.0, 6.0]))
        >>> float(a.merge(b).mean)
        3.0
        """
        count = self.count + other.count
        dtype = self.mean.dtype
        share = other.count.astype(dtype) / jnp.maximum(count, 1).astype(dtype)
        delta = other.mean - self.mean
        return Moments(
            count=count,
            nonfinite=self.nonfinite + other.nonfinite,
            mean=self.mean + delta * share,
            m2=self.m2 + other.m2 + delta * delta * share * self.count.astype(dtype),
            min=jnp.minimum(self.min, other.min),
            max=jnp.maximum(self.max, other.max),
        )

    def across(self, axis_name: str | tuple[str, ...]) -> Moments:
        """The moments of the values of all devices, or lanes, along named axes: `merge` of all.

        For use under `shard_map`, `pmap`, or a `vmap` with an `axis_name`. What comes out is the
        same everywhere. The means are averaged twice, as in `of`.

        Args:
          axis_name: an axis, or several.

        >>> halves = jnp.array([[1.0, 2.0], [3.0, 6.0]])
        >>> m = jax.vmap(lambda x: Moments.of(x).across("half"), axis_name="half")(halves)
        >>> m.mean.tolist(), m.count.tolist()
        ([3.0, 3.0], [4, 4])
        """
        count, nonfinite = lax.psum((self.count, self.nonfinite), axis_name)
        dtype = self.mean.dtype
        total = jnp.maximum(count, 1).astype(dtype)
        here = self.count.astype(dtype)
        first_mean = lax.psum(self.mean * (here / total), axis_name)
        distance = self.mean - first_mean
        drift, m2 = lax.psum(
            (distance * (here / total), self.m2 + here * distance * distance), axis_name
        )
        return Moments(
            count=count,
            nonfinite=nonfinite,
            mean=first_mean + drift,
            m2=jnp.maximum(m2 - total * drift * drift, 0),
            min=lax.pmin(self.min, axis_name),
            max=lax.pmax(self.max, axis_name),
        )

    @property
    def std(self) -> jax.Array:
        """The standard deviation of the values as a whole population, as `np.std` has it."""
        return jnp.sqrt(self.m2 / jnp.maximum(self.count, 1).astype(self.m2.dtype))


STATISTICS: dict[str, Callable[[Moments], jax.Array]] = {
    "mean": lambda moments: moments.mean,
    "std": lambda moments: moments.std,
    "min": lambda moments: moments.min,
    "max": lambda moments: moments.max,
}
"""What the setting `statistics` chooses from: a name, and a function of the moments."""
