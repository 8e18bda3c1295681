"""Converts the values that users give to `Logger.open` into plain values for JSON."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import enum
import functools
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
from pydantic import BaseModel

from jaxlog._limits import check_integer, check_nesting, check_text

MAX_VALUES = 100_000
"""The most values that a config may have."""
MAX_ENTRIES = 10_000
"""The most entries of an array or a range that becomes a list; a larger one is described."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def plain_dict(name: str, given: Any) -> dict[str, Any]:
    """Hyper-parameters as plain values: bools, ints, floats, texts, None, lists and dicts by text.

    Mappings (including those of OmegaConf, flax and ml_collections), dataclasses, named tuples,
    pydantic models and namespaces become dicts. Sequences and arrays become lists, scalars of NumPy
    and JAX numbers. Functions, classes and other objects become texts without memory addresses.

    Args:
      name: the name of the argument, for errors.
      given: the user's value.

    Raises:
      TypeError: it has no names, or a key is neither text nor number.
      ValueError: a value in it cannot be read, or a file cannot hold it.
    """
    found = _Plain().value(name, given)
    if not isinstance(found, dict):
        raise TypeError(
            f"{name}: got {type(given).__name__}, expected hyper-parameters by name: a dict or "
            "another mapping, a dataclass, a Namespace or a pydantic model"
        )
    return found


def plain_label(path: str, given: Any) -> bool | int | float | str:
    """A number or a text of Python, NumPy or JAX, as that of Python.

    Raises:
      TypeError: it is something else.
      ValueError: a file cannot hold the text or the integer.
    """
    value = _scalar(path, given)
    if value is _OTHER or value is None:
        raise TypeError(f"{path}: got {_shown(given)}, expected a number or a text")
    return value


def plain_texts(name: str, given: Any) -> tuple[str, ...]:
    """A sequence of texts, as a tuple of Python's texts.

    Raises:
      TypeError: it is something else.
      ValueError: a file cannot hold one of them.
    """
    if isinstance(given, str):
        raise TypeError(f"{name}: got the text {given!r:.60}, expected several: ({given!r:.60},)")
    if isinstance(given, np.ndarray) and given.ndim == 1:
        given = given.tolist()
    if not isinstance(given, Sequence) or not all(isinstance(text, str) for text in given):
        raise TypeError(f"{name}: got {given!r:.60}, expected a tuple of texts")
    for number, text in enumerate(given):
        check_text(f"{name}[{number}]", text)
    return tuple(str(text) for text in given)


_OTHER = object()
"""Stands for a value that is neither a number nor a text."""


