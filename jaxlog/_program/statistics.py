"""Statistics of a batch: pure, masked, and exact to float32 rounding.

A batch becomes a `Moments`: count, mean and standard deviation, smallest and largest. The moments
of two batches merge into the moments of both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxlog._program import devices
from jaxlog._program.shapes import Bool, Float, Int32, Shaped

_BLOCK = 2**15  # values that are taken at a time: with what is made of them, they stay in the cache


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which values of `dtype` are accumulated: float32, or float64 for 64 bits."""
    wide = dtype in (np.float64, np.int64, np.uint64)
    return np.dtype(jax.dtypes.canonicalize_dtype(np.float64 if wide else np.float32))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments:
    """The moments of some values. Each field is a scalar, or has the lane axes of a `vmap`.

    Values that are not finite are counted in `nonfinite` and left out of all else. With a `count`
    of 0 the other fields say nothing: `mean` and `std` are 0, `min` is +inf and `max` is -inf, the
    neutral elements of `merge`.

    The standard deviation is kept, and not the sum of squares: it has the size of the values, so
    that it neither overflows nor vanishes where they do not.

    Attributes:
      count: `int32[]`, the finite values.
      nonfinite: `int32[]`, the values that were infinite or NaN.
      mean: `float[]`, their mean.
      rest: `float[]`, what rounding took from the mean, for the next merge.
      std: `float[]`, their standard deviation, as a whole population, as `np.std` has it.
      min: `float[]`, the smallest.
      max: `float[]`, the largest.
    """

    count: jax.Array
    nonfinite: jax.Array
    mean: jax.Array
    rest: jax.Array
    std: jax.Array
    min: jax.Array
    max: jax.Array

    @property
    def total(self) -> Int32[Array, "*metrics"]:
        """`int32[]`, all values, finite or not."""
        return self.count + self.nonfinite

    @staticmethod
    def empty(dtype: np.dtype | type = np.float32) -> Moments:
        """The moments of nothing, which `merge` leaves the other as it is.

        Args:
          dtype: of the values that are to come.

        >>> int(Moments.empty().count)
        0
        """
        dtype = accumulator(np.dtype(dtype))
        return Moments(
            count=jnp.zeros((), np.int32),
            nonfinite=jnp.zeros((), np.int32),
            mean=jnp.zeros((), dtype),
            rest=jnp.zeros((), dtype),
            std=jnp.zeros((), dtype),
            min=jnp.array(np.inf, dtype),
            max=jnp.array(-np.inf, dtype),
        )

    @staticmethod
    def of(values: ArrayLike, where: ArrayLike | None = None) -> Moments:
        """The moments of an array.

        The mean is taken twice, the second time of the distances from the first: that takes out the
        rounding of a float32 sum, and of the squares it would otherwise spoil (the corrected
        two-pass algorithm; Chan, Golub and LeVeque, 1983, eq. 1.7). All of it is done at a scale at
        which the largest value is about 1.

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
        mask = None if where is None else jnp.asarray(where)
        if mask is not None and mask.dtype != np.bool_:
            raise TypeError(f"where: got {mask.dtype}, expected bool; compare with something")
        if mask is not None and mask.shape != values.shape:
            raise ValueError(
                f"where: got shape {mask.shape}, expected {values.shape}, that of the values"
            )
        (moments,) = stacked_moments({"": values}, mask).values()
        return jax.tree.map(lambda leaf: leaf[0], moments)

    def merge(self, other: Moments) -> Moments:
        """The moments of the values of both; associative and commutative to rounding.

        The update is that of Chan, Golub and LeVeque (1979), in the form that needs no product of
        the two counts, which would leave int32 behind. What rounding takes from the mean is kept,
        so that many small batches can be merged, one after the other, into one of any size.

        >>> a, b = Moments.of(jnp.array([1.0, 2.0])), Moments.of(jnp.array([3.0, 6.0]))
        >>> float(a.merge(b).mean)
        3.0
        """
        count = self.count + other.count
        smallest, largest = jnp.minimum(self.min, other.min), jnp.maximum(self.max, other.max)
        scale = _scale(count, smallest, largest)
        here, there = (
            m.count.astype(scale.dtype) / _at_least_1(count, scale) for m in (self, other)
        )
        delta = (other.mean / scale - self.mean / scale) + (other.rest - self.rest) / scale
        mean, rest = _sum(self.mean / scale, delta * there + self.rest / scale)
        variance = jnp.square(self.std / scale)
        within = variance + (jnp.square(other.std / scale) - variance) * there
        return Moments(
            count=count,
            nonfinite=self.nonfinite + other.nonfinite,
            mean=mean * scale,
            rest=rest * scale,
            std=_root(within + delta * delta * here * there) * scale,
            min=smallest,
            max=largest,
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
        smallest, largest = lax.pmin(self.min, axis_name), lax.pmax(self.max, axis_name)
        scale = _scale(count, smallest, largest)
        share = self.count.astype(scale.dtype) / _at_least_1(count, scale)
        mean = self.mean / scale
        first_mean = lax.psum(mean * share, axis_name)
        distance = (mean - first_mean) + self.rest / scale
        spread = jnp.square(self.std / scale) + distance * distance
        drift, variance = lax.psum((distance * share, spread * share), axis_name)
        mean, rest = _sum(first_mean, drift)
        return Moments(
            count=count,
            nonfinite=nonfinite,
            mean=mean * scale,
            rest=rest * scale,
            std=_root(variance - drift * drift) * scale,
            min=smallest,
            max=largest,
        )


def stacked_moments(
    arrays: Mapping[str, Shaped[Array, "*batch"]], where: Bool[Array, "*batch"] | None
) -> dict[str, Moments]:
    """The moments of several arrays of one shape: `Moments.of` of each, in a smaller program.

    Args:
      arrays: by name; all of one shape.
      where: `bool` of that shape, or None.

    Returns:
      By the name of the dtype in which they are accumulated, the moments of the arrays that are,
      in their order: each field has an axis for them.
    """
    alike: dict[str, list[jax.Array]] = {}
    for array in arrays.values():
        alike.setdefault(accumulator(array.dtype).name, []).append(array)
    return {name: _of_all(group, where, np.dtype(name)) for name, group in alike.items()}


def _of_all(
    arrays: Sequence[Shaped[Array, "*batch"]],
    where: Bool[Array, "*batch"] | None,
    dtype: np.dtype,
) -> Moments:
    """The moments of some arrays, in one `Moments` whose fields have an axis for the arrays."""
    # On a CPU memory is slow, and XLA reads a whole array once for each sum: block by block, only
    # the first reads it. A batch on several devices is better left as it lies there.
    size = arrays[0].size
    if size <= 2 * _BLOCK or not devices.one_cpu():
        return _of_several(arrays, where, dtype)
    arrays = [array.reshape(-1) for array in arrays]
    where = None if where is None else where.reshape(-1)

    def of_block(start: ArrayLike, size: int) -> Moments:
        def block(array: jax.Array) -> jax.Array:
            return lax.dynamic_slice(array, (start,), (size,))

        return _of_several(
            [block(array) for array in arrays], None if where is None else block(where), dtype
        )

    num_blocks = (size - 1) // _BLOCK
    blocks = lax.map(lambda i: of_block(i * _BLOCK, _BLOCK), jnp.arange(num_blocks))
    # Together, as devices are: one after the other, the rounding of each would add up.
    name = "jaxlog_blocks"
    most = jax.vmap(lambda block: block.across(name), out_axes=None, axis_name=name)(blocks)
    return most.merge(of_block(num_blocks * _BLOCK, size - num_blocks * _BLOCK))


def _of_several(
    arrays: Sequence[Shaped[Array, "*batch"]],
    where: Bool[Array, "*batch"] | None,
    dtype: np.dtype,
) -> Moments:
    """The moments of some arrays, all at once."""
    arrays = [array.astype(dtype) for array in arrays]
    if len(arrays) > 1:
        return _of_floats(jnp.stack(arrays), where, tuple(range(1, arrays[0].ndim + 1)))
    # On a CPU, XLA is half as fast with an axis of size 1 in front.
    alone = _of_floats(arrays[0], where, tuple(range(arrays[0].ndim)))
    return jax.tree.map(lambda leaf: leaf[None], alone)


def _of_floats(
    values: Float[Array, "..."], where: Bool[Array, "*batch"] | None, axes: tuple[int, ...]
) -> Moments:
    """The moments along some axes, the last ones, which are those of `where`."""
    finite = jnp.isfinite(values)
    if where is not None:
        finite &= jnp.broadcast_to(where, values.shape)
    smallest = jnp.min(values, axis=axes, initial=np.inf, where=finite)
    largest = jnp.max(values, axis=axes, initial=-np.inf, where=finite)
    count = count_of(finite, axes)
    total = math.prod(values.shape[axis] for axis in axes) if where is None else count_of(where)

    def spread_out(of_each: Float[Array, "..."]) -> Float[Array, "..."]:
        return lax.expand_dims(of_each, axes)

    scale = _scale(count, smallest, largest)
    num = _at_least_1(count, scale)
    values = jnp.where(finite, values * spread_out(_inverse(scale)), 0)
    first_mean = jnp.sum(values, axis=axes) / num
    distance = jnp.where(finite, values - spread_out(first_mean), 0)
    drift = jnp.sum(distance, axis=axes) / num
    # What rounding left in `distance` counts twice in the squares; a negative rest is rounding.
    squares = jnp.sum(distance * distance, axis=axes) / num
    mean, rest = _sum(first_mean, drift)
    return Moments(
        count=count,
        nonfinite=total - count,
        mean=mean * scale,
        rest=rest * scale,
        std=_root(squares - drift * drift) * scale,
        min=smallest,
        max=largest,
    )


def count_of(mask: Bool[Array, "..."], axes: Sequence[int] | None = None) -> Int32[Array, "..."]:
    """How many entries are True along some axes, all if None: `int32`."""
    summed = math.prod(mask.shape if axes is None else (mask.shape[axis] for axis in axes))
    # XLA sums floats faster than integers, and floats count exactly up to here.
    dtype = np.float32 if summed <= 2**24 else np.int32
    return jnp.sum(mask.astype(dtype), axis=axes and tuple(axes)).astype(np.int32)


def _scale(
    count: Int32[Array, "*metrics"],
    smallest: Float[Array, "*metrics"],
    largest: Float[Array, "*metrics"],
) -> Float[Array, "*metrics"]:
    """A power of two of the size of the values: division by it is exact, and leaves them near 1."""
    size = jnp.where(count > 0, jnp.maximum(-smallest, largest), 0)
    info = jnp.finfo(size.dtype)
    # Halved, since what is above 1.5 * 2^127 is otherwise rounded to infinity.
    power = lax.reduce_precision(size / 2, exponent_bits=info.nexp, mantissa_bits=0)
    # XLA may multiply with the inverse, which has to be a normal number, too.
    power = jnp.minimum(power, np.array(2.0 ** (info.maxexp - 2), size.dtype))
    return lax.stop_gradient(jnp.where(power > 0, power, 1))


def _inverse(power: Float[Array, "*metrics"]) -> Float[Array, "*metrics"]:
    """1 over a power of two, by its bits: cheap enough to be done anew for every value."""
    info, bits = jnp.finfo(power.dtype), np.dtype(f"uint{8 * power.dtype.itemsize}")
    mirror = np.array(2 * (info.maxexp - 1), bits) << np.array(info.nmant, bits)
    return lax.bitcast_convert_type(mirror - lax.bitcast_convert_type(power, bits), power.dtype)


def _at_least_1(
    count: Int32[Array, "*metrics"], like: Float[Array, "*metrics"]
) -> Float[Array, "*metrics"]:
    return jnp.maximum(count, 1).astype(like.dtype)


def _sum(
    a: Float[Array, "*metrics"], b: Float[Array, "*metrics"]
) -> tuple[Float[Array, "*metrics"], Float[Array, "*metrics"]]:
    """A sum, and what rounding took from it (Knuth's two-sum)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def _root(variance: Float[Array, "*metrics"]) -> Float[Array, "*metrics"]:
    """The square root, 0 of what rounding made negative; with a gradient of 0 there."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)
