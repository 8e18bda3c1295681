from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jax.typing import ArrayLike

from jaxlog._crossing import packing
from jaxlog._crossing.primitive import side_by_side
from jaxlog._format.schema import Schema

DTYPES = [
    np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float16,
    ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.float32, np.complex64,
]  # fmt: skip
WIDE = [np.float64, np.int64, np.uint64, np.complex128]
SHAPES = [(), (1,), (3,), (5,), (0,), (2, 3), (4, 4, 3)]

arrays = st.tuples(st.sampled_from(DTYPES), st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))


def bits(kind: type, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """An array of any bits at all, NaNs with payloads among them."""
    dtype = np.dtype(kind)
    rng = np.random.default_rng(seed)
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    raw = rng.integers(0, 256, size=(*shape, dtype.itemsize), dtype=np.uint8)
    return raw.view(dtype).reshape(shape)


def through(values: Sequence[ArrayLike]) -> list[np.ndarray]:
    """Packs arrays in a compiled program and reads them back as the host does."""
    schemas = []

    @jax.jit
    def pack(values: Sequence[ArrayLike]) -> jax.Array:
        named: packing.Values = {(str(i),): value for i, value in enumerate(values)}
        schemas.append(Schema("test", tuple(packing.fields(named))))
        return packing.pack(named)

    words = np.asarray(pack(values))
    (schema,) = schemas
    assert words.dtype == np.uint32
    assert words.shape == (schema.num_words,)
    twice = schema.words(np.stack([words, words]))  # as two records
    return [schema.read(twice, str(i))[1] for i in range(len(values))]


def assert_same_bits(got: np.ndarray, sent: np.ndarray) -> None:
    assert got.dtype == sent.dtype
    assert got.shape == sent.shape
    assert got.tobytes() == sent.tobytes()


@given(st.lists(arrays, min_size=1, max_size=6))
@example([(ml_dtypes.bfloat16, (), 0), (ml_dtypes.bfloat16, (4, 4, 3), 0)])  # a NaN of odd bits
def test_arrays_come_out_as_they_went_in(specs: list) -> None:
    sent = [bits(*spec) for spec in specs]
    for got, value in zip(through(sent), sent, strict=True):
        assert_same_bits(got, value)


@pytest.mark.parametrize("dtype", WIDE)
def test_64_bits_come_out_as_they_went_in(dtype: type) -> None:
    with jax.enable_x64(True):
        sent = [bits(dtype, shape, 0) for shape in SHAPES]
        for got, value in zip(through(sent), sent, strict=True):
            assert_same_bits(got, value)


def test_narrow_and_opaque_dtypes_arrive_widened() -> None:
    key = jax.random.key(3)
    small = jnp.array([-8, 7], jnp.int4)
    got = through([jax.random.split(key, 2), small])
    assert got[0].tolist() == jax.random.key_data(jax.random.split(key, 2)).tolist()
    assert (got[1].dtype, got[1].tolist()) == (np.int8, [-8, 7])


def test_a_site_is_known_by_what_it_sends() -> None:
    def schema(name: str, shape: tuple[int, ...]) -> Schema:
        return Schema(name, tuple(packing.fields({("x",): np.zeros(shape, np.float32)})))

    assert schema("batch", (3,)).call_number == schema("batch", (3,)).call_number
    assert schema("batch", (3,)).call_number != schema("eval", (3,)).call_number
    assert schema("batch", (3,)).call_number != schema("batch", (4,)).call_number


def test_lanes_of_words_that_are_side_by_side_come_last_the_outermost_first() -> None:
    one = jnp.arange(6, dtype=np.uint32).reshape(3, 2)
    two = jnp.arange(10, 13, dtype=np.uint32)

    def pack(of_lane: jax.Array, of_outer: jax.Array, of_none: jax.Array) -> jax.Array:
        return side_by_side([of_lane[None], of_outer[None], of_none])

    def words(of_none: jax.Array) -> jax.Array:
        inner = jax.vmap(pack, (0, None, None), out_axes=1)
        return jax.vmap(inner, (0, 0, None), out_axes=1)(one, two, of_none)

    got = np.asarray(jax.jit(words)(jnp.array([7, 8], np.uint32)))
    assert got[0].tolist() == one.tolist()
    assert got[1].tolist() == [[10, 10], [11, 11], [12, 12]]
    assert (got[2] == 7).all()
    assert (got[3] == 8).all()
