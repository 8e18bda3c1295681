"""Statistics of a masked batch, exact to float32 rounding, that can be merged.

`Moments` has the count, mean, standard deviation, minimum and maximum of a batch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxlog._program import devices
from jaxlog._program.layout import in_rows
from jaxlog._program.shapes import Bool, Float, Int32, Shaped

Names = str | tuple[str, ...]
"""The name of an array, or the names of its parts along its last axis."""
_BLOCK = 2**15  # values reduced at a time: they and their intermediate results fit into the cache


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which values of `dtype` are accumulated: float32, or float64 for 64 bits."""
    wide = dtype in (np.float64, np.int64, np.uint64)
    return np.dtype(jax.dtypes.canonicalize_dtype(np.float64 if wide else np.float32))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments:
    """Count, mean, standard deviation, minimum and maximum of an array; they can be merged.

    Each field is a scalar, or has the lane axes of a `vmap`. Values that are not finite are counted
    in `nonfinite` and left out of the other fields. If `count` is 0, the other fields are the
    neutral elements of `merge`: `mean` and `std` are 0, `min` is +inf and `max` is -inf.

    The standard deviation is stored instead of the sum of squares, because it has the magnitude of
    the values, so that it neither overflows nor underflows unless they do.

    Attributes:
      count: `int32[]`, the number of finite values.
      nonfinite: `int32[]`, the number of values that are infinite or NaN.
      mean: `float[]`, the mean of the finite values.
      rest: `float[]`, the rounding error of the mean, which the next merge adds back.
      std: `float[]`, the standard deviation of the finite values as a population, as in `np.std`.
      min: `float[]`, the smallest finite value.
      max: `float[]`, the largest finite value.
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
        """`int32[]`, the number of all values, finite or not."""
        return self.count + self.nonfinite

    @staticmethod
    def empty(dtype: np.dtype | type = np.float32) -> Moments:
        """The moments of no values, the neutral element of `merge`.

        Args:
          dtype: the dtype of the values that will be merged into it.

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
        """Computes the moments of an array.

        The corrected two-pass algorithm (Chan, Golub and LeVeque, 1983, eq. 1.7): the mean of the
        distances from a first mean removes the rounding error of the first sum, also from the
        squares. The values are scaled so that the largest is about 1.

        Works under `jit`, `vmap` (moments of each lane) and `scan`, and is differentiable.

        Args:
          values: an array of any shape of bools, integers or real numbers. They are accumulated in
            float32, and 64-bit values (under x64) in float64.
          where: `bool`, of the shape of `values`, which values count; None for all.

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

        The formula is that of Chan, Golub and LeVeque (1979), written without the product of the
        two counts, which would overflow int32. The rounding error of the mean is kept, so that many
        small batches can be merged one after another without losing accuracy.

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
        """Merges the moments of all devices or lanes along named axes.

        For use under `shard_map`, `pmap`, or a `vmap` with an `axis_name`; the result is the same
        on all of them. The means are averaged in two passes, as in `of`.

        Args:
          axis_name: the name of an axis, or several.

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
    arrays: Mapping[Names, Shaped[Array, "..."]],
    where: Bool[Array, "*batch"] | None,
) -> dict[str, Moments]:
    """Computes `Moments.of` for several arrays, in a smaller program.

    Args:
      arrays: the arrays, by name. An array under several names has one more axis, the last: an
        entry for each name.
      where: `bool` of the shape of each array, without that axis; None for all entries.

    Returns:
      By the name of an accumulating dtype, the moments of the arrays that are accumulated in it, in
      their order: each field is an array `[names]`.
    """
    alike: dict[str, list[list[jax.Array] | jax.Array]] = {}
    for names, array in arrays.items():
        groups = alike.setdefault(accumulator(array.dtype).name, [])
        last = groups[-1] if groups else None
        if not isinstance(names, str):
            groups.append(array)
        elif isinstance(last, list) and last[0].shape == array.shape:
            last.append(array)
        else:
            groups.append([array])
    found: dict[str, Moments] = {}
    for name, groups in alike.items():
        dtype = np.dtype(name)
        first, *others = (
            _of_all(group, where, dtype)
            if isinstance(group, list)
            else _of_parts(group, where, dtype)
            for group in groups
        )
        found[name] = first
        if others:
            found[name] = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), first, *others)
    return found


