"""Packs all arrays of a record into one buffer of `uint32` words.

The cost of a callback grows with the number of arguments, not of bytes, so all arrays are bit-cast
and joined. `jaxlog._format.schema.Schema.read` unpacks them, in NumPy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxlog._format.schema import Field, Path

Words = Callable[[], jax.Array]
"""A function that computes the words of some fields."""

Paths = Path | tuple[Path, ...]
"""The path of one field, or the paths of several that share an array, one for each row."""
Values = Mapping[Paths, ArrayLike]
"""Arrays by the paths of their fields."""


def fields(values: Values) -> list[Field]:
    """The fields of some arrays, as they arrive on the host.

    A field has the dtype and shape of its array, with two exceptions: values narrower than a byte,
    which NumPy cannot store densely, are widened, and PRNG keys become `uint32` data.
    """
    found = []
    for path, value in values.items():
        array = host_array(value)
        dtype = np.dtype(array.dtype)
        several = tuple(own for own in path if isinstance(own, tuple))
        if several:
            assert dtype.itemsize >= 4  # each fills whole words
            found += [Field(own, dtype, array.shape[1:]) for own in several]
        else:
            found.append(Field(cast("Path", path), dtype, array.shape))
    return found


def packed(values: Callable[[], Values]) -> tuple[list[Field], Words]:
    """The fields of the arrays that a function computes, and a function that packs these arrays.

    `values` is traced here but not run; under `jit`, the returned function does not trace it again.
    """
    found: list[Field] = []

    @jax.jit
    def words() -> jax.Array:
        arrays = values()
        found[:] = fields(arrays)
        return pack(arrays)

    jax.eval_shape(words)
    return found, words


def host_array(array: ArrayLike) -> jax.Array:
    """Converts an array to a dtype that NumPy can hold, as `fields` describes."""
    array = jnp.asarray(array)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(array)
    if jnp.issubdtype(array.dtype, np.integer) and jnp.iinfo(array.dtype).bits < 8:
        signed = jnp.issubdtype(array.dtype, np.signedinteger)
        return array.astype(np.int8 if signed else np.uint8)
    if jnp.issubdtype(array.dtype, np.floating) and jnp.finfo(array.dtype).bits < 8:
        return array.astype(np.float32)
    return array


def rows(array: ArrayLike, index: tuple[jax.Array, ...]) -> jax.Array:
    """Selects entries along the first axes of `host_array(array)`, bit for bit.

    The indices have to be within the array.

    Floats are selected as integers: XLA may move floats by arithmetic, through float32, or as a sum
    over devices, which changes the bits of a NaN or the sign of a zero.
    """
    array = host_array(array)
    if jnp.issubdtype(array.dtype, np.complexfloating):
        return lax.complex(rows(array.real, index), rows(array.imag, index))
    bits = array
    if jnp.issubdtype(array.dtype, np.floating):
        bits = lax.bitcast_convert_type(array, np.dtype(f"uint{8 * array.dtype.itemsize}"))
    taken = bits.at[index].get(mode="promise_in_bounds")
    return taken if bits is array else lax.bitcast_convert_type(taken, array.dtype)


def _dense(array: jax.Array) -> jax.Array:
    """Flattens an array to whole words; values narrower than a word become unsigned integers.

    On the CPU, XLA joins bfloat16 through float32, which changes the bits of a NaN.
    """
    vector = array.reshape(-1)
    if vector.dtype == np.bool_:
        vector = vector.astype(np.uint8)
    size = vector.dtype.itemsize
    if size < 4:
        vector = lax.bitcast_convert_type(vector, np.dtype(f"uint{8 * size}"))
    missing = -vector.size * size % 4 // size
    return jnp.pad(vector, (0, missing)) if missing else vector


def _words(vector: jax.Array) -> jax.Array:
    """Bit-casts a vector of whole words to `uint32`."""
    if jnp.issubdtype(vector.dtype, np.complexfloating):
        vector = jnp.stack([vector.real, vector.imag], axis=-1).reshape(-1)
    if vector.dtype.itemsize < 4:
        vector = vector.reshape(-1, 4 // vector.dtype.itemsize)
    words = lax.bitcast_convert_type(vector, np.uint32)
    return words if words.ndim == 1 else words.reshape(-1)  # 8 bytes are two words


def _concatenate(vectors: Sequence[jax.Array]) -> jax.Array:
    return jnp.concatenate(vectors) if len(vectors) > 1 else vectors[0]


def pack(
    values: Values, join: Callable[[Sequence[jax.Array]], jax.Array] = _concatenate
) -> jax.Array:
    """Joins the arrays of one record, in their order.

    Args:
      values: the arrays.
      join: joins vectors of one dtype: `primitive.side_by_side`, or as `jnp.concatenate` does.

    Returns:
      `uint32[n]`, with as many words as their `fields` have.
    """
    vectors = [_dense(host_array(value)) for value in values.values()]
    # Neighbours of one dtype are joined before they are bit-cast, which takes one kernel for all.
    alike = itertools.groupby(vectors, key=lambda vector: vector.dtype)
    parts = [_words(join(list(group))) for _, group in alike]
    return join(parts) if parts else jnp.zeros(0, np.uint32)
