"""Which episodes to show: a pure function of (seed, step, population).

The picks are the same on every JAX version, device count and setting, in and out of `vmap`, which
`jax.random` does not promise; so the randomness is a counter hash in uint32, MurmurHash3.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

_NONE = np.int32(np.iinfo(np.int32).max)  # a rank that is not there; it sorts to the end


def sample_indices(
    step: ArrayLike, population: int, num_samples: int, seed: ArrayLike = 0
) -> jax.Array:
    """Distinct indices into a population, each subset of this size equally likely.

    The cost does not grow with the population. Works under `jit`, `vmap` and `scan`; the result is
    an integer, so `grad` does not see it.

    Args:
      step: `int[]`, the update's index.
      population: how many there are to choose from.
      num_samples: how many to choose; `population` or more chooses all.
      seed: `int[]`.

    Returns:
      `int32[min(num_samples, population)]`, ascending.

    Raises:
      TypeError: `step` or `seed` is not an integer scalar, `population` or `num_samples` no int.
      ValueError: `population` or `num_samples` is below 1, or `population` above 2^31 - 1.

    >>> sample_indices(step=7, population=1000, num_samples=3).tolist()
    [837, 969, 986]
    """
    size = _num_samples(population, num_samples)
    if size == population:
        return jnp.arange(population, dtype=np.int32)
    return _ranks(step, np.int32(population), size, seed)


def sample_indices_where(
    step: ArrayLike, mask: ArrayLike, num_samples: int, seed: ArrayLike = 0
) -> tuple[jax.Array, jax.Array]:
    """Distinct indices of entries that a mask marks, each subset of this size equally likely.

    There is no sort: the marks are counted by blocks, and the blocks with the chosen ones searched.

    Args:
      step: `int[]`, the update's index.
      mask: `bool`, any shape.
      num_samples: how many to choose. Where fewer are marked, all the marked are chosen.
      seed: `int[]`.

    Returns:
      `int32[k]`, ascending indices into the flattened mask, and `bool[k]`, which of them are
      chosen; `k` is `min(num_samples, mask.size)`. The chosen come first; an index that is not
      chosen is 0.

    Raises:
      TypeError: `mask` is not bool, or as `sample_indices`.
      ValueError: as `sample_indices`.

    >>> indices, valid = sample_indices_where(0, jnp.array([False, True, False, True]), 3)
    >>> indices.tolist(), valid.tolist()
    ([1, 3, 0], [True, True, False])
    """
    mask = jnp.asarray(mask)
    if mask.dtype != np.bool_:
        raise TypeError(f"mask: got {mask.dtype}, expected bool; compare with something")
    size = _num_samples(mask.size, num_samples)
    # About as many blocks as entries in a block: both the count and the search are then short.
    block = 1 << (mask.size.bit_length() // 2)
    blocks = jnp.pad(mask.reshape(-1), (0, -mask.size % block)).reshape(-1, block)
    in_block = jnp.sum(blocks, axis=1, dtype=np.int32)
    up_to_block = jnp.cumsum(in_block, dtype=np.int32)

    ranks = _ranks(step, up_to_block[-1], size, seed)
    valid = ranks != _NONE
    row = jnp.searchsorted(up_to_block, ranks, side="right").astype(np.int32)
    row = jnp.minimum(row, np.int32(len(blocks) - 1))
    rank_in_row = ranks - (up_to_block[row] - in_block[row])
    running = jnp.cumsum(blocks[row], axis=1, dtype=np.int32)
    column = jnp.argmax(running > rank_in_row[:, None], axis=1).astype(np.int32)
    return jnp.where(valid, row * np.int32(block) + column, 0), valid


def _num_samples(population: int, num_samples: int) -> int:
    for name, value in (("population", population), ("num_samples", num_samples)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name}: got {value!r}, expected a Python int, known at trace time")
        if value < 1:
            raise ValueError(f"{name}: got {value}, expected 1 or more")
    if population > np.iinfo(np.int32).max:
        raise ValueError(f"population: got {population}, expected at most 2**31 - 1")
    return min(int(population), int(num_samples))


def _ranks(step: ArrayLike, population: ArrayLike, size: int, seed: ArrayLike) -> jax.Array:
    """`size` distinct numbers below `population`, ascending; `_NONE` where it has not that many.

    Robert Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987): one draw for each, and what was
    drawn before is replaced by the largest number that could not have been.
    """
    population = jnp.asarray(population, np.int32)
    bits = _hash(_word(seed, "seed"), _word(step, "step"), jnp.arange(size, dtype=np.uint32))
    first = jnp.maximum(population - size, 0)  # the largest number of the first draw

    def draw(i: jax.Array, chosen: jax.Array) -> jax.Array:
        largest = first + i
        rank = _scale(bits[i], largest + 1)
        rank = jnp.where(jnp.any(chosen == rank), largest, rank)
        return chosen.at[i].set(jnp.where(largest < population, rank, _NONE))

    # Under shard_map a loop's start has to vary over the devices as its end does.
    start = lax.full_like(bits + population.astype(np.uint32), _NONE, np.int32)
    return jnp.sort(lax.fori_loop(np.int32(0), np.int32(size), draw, start))


def _word(value: ArrayLike, name: str) -> jax.Array:
    value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, np.integer) or value.shape:
        raise TypeError(f"{name}: got {jax.typeof(value).str_short()}, expected an integer scalar")
    return value.astype(np.uint32)


def _hash(*words: jax.Array) -> jax.Array:
    """MurmurHash3_x86_32 (Austin Appleby, public domain) of some words, with seed 0."""

    def rotate(x: jax.Array, bits: int) -> jax.Array:
        return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))

    state = jnp.zeros((), np.uint32)
    for word in words:
        mixed = rotate(word * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
        state = rotate(state ^ mixed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    state ^= np.uint32(4 * len(words))
    state = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return state ^ (state >> np.uint32(16))


def _scale(bits: jax.Array, bound: jax.Array) -> jax.Array:
    """Maps 32 random bits to a number below `bound`: `bits * bound >> 32`, in 32-bit arithmetic.

    Each number's probability is off by less than `bound / 2^32` of itself.
    """
    low, half = np.uint32(0xFFFF), np.uint32(16)
    bound = bound.astype(np.uint32)
    a1, a0, b1, b0 = bits >> half, bits & low, bound >> half, bound & low
    middle = a1 * b0 + (a0 * b0 >> half)
    carry = a0 * b1 + (middle & low)
    return (a1 * b1 + (middle >> half) + (carry >> half)).astype(np.int32)