class _Plain:
    """Converts one config, and counts its values."""

    def __init__(self) -> None:
        self._count = 0

    def value(self, path: str, given: Any, above: tuple[int, ...] = ()) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise ValueError(
                f"{path.partition('[')[0]}: got more than {MAX_VALUES} values, expected "
                "hyper-parameters; leave data out"
            )
        if (scalar := _scalar(path, given)) is not _OTHER:
            return scalar
        if isinstance(given, np.ndarray):
            return self._array(path, given, above)
        if _is_array(given):
            return self.value(path, _as_numpy(path, given), above)
        if (items := _items(given)) is not None:
            check_nesting(path, given, above)
            return self._dict(path, items, (*above, id(given)))
        if isinstance(given, Sequence | Set) and not isinstance(given, bytes | bytearray):
            if isinstance(given, range) and len(given) > MAX_ENTRIES:
                return repr(given)
            check_nesting(path, given, above)
            inner = (*above, id(given))
            parts = sorted(given, key=str) if isinstance(given, Set) else _read(path, given)
            return [self.value(f"{path}[{i}]", part, inner) for i, part in enumerate(parts)]
        return _described(path, given)

    def _dict(
        self, path: str, items: Iterable[tuple[Any, Any]], above: tuple[int, ...]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in _read(path, items):
            name = _key(path, key)
            if name in found:
                raise ValueError(f"{path}: two keys become {name!r:.60}; rename one")
            found[name] = self.value(f"{path}[{key!r:.60}]", value, above)
        return found

    def _array(self, path: str, array: np.ndarray, above: tuple[int, ...]) -> Any:
        if array.size > MAX_ENTRIES:
            return f"{array.dtype.name}[{','.join(map(str, array.shape))}]"
        if array.ndim > 1:
            return [self._array(f"{path}[{i}]", part, above) for i, part in enumerate(array)]
        return [self.value(f"{path}[{i}]", part, above) for i, part in enumerate(array)]


def _scalar(path: str, given: Any) -> Any:
    """A number, a text or None, as that of Python; `_OTHER` for any other value."""
    if isinstance(given, enum.Enum):
        found = _scalar(path, given.value)
        return given.name if found is _OTHER else found
    match given:
        case None | True | False:
            return given
        case str():
            check_text(path, given)
            return str(given)
        case int():
            check_integer(path, given)
            return int(given)
        case float() if not isinstance(given, np.generic):
            return float(given)
        case np.generic():
            return _of_numpy(path, given)
    if _is_array(given) and getattr(given, "shape", None) == ():
        array = _as_numpy(path, given)
        return _of_numpy(path, array[()]) if isinstance(array, np.ndarray) else _OTHER
    return _OTHER


def _of_numpy(path: str, scalar: Any) -> Any:
    """A scalar of NumPy as that of Python: a float32 becomes the number its shortest text names."""
    kind = scalar.dtype.kind
    if kind in "biu":
        return scalar.item()
    if kind == "U":
        check_text(path, str(scalar))
        return str(scalar)
    small = kind == "V" and not isinstance(scalar, np.void)  # the halves of ml_dtypes
    if kind == "f" or small:
        return float(scalar) if scalar.dtype == np.float64 else float(str(scalar))
    if kind == "O":
        return _scalar(path, scalar)
    return _OTHER


def _is_array(given: Any) -> bool:
    """True for an array of NumPy or JAX, and for a box of one, like those of flax NNX."""
    if isinstance(given, type):
        return False
    return isinstance(given, np.ndarray) or any(
        hasattr(given, name) for name in ("__jax_array__", "__array__")
    )


def _as_numpy(path: str, given: Any) -> Any:
    """A NumPy array; a text for an array without numbers, such as a random key."""
    try:
        if hasattr(given, "__jax_array__"):
            given = given.__jax_array__()
        dtype = getattr(given, "dtype", None)
        if str(dtype).startswith("key<"):
            return f"{dtype}[{','.join(map(str, given.shape))}]"
        return np.asarray(given)
    except Exception as error:  # a tracer, or an array that is gone
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: got {_shown(given)}, which has no values: {reason}") from None


def _items(given: Any) -> Iterable[tuple[Any, Any]] | None:
    """The named parts of a value; None if it has none."""
    if isinstance(given, type):
        return None
    if isinstance(given, Mapping) or (
        callable(getattr(given, "keys", None)) and hasattr(type(given), "__getitem__")
    ):
        return ((key, given[key]) for key in given.keys())  # noqa: SIM118  a ConfigDict has no iter
    if dataclasses.is_dataclass(given):
        names = [field.name for field in dataclasses.fields(given)]
        return ((name, getattr(given, name)) for name in names if hasattr(given, name))
    if isinstance(given, BaseModel):
        return iter(given)
    if isinstance(given, argparse.Namespace | types.SimpleNamespace):
        return vars(given).items()
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return zip(given._fields, given, strict=True)  # pyright: ignore[reportAttributeAccessIssue]
    if hasattr(given, "__attrs_attrs__"):
        names = [attribute.name for attribute in getattr(given, "__attrs_attrs__")]  # noqa: B009
        return ((name, getattr(given, name)) for name in names if hasattr(given, name))
    return None


def _read(path: str, parts: Iterable[Any]) -> Iterator[Any]:
    """The parts of a container, which may compute them."""
    try:
        yield from parts
    except Exception as error:  # a value of OmegaConf that is missing
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path}: cannot be read: {type(error).__name__}: {reason}; give a dict of its values"
        ) from None


def _key(path: str, key: Any) -> str:
    """A key as text, in the form of JSON."""
    scalar = _scalar(path, key) if not _is_array(key) or isinstance(key, np.generic) else _OTHER
    match scalar:
        case str():
            return scalar
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[scalar]
        case int() | float():
            return repr(scalar)
    raise TypeError(
        f"{path}: got the key {key!r:.60}, expected a text or a number; name it by a text"
    )


def _described(path: str, given: Any) -> str:
    """An object as a text that is the same in every process: without its memory address."""
    if isinstance(given, datetime.datetime | datetime.date | datetime.time):
        return given.isoformat()
    if isinstance(given, types.ModuleType):
        return given.__name__
    if isinstance(given, functools.partial):
        parts = [_described(path, given.func), *map(repr, given.args)]
        parts += [f"{name}={value!r}" for name, value in given.keywords.items()]
        text = f"functools.partial({', '.join(parts)})"
    elif callable(given) and isinstance(getattr(given, "__qualname__", None), str):
        text = f"{getattr(given, '__module__', None) or 'builtins'}.{given.__qualname__}"
    else:
        try:
            text = str(given)
        except Exception:
            text = f"{type(given).__module__}.{type(given).__qualname__}"
    text = _ADDRESS.sub("", text)
    check_text(path, text)
    return text


def _shown(given: Any) -> str:
    """A value, as errors show it."""
    dtype, shape = getattr(given, "dtype", None), getattr(given, "shape", None)
    if shape and dtype is not None:
        return f"{dtype}[{','.join(map(str, shape))}]"
    try:
        return f"{type(given).__name__} {given!r:.60}"
    except Exception:
        return type(given).__name__
