from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.typing import ArrayLike

from jaxlog import sample_indices, sample_indices_where
from jaxlog._program import sampling

compiled = jax.jit(sample_indices, static_argnums=(1, 2))
compiled_where = jax.jit(sample_indices_where, static_argnums=2)
# From 2^14 entries on, they are searched by columns: of the mask itself, where it has many.
MASKS = [(), (1,), (7,), (5, 13), (3, 4, 5), (20_000,), (300, 101), (9, 40_000)]
steps = st.integers(0, 2**31 - 1)
seeds = st.integers(0, 2**32 - 1)


def murmur3(*words: int) -> int:
    """MurmurHash3_x86_32 in Python integers."""

    def rotate(x: int, bits: int) -> int:
        return ((x << bits) | (x >> (32 - bits))) & 0xFFFFFFFF

    state = 0
    for word in words:
        mixed = rotate(word * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF
        state = (rotate(state ^ mixed, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    state ^= 4 * len(words)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ (state >> shift)) * factor & 0xFFFFFFFF
    return state ^ (state >> 16)


def floyd(seed: int, step: int, population: int, k: int) -> list[int]:
    """What sample_indices is meant to give, in Python integers."""
    chosen: set[int] = set()
    for i, largest in enumerate(range(population - k, population)):
        rank = murmur3(seed, step, i) * (largest + 1) >> 32
        chosen.add(largest if rank in chosen else rank)
    return sorted(chosen)


def test_the_hash_is_murmur3() -> None:
    # A vector of the reference implementation: seed 0, the four bytes 21 43 65 87.
    assert murmur3(0x87654321) == 0xF55B516B
    assert int(sampling.hashed(jnp.uint32(0x87654321))) == 0xF55B516B


@given(steps, seeds, st.sampled_from([1, 4, 9, 10, 1000, 2**31 - 1]), st.sampled_from([1, 4, 9]))
def test_picks_are_those_of_floyds_algorithm(step: int, seed: int, population: int, k: int) -> None:
    got = compiled(np.int32(step), population, k, np.uint32(seed))
    if k >= population:
        assert got.tolist() == list(range(population))
    else:
        assert got.tolist() == floyd(seed, step, population, k)
    assert got.dtype == np.int32


def test_picks_of_a_known_step() -> None:
    # Written down once: whoever changes these breaks the picks of every run before.
    assert sample_indices(0, 100, 3).tolist() == [37, 39, 83]
    assert sample_indices(10, 1_000_000, 3, seed=1).tolist() == [187698, 501065, 767489]
    assert sample_indices_where(0, np.ones(100, bool), 3)[0].tolist() == [73, 7, 81]
    assert sample_indices_where(10, np.ones((64, 4096), bool), 3, 1)[0].tolist() == [
        117674,
        129031,
        239383,
    ]


def lots(seed: int, step: int, size: int) -> np.ndarray:
    """The lot of each index, in Python integers: the highest are chosen."""
    salt, all_bits = murmur3(seed, step), 2**30 - 1
    lot = np.arange(size, dtype=np.uint64) ^ np.uint64(salt & all_bits)
    for shift, factor in ((15, 0x85EBCA6B), (13, 0xC2B2AE35)):
        lot ^= lot >> np.uint64(shift)
        if shift == 13:
            lot ^= np.uint64(salt >> 2)
        lot = (lot * np.uint64(factor)) & np.uint64(all_bits)
    return lot ^ (lot >> np.uint64(15))


@given(steps, seeds, st.data())
def test_masked_samples_have_the_highest_scores(step: int, seed: int, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(MASKS))
    share = data.draw(st.sampled_from([0.0, 0.0002, 0.5, 1.0]))
    k = data.draw(st.sampled_from([1, 2, 6]))
    mask = np.random.default_rng(step).random(shape) < share
    marked = np.flatnonzero(mask)
    drawn = lots(seed, step, mask.size)
    assert len(set(drawn.tolist())) == mask.size
    expected = marked[np.argsort(drawn[marked])[::-1]][:k].tolist()

    indices, valid = compiled_where(np.int32(step), mask, k, np.uint32(seed))
    assert (indices.dtype, len(indices)) == (np.int32, min(k, mask.size))
    assert indices[valid].tolist() == expected
    assert valid.tolist() == [i < len(expected) for i in range(len(valid))]
    assert indices[~valid].tolist() == [0] * (len(valid) - len(expected))


@pytest.mark.parametrize("shape", [(8,), (3, 8), (2, 3, 40), (5, 8000)])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_picks_of_a_divided_mask_are_those_of_the_whole(
    shape: tuple[int, ...], share: float
) -> None:
    mask = np.random.default_rng(0).random(shape) < share
    shares = np.stack(np.split(mask, 4, axis=-1))
    pick = jax.vmap(lambda m: sample_indices_where(3, m, 5, axis_name="i"), axis_name="i")
    indices, valid = pick(shares)
    expected = sample_indices_where(3, mask, 5)
    for i in range(4):
        assert indices[i].tolist() == expected[0].tolist()
        assert valid[i].tolist() == expected[1].tolist()


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("width", [1, 3, 5000])
def test_picks_of_a_mask_divided_along_several_axes_are_those_of_the_whole(
    width: int, share: float
) -> None:
    mask = np.random.default_rng(1).random((2, 12 * width)) < share
    shares = np.moveaxis(mask.reshape(2, 2, 3, 2, width), 0, 3)  # [i, j, k, 2, width]
    pick = lambda m: sample_indices_where(3, m, 7, axis_name=("i", "j", "k"))  # noqa: E731
    for axis in ("k", "j", "i"):
        pick = jax.vmap(pick, axis_name=axis)
    indices, valid = pick(shares)
    expected = sample_indices_where(3, mask, 7)
    for place in np.ndindex(2, 3, 2):
        assert indices[place].tolist() == expected[0].tolist()
        assert valid[place].tolist() == expected[1].tolist()


@pytest.mark.parametrize("shape", [(400,), (80_000,), (6, 8)])
def test_a_mask_on_explicit_mesh_axes_will_do(shape: tuple[int, ...]) -> None:
    mask = np.random.default_rng(0).random(shape) < 0.3
    expected = sample_indices_where(3, mask, 4)[0].tolist()
    mesh = jax.make_mesh((4,), ("i",), axis_types=(jax.sharding.AxisType.Explicit,))
    with jax.set_mesh(mesh):
        spec = jax.sharding.PartitionSpec(*[None] * (len(shape) - 1), "i")
        divided = jax.device_put(mask, jax.sharding.NamedSharding(mesh, spec))
        for pick in (sample_indices_where, compiled_where):
            assert pick(3, divided, 4)[0].tolist() == expected


def test_a_mask_is_at_most_as_large_as_there_are_scores() -> None:
    mask = jax.ShapeDtypeStruct((2**30 + 1,), bool)
    with pytest.raises(ValueError, match=r"mask: got 1073741825 entries, expected at most 2\*\*30"):
        jax.eval_shape(lambda m: sample_indices_where(0, m, 3), mask)


@pytest.mark.parametrize("how", ["jit", "vmap", "scan", "x64", "partitionable", "rbg"])
def test_picks_do_not_depend_on_where_they_are_made(how: str) -> None:
    mask = np.random.default_rng(0).random((9, 11)) < 0.3
    plain = [sample_indices_where(step, mask, 4)[0].tolist() for step in range(6)]

    def pick(step: ArrayLike) -> jax.Array:
        return sample_indices_where(step, mask, 4)[0]

    steps = jnp.arange(6)
    match how:
        case "jit":
            got = [jax.jit(pick)(step) for step in steps]
        case "vmap":
            got = jax.vmap(pick)(steps)
        case "scan":
            got = jax.lax.scan(lambda _, step: (None, pick(step)), None, steps)[1]
        case "x64":
            with jax.enable_x64(True):
                got = [pick(step) for step in range(6)]
        case "partitionable":
            config: Any = jax.config  # its options are attributes that type checkers do not know
            with jax.threefry_partitionable(not config.jax_threefry_partitionable):
                got = [pick(step) for step in range(6)]
        case _:
            with jax.default_prng_impl("rbg"):
                got = [pick(step) for step in range(6)]
    assert [np.asarray(row).tolist() for row in got] == plain


@pytest.mark.parametrize("masked", [False, True])
def test_every_entry_is_as_likely_as_any_other(masked: bool) -> None:
    population, k, rounds = 20, 3, 20_000
    mask = np.ones(population, bool)

    def pick(step: jax.Array) -> jax.Array:
        if masked:
            return sample_indices_where(step, mask, k)[0]
        return sample_indices(step, population, k)

    picks = np.asarray(jax.jit(jax.vmap(pick))(jnp.arange(rounds)))
    picks = np.sort(picks, axis=1)
    assert (np.diff(picks, axis=1) > 0).all()
    counts = np.bincount(picks.ravel(), minlength=population)
    expected = rounds * k / population
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 43.8  # the 99.9 % quantile for 19 degrees of freedom
    together = np.zeros((population, population))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        np.add.at(together, (picks[:, a], picks[:, b]), 1)
    pairs = together[np.triu_indices(population, 1)]
    expected = rounds * k * (k - 1) / (population * (population - 1))
    assert ((pairs - expected) ** 2 / expected).sum() < 260  # 190 pairs: far above 99.9 %


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((0, 0, 1), ValueError, "population: got 0, expected 1 or more"),
        ((0, 5, 0), ValueError, "num_samples: got 0, expected 1 or more"),
        ((0, 5, 2.0), TypeError, "num_samples: got 2.0, expected a Python int"),
        ((0.5, 5, 2), TypeError, r"step: got float32\[\], expected an integer scalar"),
        ((0, 2**31, 2), ValueError, r"population: got 2147483648, expected at most 2\*\*31 - 1"),
    ],
)
def test_what_cannot_be_sampled(arguments: tuple, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        sample_indices(*arguments)


def test_a_mask_has_to_be_bool() -> None:
    with pytest.raises(TypeError, match="mask: got int32, expected bool"):
        sample_indices_where(0, jnp.ones(3, np.int32), 1)
