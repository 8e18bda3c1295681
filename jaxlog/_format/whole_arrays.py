"""Arrays that are logged whole: described in run.json, and restored from the lists of a line."""

from __future__ import annotations

import contextlib
import importlib
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

BRIGHT = 32
"""Integers from 0 to 255 whose maximum is at least this are taken for an image, not a grid."""

_ELEMENT = re.compile(r"(?P<name>.*)\[(?P<index>\d+(?:, \d+)*)\]", re.DOTALL)


def described(array: np.ndarray, known: Any = None) -> dict[str, Any]:
    """Describes an array for run.json by its dtype and shape.

    Args:
      array: the array.
      known: how run.json describes earlier arrays of this name. If their dtype is another one, the
        result has the dtype that holds both.

    >>> described(np.zeros((2, 3), np.int8), {"dtype": "int32", "shape": [4]})
    {'dtype': 'int32', 'shape': [2, 3]}
    """
    dtype, earlier = array.dtype, dtype_of(known)
    if earlier is not None and earlier != dtype:
        try:
            dtype = np.result_type(earlier, dtype)
        except TypeError:  # an integer, and a half of ml_dtypes
            dtype = np.dtype(np.float64)
    return {"dtype": dtype.name, "shape": list(array.shape)}


def dtype_of(description: Any) -> np.dtype | None:
    """The dtype of a description; None if it is none, or if NumPy does not know it."""
    name = description.get("dtype") if isinstance(description, Mapping) else None
    if not isinstance(name, str) or not re.fullmatch(r"[a-z]+[0-9]*(_?[a-z0-9]+)*", name):
        return None
    with contextlib.suppress(TypeError):
        return np.dtype(name)
    with contextlib.suppress(ImportError, AttributeError, TypeError):  # comes with JAX
        return np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
    return None


def restored(
    values: Mapping[str, Any], nonfinite: Mapping[str, str], descriptions: Any
) -> dict[str, np.ndarray]:
    """Makes arrays of the nested lists of one line.

    A number has the bits that were logged, except that every NaN becomes the same NaN.

    Args:
      values: nested lists by name, with None for numbers that are not finite.
      nonfinite: the line's `nonfinite`.
      descriptions: a description for each name, as `described` made it. Without one, the dtype is
        that of the numbers in JSON: `bool`, `int64`, `uint64` or `float64`.

    Raises:
      ValueError: the lists are not those of arrays.
    """
    of_names = descriptions if isinstance(descriptions, Mapping) else {}
    found = {name: _array(value, of_names.get(name)) for name, value in values.items()}
    for key, text in nonfinite.items():
        name, index = key, ()
        if key not in found and (element := _ELEMENT.fullmatch(key)):
            name, index = element["name"], tuple(map(int, element["index"].split(", ")))
        if name in found:
            array = found[name]
            if array.dtype.kind in "biu" or len(index) != array.ndim:
                raise ValueError(f"nonfinite: {key!r} is no number of {name!r}")
            try:
                array[index] = float(text)
            except IndexError:
                raise ValueError(f"nonfinite: {key!r} is not within {name!r}") from None
    return found


def _array(value: Any, description: Any) -> np.ndarray:
    dtype = dtype_of(description)
    if dtype is not None and dtype.kind in "biu":
        with contextlib.suppress(OverflowError, TypeError):
            return _shaped(np.array(value, dtype), description)
    try:
        array = np.array(value)  # fails for lists of different lengths
        if array.dtype.kind not in "biu":  # None, for a number that is not finite, becomes NaN
            array = np.array(value, np.float64)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
    if dtype is not None and dtype.kind not in "biu":
        array = array.astype(dtype)
    return _shaped(array, description)


def _shaped(array: np.ndarray, description: Any) -> np.ndarray:
    """Restores the shape of an array without entries, which nested lists do not have."""
    shape = description.get("shape") if isinstance(description, Mapping) else None
    if array.size or not isinstance(shape, list) or not all(type(n) is int for n in shape):
        return array
    return array.reshape(shape) if math.prod(shape) == 0 else array


def guessed(value: Any) -> Any:
    """Turns nested lists into an array; integers that look like an image become uint8."""
    try:
        array = np.asarray(value)
        array = (
            array.astype(np.float64) if array.dtype == object else array
        )  # None stands for a value that is not finite
    except (TypeError, ValueError):  # rows of different lengths
        return value
    channels = array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype.kind == "i"
    if channels and array.size and array.min() >= 0 and BRIGHT <= array.max() < 256:
        return array.astype(np.uint8)
    return array
