"""Takes a state apart into named arrays of numbers, and formats numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_DEPTH = 8
"""The depth to which a state is taken apart; a limit, since a state may contain itself."""


class CannotDrawError(ValueError):
    """A renderer cannot draw this state; the text says what it can draw."""


def leaves(state: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yields the innermost parts of a state with their dotted names.

    Mappings, named tuples, dataclasses, sequences and objects with attributes of their own are
    taken apart. None is skipped.

    >>> list(leaves({"board": 1, "hands": (2, 3)}))
    [('board', 1), ('hands.0', 2), ('hands.1', 3)]
    """
    parts = None if depth == _DEPTH else _parts(state)
    if parts is None:
        if state is not None:
            yield name, state
        return
    for key, part in parts:
        yield from leaves(part, f"{name}.{key}" if name else key, depth + 1)


def _parts(state: Any) -> list[tuple[str, Any]] | None:
    if is_array(state) or isinstance(state, str | bytes | int | float | complex):
        return None
    if isinstance(state, Mapping):
        return [(str(key), state[key]) for key in state]
    if isinstance(state, tuple | list):
        names = getattr(state, "_fields", range(len(state)))
        return [(str(key), part) for key, part in zip(names, state, strict=True)]
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        fields = dataclasses.fields(state)
        return [(f.name, getattr(state, f.name)) for f in fields if hasattr(state, f.name)]
    own = getattr(state, "__dict__", None)
    if own and not callable(state):
        return [(key, part) for key, part in own.items() if not key.startswith("_")]
    return None


def is_array(value: Any) -> bool:
    """True for a NumPy array or a NumPy number."""
    return isinstance(value, np.ndarray | np.generic)


def described(array: np.ndarray) -> str:
    """Formats the dtype and shape of an array.

    >>> described(np.zeros((3, 4), np.float32))
    'float32[3, 4]'
    """
    return f"{array.dtype.name}[{', '.join(map(str, array.shape))}]"


def kind(array: np.ndarray) -> str:
    """Returns the kind of an array's values: `bool`, `int`, `float`, or `other`.

    The small floats and integers of ml_dtypes are recognized by the names of their types: their
    NumPy kind is often void.
    """
    if array.dtype.kind == "b":
        return "bool"
    if array.dtype.kind in "iu":
        return "int"
    name = array.dtype.name
    if array.dtype.kind == "f" or name.startswith(("bfloat", "float")):
        return "float"
    return "int" if name.startswith(("int", "uint")) else "other"


def as_floats(array: np.ndarray) -> np.ndarray:
    """Converts values to float64; large integers lose their last bits."""
    with np.errstate(all="ignore"):
        return array.astype(np.float64)


def as_integers(array: np.ndarray) -> np.ndarray:
    """Converts values to int64; larger ones of uint64 become the largest int64."""
    if array.dtype == np.uint64:
        array = np.minimum(array, np.uint64(np.iinfo(np.int64).max))
    return array.astype(np.int64)


def shown(value: Any, digits: int = 5) -> str:
    """Formats a number with a few digits and a proper minus sign.

    >>> shown(np.float32(0.1)), shown(-12345678.0), shown(True)
    ('0.1', '\u22121.2346e+07', 'true')
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, complex | np.complexfloating):
        value = complex(value)
        sign = "\u2212" if value.imag < 0 else "+"
        return f"{shown(value.real, digits)} {sign} {shown(abs(value.imag), digits)}i"
    try:
        exact = float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)
    if isinstance(value, int | np.integer) and abs(int(value)) < 10**15:
        text = str(int(value))
    elif math.isfinite(exact):
        whole = 10**digits <= abs(exact) < 10**7
        text = f"{exact:.0f}" if whole else f"{exact:.{digits}g}"
    else:
        text = {"inf": "\u221e", "-inf": "-\u221e"}.get(str(exact), "NaN")
    return text.replace("-", "\u2212") if "e" not in text else _minus_in_front(text)


def _minus_in_front(text: str) -> str:
    return "\u2212" + text[1:] if text.startswith("-") else text


def not_finite(values: np.ndarray) -> tuple[str, ...]:
    """Returns a note about the values that are not finite; empty if all are finite."""
    count = int(values.size - np.isfinite(values).sum())
    if not count:
        return ()
    found = [
        name
        for name, mask in (
            ("NaN", np.isnan(values)),
            ("\u221e", values == np.inf),
            ("\u2212\u221e", values == -np.inf),
        )
        if mask.any()
    ]
    return (f"{count} of {values.size} not finite ({', '.join(found)})",)