def _of_parts(
    array: Shaped[Array, "*batch parts"],
    where: Bool[Array, "*batch"] | None,
    dtype: np.dtype,
) -> Moments:
    """The moments along all axes but the last."""
    if not devices.one_cpu():  # a batch on several devices keeps its sharding
        parts = jnp.moveaxis(array, -1, 0)
        return _of_floats(parts.astype(dtype), where, tuple(range(1, parts.ndim)))
    num_parts = array.shape[-1]
    num_rows = array.size // max(num_parts, 1)
    rows = array.reshape(num_rows, num_parts).astype(dtype)
    if where is not None:
        # Masked by itself, in the order of the memory; XLA would do it in the copy below.
        rows = lax.optimization_barrier(jnp.where(where.reshape(-1, 1), rows, np.nan))
    parts = in_rows(rows.T)  # else transposed again for each sum

    def of_parts(parts: jax.Array) -> Moments:
        return _of_floats(parts, None, (1,))

    if array.size <= 2 * _BLOCK:
        moments = of_parts(parts)
    else:
        moments = _in_blocks(of_parts, parts, max(1, _BLOCK // num_parts))
    total = num_rows if where is None else count_of(where)
    return dataclasses.replace(moments, nonfinite=total - moments.count)


def _of_all(
    arrays: Sequence[Shaped[Array, "*batch"]],
    where: Bool[Array, "*batch"] | None,
    dtype: np.dtype,
) -> Moments:
    """The moments of several arrays, in one `Moments` whose fields have an axis for the arrays."""

    def of_entries(entries: tuple[Sequence[jax.Array], jax.Array | None]) -> Moments:
        return _of_several(*entries, dtype)

    # XLA on a CPU reads the whole array from memory once for each sum. In blocks that fit into the
    # cache, only the first sum reads from memory. A batch on several devices keeps its sharding.
    if arrays[0].size <= 2 * _BLOCK or not devices.one_cpu():
        return of_entries((arrays, where))
    flat = jax.tree.map(lambda array: array.reshape(-1), (arrays, where))
    return _in_blocks(of_entries, flat, _BLOCK)


def _in_blocks(
    of: Callable[[Any], Moments],
    arrays: Any,
    size: int,
) -> Moments:
    """The moments of long arrays, from those of blocks along their last axis.

    Args:
      of: computes the moments of a block of `arrays`.
      arrays: arrays whose last axes are equal and longer than `size`, as a pytree.
      size: the most entries of a block.
    """
    length = jax.tree.leaves(arrays)[0].shape[-1]

    def of_block(start: ArrayLike, size: int) -> Moments:
        return of(
            jax.tree.map(
                lambda array: lax.dynamic_slice_in_dim(array, start, size, axis=-1), arrays
            )
        )

    # Blocks that divide the length leave no rest, which would have to be compiled, too.
    least = -(-length // size)
    num_blocks = next((n for n in range(least, 2 * least) if length % n == 0), length // size)
    size = length // num_blocks if length % num_blocks == 0 else size
    rest = length - num_blocks * size
    blocks = lax.map(lambda i: of_block(i * size, size), jnp.arange(num_blocks))
    # All blocks are merged at once: merging them one by one would add up rounding errors.
    name = "jaxlog_blocks"
    most = jax.vmap(lambda block: block.across(name), out_axes=None, axis_name=name)(blocks)
    return most.merge(of_block(num_blocks * size, rest)) if rest else most


def _of_several(
    arrays: Sequence[Shaped[Array, "*batch"]],
    where: Bool[Array, "*batch"] | None,
    dtype: np.dtype,
) -> Moments:
    """The moments of several arrays, without blocks."""
    arrays = [array.astype(dtype) for array in arrays]
    if len(arrays) > 1:
        return _of_floats(jnp.stack(arrays), where, tuple(range(1, arrays[0].ndim + 1)))
    # On a CPU, XLA is half as fast if there is a leading axis of size 1.
    alone = _of_floats(arrays[0], where, tuple(range(arrays[0].ndim)))
    return jax.tree.map(lambda leaf: leaf[None], alone)


def _of_floats(
    values: Float[Array, "..."], where: Bool[Array, "*batch"] | None, axes: tuple[int, ...]
) -> Moments:
    """The moments along the last axes, which are the axes of `where`."""
    if where is None and math.prod(values.shape[axis] for axis in axes) == 1:
        return _of_single(lax.squeeze(values, axes))
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
    # The mean's rounding error, `drift`, also is in the squares, and is subtracted below.
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


def _of_single(values: Float[Array, "*metrics"]) -> Moments:
    """The moments of one value each, such as those of scalars, in a fraction of the program."""
    finite = jnp.isfinite(values)
    count = finite.astype(np.int32)
    mean = jnp.where(finite, values, 0)
    nothing = mean - mean  # differs between devices as the mean does, which a constant would not
    return Moments(
        count=count,
        nonfinite=1 - count,
        mean=mean,
        rest=nothing,
        std=nothing,
        min=jnp.where(finite, values, np.inf),
        max=jnp.where(finite, values, -np.inf),
    )


def count_of(mask: Bool[Array, "..."], axes: Sequence[int] | None = None) -> Int32[Array, "..."]:
    """The number of True entries along some axes, or along all if None, as `int32`."""
    summed = math.prod(mask.shape if axes is None else (mask.shape[axis] for axis in axes))
    # XLA sums floats faster than integers, and float32 counts exactly up to 2^24.
    dtype = np.float32 if summed <= 2**24 else np.int32
    return jnp.sum(mask.astype(dtype), axis=axes and tuple(axes)).astype(np.int32)


def _scale(
    count: Int32[Array, "*metrics"],
    smallest: Float[Array, "*metrics"],
    largest: Float[Array, "*metrics"],
) -> Float[Array, "*metrics"]:
    """A power of two near the largest absolute value: dividing by it is exact."""
    size = jnp.where(count > 0, jnp.maximum(-smallest, largest), 0)
    info = jnp.finfo(size.dtype)
    # Halved, because `reduce_precision` would round numbers above 1.5 * 2^127 to infinity.
    power = lax.reduce_precision(size / 2, exponent_bits=info.nexp, mantissa_bits=0)
    # XLA may multiply by the inverse, which therefore must not be subnormal.
    power = jnp.minimum(power, np.array(2.0 ** (info.maxexp - 2), size.dtype))
    return lax.stop_gradient(jnp.where(power > 0, power, 1))


def _inverse(power: Float[Array, "*metrics"]) -> Float[Array, "*metrics"]:
    """The inverse of a power of two, computed on its bits, which is cheap for every value."""
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
    """The sum of two numbers, and its rounding error (Knuth's two-sum)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def _root(variance: Float[Array, "*metrics"]) -> Float[Array, "*metrics"]:
    """The square root; 0, with a gradient of 0, for a variance that rounding made negative."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)
