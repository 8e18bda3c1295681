"""Which episodes to show: a pure function of (seed, step, population).

The picks are the same on every JAX version, device count and setting, in and out of `vmap`, which
`jax.random` does not promise; so the randomness is a hash in uint32.
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

_LOT_BITS = 30
_ROWS = 64  # a reduction over so many rows is fast, and leaves little to search
_SMALL = 2**14  # up to here the search is as fast as the reduction


def sample_indices(
    step: ArrayLike, population: int, num_samples: int, seed: ArrayLike = 0
) -> Int32[Array, " {min(num_samples,population)}"]:
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
    draws = np.arange(size, dtype=np.int32)
    largest = draws + np.int32(population - size)  # that each draw can give
    bits = _hash(_word(seed, "seed"), _word(step, "step"), jnp.asarray(draws, np.uint32))
    ranks = _scale(bits, jnp.asarray(largest + 1))

    # Robert Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987): what was drawn before is
    # replaced by the largest number, which could not have been.
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
    """Distinct indices of entries that a mask marks, each subset of this size equally likely.

    Every entry draws a lot, and the marked ones with the highest are chosen: there is no sort, and
    with more devices each hands on only its own highest. Works under `jit`, `vmap` and `scan`, and
    `grad` does not see it, as with `sample_indices`.

    Args:
      step: `int[]`, the update's index.
      mask: `bool`, any shape.
      num_samples: how many to choose. Where fewer are marked, all the marked are chosen.
      seed: `int[]`.
      axis_name: axes of `shard_map`, `pmap` or `vmap` along which the mask is divided: its shares
        lie side by side along its last axis, and what is chosen is the same everywhere.

    Returns:
      `int32[k]`, indices into the flattened mask (that of all shares), and `bool[k]`, which of them
      are chosen; `k` is `min(num_samples, mask.size)`. The chosen come first, those of the highest
      lot before the others, so that a smaller `num_samples` chooses the first of them; an index
      that is not chosen is 0.

    Raises:
      TypeError: `mask` is not bool, or as `sample_indices`.
      ValueError: `num_samples` is below 1, or the mask has no entry, or more than 2^30.

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
    if mask.size * num_shares > 2**_LOT_BITS:
        raise ValueError(
            f"mask: got {mask.size * num_shares} entries, expected at most 2**{_LOT_BITS}"
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
    """The entries that `sample_indices_where` chooses."""
    width = mask.shape[-1] if mask.ndim else 1
    mask = mask.reshape(-1, width)  # the last axis may lie on several devices, and stays

    def in_whole(row: jax.Array, column: jax.Array) -> jax.Array:
        """The index into all shares, side by side, of an entry of this one."""
        if axes:
            column += devices.index(axes) * np.uint32(width)
        return row * np.uint32(width * num_shares) + column

    row, column = (lax.broadcasted_iota(np.uint32, mask.shape, axis) for axis in (0, 1))
    lots = jnp.where(mask, _lots(step, seed, in_whole(row, column)), np.uint32(0))
    found, lots = _highest(lots, min(size, mask.size))
    indices = in_whole(lax.div(found, np.uint32(width)), lax.rem(found, np.uint32(width)))
    # One axis after the other: of several, JAX gathers along none that is of a `vmap`.
    for axis in axes:
        indices, lots = (lax.all_gather(x, axis, tiled=True) for x in (indices, lots))
        highest, lots = _highest(lots[None], min(size, lots.size))
        indices = indices[highest]
    if axes:
        # Every share has computed the same, and `shard_map` has to know.
        indices, lots = devices.of_first(axes, (indices, lots))
    valid = lots > 0
    return jnp.where(valid, indices.astype(np.int32), 0), valid


def _lots(
    step: ArrayLike, seed: ArrayLike, indices: UInt32[Array, "rows columns"]
) -> UInt32[Array, "rows columns"]:
    """A number for every index, no two alike: 30 bits, raised so that none is a subnormal float.

    The bits of MurmurHash3's last mix (see `_hash`), with its shifts for 30 bits: each line maps
    the numbers of 30 bits onto themselves.
    """
    all_bits = np.uint32(2**_LOT_BITS - 1)
    salt = _hash(_word(seed, "seed"), _word(step, "step"))
    lots = indices ^ (salt & all_bits)
    lots ^= lots >> np.uint32(15)
    lots = (lots * np.uint32(0x85EBCA6B)) & all_bits
    lots ^= (lots >> np.uint32(13)) ^ (salt >> np.uint32(32 - _LOT_BITS))
    lots = (lots * np.uint32(0xC2B2AE35)) & all_bits
    lots ^= lots >> np.uint32(15)
    return lots + np.uint32(0x00800000)


def _highest(
    lots: UInt32[Array, "rows columns"], num: int
) -> tuple[UInt32[Array, " {num}"], UInt32[Array, " {num}"]]:
    """Where the highest lots are in a flattened matrix, and these, descending."""
    rows, width = lots.shape
    if lots.size <= max(_SMALL, 2 * _ROWS * num):
        return _top(lots.reshape(-1), num)
    rest = lots[:0, 0]
    if not 1 < rows <= width:
        rows, width = _ROWS, lots.size // _ROWS
        lots, rest = jnp.split(lots.reshape(-1), [rows * width])
        lots = lots.reshape(rows, width)
    # The highest lie in those columns whose highest are highest, or in the rest.
    columns, _ = _highest(jnp.max(lots, axis=0, keepdims=True), min(num, width))
    places = (
        lax.broadcasted_iota(np.uint32, (rows, columns.size), 0) * np.uint32(width) + columns[None]
    )
    places = [places.reshape(-1), np.uint32(lots.size) + lax.iota(np.uint32, rest.size)]
    among, highest = _top(jnp.concatenate([lots[:, columns].reshape(-1), rest]), num)
    return jnp.concatenate(places)[among], highest


def _top(
    lots: UInt32[Array, " lots"], num: int
) -> tuple[UInt32[Array, " {num}"], UInt32[Array, " {num}"]]:
    # As floats, which have the same order, since XLA selects among these without a sort.
    highest, indices = lax.top_k(lax.bitcast_convert_type(lots, np.float32), num)
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
        return value  # known before the program runs, and then hashed before it runs
    value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, np.integer) or value.shape:
        raise TypeError(f"{name}: got {jax.typeof(value).str_short()}, expected an integer scalar")
    return value.astype(np.uint32)


@np.errstate(over="ignore")
def _hash(*words: Any) -> Any:
    """MurmurHash3_x86_32 (Austin Appleby, public domain) of some words, with seed 0."""

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

    Each number's probability is off by less than `bound / 2^32` of itself.
    """
    low, half = np.uint32(0xFFFF), np.uint32(16)
    bound = bound.astype(np.uint32)
    a1, a0, b1, b0 = bits >> half, bits & low, bound >> half, bound & low
    middle = a1 * b0 + (a0 * b0 >> half)
    carry = a0 * b1 + (middle & low)
    return (a1 * b1 + (middle >> half) + (carry >> half)).astype(np.int32)
