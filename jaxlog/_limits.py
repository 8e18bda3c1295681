"""Checks for values that no file can store: text that is not Unicode, large integers, nesting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 32
"""The most levels of nested containers that are logged."""
SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""The range of integers that JSON readers and the sinks can store: that of int64 and uint64."""
MAX_ARRAY_BYTES = 2**20
"""The default of the setting `max_array_bytes`."""


def check_named(argument: str, values: Any, got: str | None = None) -> Mapping[str, Any]:
    """Checks that `values` is a mapping from names to values, and returns it.

    Args:
      argument: the name of the argument, for errors.
      values: what the user passed.
      got: how errors describe `values`; None for its type.

    Raises:
      TypeError: it is not a mapping, or a key is not a text, or is empty.
      ValueError: UTF-8 cannot hold a key.
    """
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{argument}: got {got or type(values).__name__}, expected a dict by name, like "
            "{'loss': 0.5}"
        )
    for name in values:
        check_name(argument, name)
    return values


def flat(
    argument: str, values: Any, got: str | None = None, above: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Flattens nested mappings to one dict: `{"actor": {"loss": 1}}` to `{"actor/loss": 1}`.

    Args:
      argument: the name of the argument, for errors.
      values: what the user passed.
      got: how errors describe `values`; None for its type.
      above: the `id` of each mapping around it.

    Raises:
      TypeError: it is not a mapping, or a key is not a text, or is empty.
      ValueError: UTF-8 cannot hold a key, two values get the same name, or a mapping contains
        itself or is nested too deep.
    """
    found: dict[str, Any] = {}
    for name, value in check_named(argument, values, got).items():
        inner = {name: value}
        if isinstance(value, Mapping):
            check_nesting(f"{argument}[{name!r}]", value, (*above, id(values)))
            nested = flat(argument, value, above=(*above, id(values)))
            inner = {f"{name}/{key}": leaf for key, leaf in nested.items()}
        add_named(argument, found, inner)
    return found


def add_named(argument: str, found: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Adds values by name to those that were found before.

    Raises:
      ValueError: a name is among those found before.
    """
    for key, value in more.items():
        if key in found:
            raise ValueError(f"{argument}: got two values named {key!r}; rename one of them")
        found[key] = value


def check_name(argument: str, key: Any) -> None:
    """Checks that a key can be the name of a value.

    Raises:
      TypeError: the key is not text, or is empty.
      ValueError: the key cannot be encoded as UTF-8.
    """
    if not isinstance(key, str) or not key:
        raise TypeError(f"{argument}: got the key {key!r:.60}, expected a name")
    if not is_utf8(key):
        raise ValueError(
            f"{argument}: got the key {key!r:.60}, which is not valid Unicode (a lone surrogate), "
            "so no file can hold it; give it another name"
        )


def check_text(path: str, text: str) -> None:
    """Checks that a text can be encoded as UTF-8.

    Raises:
      ValueError: it cannot.
    """
    if not is_utf8(text):
        raise ValueError(
            f"{path}: got {text!r:.60}, which is not valid Unicode (a lone surrogate), so no file "
            "can hold it; decode it with errors='replace', or leave it out"
        )


def check_integer(path: str, value: int) -> None:
    """Checks that an integer fits into int64 or uint64.

    Raises:
      ValueError: it does not.
    """
    if not SMALLEST <= value <= LARGEST:
        shown = str(value) if abs(value) < 10**40 else f"one of {value.bit_length()} bits"
        raise ValueError(
            f"{path}: got the integer {shown}, expected -2**63 to 2**64 - 1; give a float, or "
            "a text"
        )


def check_depth(path: str, value: Any, above: tuple[int, ...] = ()) -> None:
    """Checks that dicts, lists and tuples are nested at most `MAX_DEPTH` deep, without cycles.

    Raises:
      ValueError: a container contains itself, or the nesting is too deep.
    """
    if not isinstance(value, Mapping | list | tuple):
        return
    check_nesting(path, value, above)
    for part in value.values() if isinstance(value, Mapping) else value:
        if isinstance(part, Mapping | list | tuple):
            check_depth(path, part, (*above, id(value)))


def check_nesting(path: str, value: Any, above: tuple[int, ...]) -> None:
    """Checks one container; `above` has the `id` of each container around it.

    Raises:
      ValueError: the container contains itself, or the nesting is too deep.
    """
    if id(value) in above:
        raise ValueError(f"{path}: got a container that holds itself; take it out")
    if len(above) >= MAX_DEPTH:
        raise ValueError(
            f"{path}: got containers nested more than {MAX_DEPTH} deep; give fewer levels"
        )


def check_array_bytes(sizes: Mapping[str, tuple[str, int]], most: int) -> None:
    """Checks that the arrays of one record are not larger than the setting `max_array_bytes`.

    Args:
      sizes: for each array its dtype and shape as text, and its size in bytes.
      most: the setting.

    Raises:
      ValueError: together they are larger.
    """
    total = sum(size for _, size in sizes.values())
    if total <= most:
        return
    name = max(sizes, key=lambda name: sizes[name][1])
    described, size = sizes[name]
    among = "" if len(sizes) == 1 else f" of {total:,} bytes in {len(sizes)} arrays"
    raise ValueError(
        f"arrays[{name!r}]: got {described}, {size:,} bytes{among}, expected at most {most:,} in "
        "one record (the setting max_array_bytes); log a smaller array, such as every k-th row or "
        "an average over blocks, raise the setting, or return the array from the program and save "
        "it there"
    )


def as_utf8(text: str) -> str:
    r"""Replaces the characters of a text that UTF-8 cannot hold by question marks.

    >>> as_utf8("run-\udcff")
    'run-?'
    """
    return text.encode("utf-8", "replace").decode()


def is_utf8(text: str) -> bool:
    """True if a text has no lone surrogate, as file names from undecodable bytes do."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
