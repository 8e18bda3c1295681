"""The values that a call takes as arrays: arrays, Python's numbers, and boxes around an array."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlog._format.media import Image, Table

ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float)
"""The types of what is taken as an array without being unwrapped."""


def is_array(value: Any) -> bool:
    """True for what a call takes as an array: arrays, numbers, and boxes with an array inside."""
    return isinstance(value, ARRAYS) or hasattr(value, "__jax_array__")


def array_of(value: Any) -> Any:
    """Unwraps the array in a box, such as a variable of flax NNX; an array stays as it is."""
    return value if isinstance(value, ARRAYS) else value.__jax_array__()


def described(value: Any) -> str:
    """Describes a value for an error: its dtype and shape, or its type."""
    if value is None:
        return "None"
    if not is_array(value):
        return type(value).__name__
    value = array_of(value)
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "OUSM":
        return f"{value.dtype.name}{list(value.shape)}"
    return jax.typeof(value).str_short()


def is_real(value: Any) -> bool:
    """True for bools, integers and real numbers."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "OUSM":
        return False
    dtype = jnp.result_type(value)
    real = jnp.issubdtype(dtype, np.number) and not jnp.issubdtype(dtype, np.complexfloating)
    return real or dtype == np.bool_


def is_prng_key(value: Any) -> bool:
    """True for typed PRNG keys, as `jax.random.key` returns them."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def fitting(
    path: str, value: Any, remedy: str = "give a float, or switch on jax_enable_x64"
) -> Any:
    """Checks that JAX keeps an integer: without x64, it silently cuts NumPy's 64 bits to 32."""
    if isinstance(value, jax.Array | bool):
        return value
    array = np.asarray(value)
    dtype = jnp.result_type(value)
    if array.dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise ValueError(
                f"{path}: got {low if low < limits.min else high}, expected what fits into "
                f"{dtype.name}; {remedy}"
            )
    return value


def remedy_for(value: Any) -> str:
    """The end of an error about a value that is not an array: what to do instead."""
    match value:
        case list() | tuple():
            return "; convert it with jnp.asarray"
        case str():
            return "; a text that does not change belongs in logger.open(config=...)"
        case Image():
            return "; an image belongs in values= or metrics="
        case Table():
            return "; a table is logged from plain Python: run.log({'name': table})"
        case None:
            return "; leave the name out if there is no value"
        case _:
            return ""
