"""Sampling of episodes, as a pure function of (seed, step, population).

The samples are the same on every JAX version, device count and setting, in and out of `vmap`.
`jax.random` does not promise this, so the random numbers come from a hash in uint32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxlog._program import devices
from jaxlog._program.shapes import Bool, Int32, UInt32

_SCORE_BITS = 30
_ROWS = 64  # a reduction over this many rows is fast, and leaves few entries to search
_SMALL = 2**14  # up to this size a search is as fast as a reduction


def sample_indices(
    step: ArrayLike, population: int, num_samples: int, seed: ArrayLike = 0
) -> Int32[Array, " {min(num_samples,population)}"]:
    """Samples distinct indices below `population`; every subset of this size is equally likely.

    The cost does not grow with the population. Works under `jit`, `vmap` and `scan`; the result is
    an array of integers, which has no gradient.

    Args:
      step: `int[]`, the index of the update.
      population: the number of elements to choose from.
      num_samples: the number of elements to choose; `population` or more chooses all.
      seed: `int[]`, the seed. The same seed, step and population give the same indices.

    Returns:
      `int32[min(num_samples, population)]`, ascending.

    Raises:
      TypeError: `step` or `seed` is not an integer scalar, or `population` or `num_samples` is not
        a Python int.
      ValueError: `population` or `num_samples` is below 1, or `population` above 2^31 - 1.

    >>> sample_indices(step=7, population=1000, num_samples=3).tolist()
    [837, 969, 986]
    """
    size = _num_samples(population, num_samples)
    if size == population:
        return jnp.arange(population, dtype=np.int32)
    draws = np.arange(size, dtype=np.int32)
    largest = draws + np.int32(population - size)  # that each draw can give
    bits = hashed(_word(seed, "seed"), _word(step, "step"), jnp.asarray(draws, np.uint32))
    ranks = _scale(bits, jnp.asarray(largest + 1))

    # Robert Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987): a number that was drawn before
    # is replaced by the largest one of this draw, which no earlier draw could give.
    def draw(i: jax.Array, chosen: jax.Array) -> jax.Array:
        rank = ranks[i]
        again = jnp.any(chosen == rank)
        return chosen.at[i].set(jnp.where(again, i + np.int32(population - size), rank))

    none = lax.full_like(ranks, -1)
    return jnp.sort(lax.fori_loop(np.int32(0), np.int32(size), draw, none))


def sample_indices_where(
    step: ArrayLike,
    mask: ArrayLike,
    num_samples: int,
    seed: ArrayLike = 0,
    *,
    axis_name: str | Sequence[str] = (),
) -> tuple[Int32[Array, " k"], Bool[Array, " k"]]:
    """Samples distinct marked entries of a mask; every subset of this size is equally likely.

    Each entry gets a random score; the marked entries with the top scores are selected. This needs
    no sort, and each of several devices sends only its own top scores to the others. Works under
    `jit`, `vmap` and `scan`; the result has no gradient.

    Args:
      step: `int[]`, the index of the update.
      mask: `bool`, any shape.
      num_samples: the number of entries to select. If fewer are marked, all marked entries are.
      seed: `int[]`, the seed. The same seed, step and mask give the same entries.
      axis_name: the axes of `shard_map`, `pmap` or `vmap` that divide the mask. Its shares are
        joined along the last axis, and the result is the same in all of them.

    Returns:
      `int32[k]`, indices into the flattened mask (of all shares), and `bool[k]`, which of these are
      selected, where `k` is `min(num_samples, mask.size)`. The selected entries come first, in
      descending order of their scores, so that a smaller `num_samples` selects the first of them;
      the other indices are 0.

    Raises:
      TypeError: `mask` is not bool, or as for `sample_indices`.
      ValueError: `num_samples` is below 1, or the mask has no entry or more than 2^30 entries.

    >>> indices, valid = sample_indices_where(0, jnp.array([False, True, False, True]), 3)
    >>> indices.tolist(), valid.tolist()
    ([3, 1, 0], [True, True, False])
    """
    mask = jnp.asarray(mask)
    if mask.dtype != np.bool_:
        raise TypeError(f"mask: got {mask.dtype}, expected bool; compare with something")
    axes = (axis_name,) if isinstance(axis_name, str) else tuple(axis_name)
    num_shares = devices.size(axes)
    size = _num_samples(mask.size * num_shares, num_samples)
    if mask.size * num_shares > 2**_SCORE_BITS:
        raise ValueError(
            f"mask: got {mask.size * num_shares} entries, expected at most 2**{_SCORE_BITS}"
        )
    draw = devices.with_automatic_axes(partial(_draw, step, seed, axes, num_shares, size))
    return draw(mask)


def _draw(
    step: ArrayLike,
    seed: ArrayLike,
    axes: devices.Axes,
    num_shares: int,
    size: int,
    mask: Bool[Array, "..."],
) -> tuple[Int32[Array, " {size}"], Bool[Array, " {size}"]]:
    """Selects the entries for `sample_indices_where`."""
    width = mask.shape[-1] if mask.ndim else 1
    mask = mask.reshape(-1, width)  # the last axis may be sharded, so it is kept

    def in_whole(row: jax.Array, column: jax.Array) -> jax.Array:
        """The index in the joined shares of an entry of this share."""
        if axes:
            column += devices.index(axes) * np.uint32(width)
        return row * np.uint32(width * num_shares) + column

    row, column = (lax.broadcasted_iota(np.uint32, mask.shape, axis) for axis in (0, 1))
    scores = jnp.where(mask, _scores(step, seed, in_whole(row, column)), np.uint32(0))
    found, scores = _highest(scores, min(size, mask.size))
    indices = found
    if axes:
        indices = in_whole(lax.div(found, np.uint32(width)), lax.rem(found, np.uint32(width)))
    # One axis at a time: JAX gathers along several axes only if none is that of a `vmap`.
    for axis in axes:
        indices, scores = (lax.all_gather(x, axis, tiled=True) for x in (indices, scores))
        highest, scores = _highest(scores[None], min(size, scores.size))
        indices = indices[highest]
    if axes:
        # All shares have computed the same result, and `shard_map` has to know this.
        indices, scores = devices.of_first(axes, (indices, scores))
    valid = scores > 0
    return jnp.where(valid, indices.astype(np.int32), 0), valid


def _scores(
    step: ArrayLike, seed: ArrayLike, indices: UInt32[Array, "rows columns"]
) -> UInt32[Array, "rows columns"]:
    """A different score for every index: 30 bits, offset so that none is a subnormal float.

    The final mix of MurmurHash3 (see `hashed`) with its shifts adapted to 30 bits: each line is a
    permutation of the 30-bit numbers.
    """
    all_bits = np.uint32(2**_SCORE_BITS - 1)
    salt = hashed(_word(seed, "seed"), _word(step, "step"))
    scores = indices ^ (salt & all_bits)
    scores ^= scores >> np.uint32(15)
    scores = (scores * np.uint32(0x85EBCA6B)) & all_bits
    scores ^= (scores >> np.uint32(13)) ^ (salt >> np.uint32(32 - _SCORE_BITS))
    scores = (scores * np.uint32(0xC2B2AE35)) & all_bits
    scores ^= scores >> np.uint32(15)
    return scores + np.uint32(0x00800000)


def _highest(
    scores: UInt32[Array, "rows columns"], num: int
) -> tuple[UInt32[Array, " {num}"], UInt32[Array, " {num}"]]:
    """The indices of the highest scores in a flattened matrix, and these scores, descending."""
    rows, width = scores.shape
    if scores.size <= max(_SMALL, 2 * _ROWS * num):
        return _top(scores.reshape(-1), num)
    rest = scores[:0, 0]
    if not 1 < rows <= width:
        rows, width = _ROWS, scores.size // _ROWS
        scores, rest = jnp.split(scores.reshape(-1), [rows * width])
        scores = scores.reshape(rows, width)
    # The highest scores are in the columns with the highest maxima, or in the rest.
    columns, _ = _highest(jnp.max(scores, axis=0, keepdims=True), min(num, width))
    indices = (
        lax.broadcasted_iota(np.uint32, (rows, columns.size), 0) * np.uint32(width) + columns[None]
    )
    indices = [indices.reshape(-1), np.uint32(scores.size) + lax.iota(np.uint32, rest.size)]
    among, highest = _top(jnp.concatenate([scores[:, columns].reshape(-1), rest]), num)
    return jnp.concatenate(indices)[among], highest


def _top(
    scores: UInt32[Array, " scores"], num: int
) -> tuple[UInt32[Array, " {num}"], UInt32[Array, " {num}"]]:
    # As floats, which have the same order, because XLA selects among floats without a sort.
    highest, indices = lax.top_k(lax.bitcast_convert_type(scores, np.float32), num)
    return indices.astype(np.uint32), lax.bitcast_convert_type(highest, np.uint32)


def _num_samples(population: int, num_samples: int) -> int:
    for name, value in (("population", population), ("num_samples", num_samples)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name}: got {value!r}, expected a Python int, known at trace time")
        if value < 1:
            raise ValueError(f"{name}: got {value}, expected 1 or more")
    if population > np.iinfo(np.int32).max:
        raise ValueError(f"population: got {population}, expected at most 2**31 - 1")
    return min(int(population), int(num_samples))


def _word(value: Any, name: str) -> Any:
    if isinstance(value, np.generic) and value.dtype == np.uint32:
        return value  # a constant of the program, which is hashed at trace time
    value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, np.integer) or value.shape:
        raise TypeError(f"{name}: got {jax.typeof(value).str_short()}, expected an integer scalar")
    return value.astype(np.uint32)


@np.errstate(over="ignore")
def hashed(*words: Any) -> Any:
    """MurmurHash3_x86_32 (Austin Appleby, public domain) of 32-bit words, with seed 0."""

    def rotate(x: Any, bits: int) -> Any:
        return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))

    state: Any = np.uint32(0)
    for word in words:
        mixed = rotate(word * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
        state = rotate(state ^ mixed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    state ^= np.uint32(4 * len(words))
    state = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return state ^ (state >> np.uint32(16))


def _scale(bits: UInt32[Array, " k"], bound: Int32[Array, " k"]) -> Int32[Array, " k"]:
    """Maps 32 random bits to a number below `bound`: `bits * bound >> 32`, in 32-bit arithmetic.

    The relative error of each number's probability is less than `bound / 2^32`.
    """
    low, half = np.uint32(0xFFFF), np.uint32(16)
    bound = bound.astype(np.uint32)
    a1, a0, b1, b0 = bits >> half, bits & low, bound >> half, bound & low
    middle = a1 * b0 + (a0 * b0 >> half)
    carry = a0 * b1 + (middle & low)
    return (a1 * b1 + (middle >> half) + (carry >> half)).astype(np.int32)
