"""What no file can hold, refused by name: text that is not UTF-8, large integers, nesting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 32
"""The levels of containers within each other that are logged or kept."""
SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""The integers that JSON's readers and the sinks hold: those of int64 and uint64."""


def check_name(argument: str, key: Any) -> None:
    """Checks that a key can name a value.

    Raises:
      TypeError: it is no text, or empty.
      ValueError: UTF-8 cannot hold it.
    """
    if not isinstance(key, str) or not key:
        raise TypeError(f"{argument}: got the key {key!r:.60}, expected a name")
    if not is_utf8(key):
        raise ValueError(
            f"{argument}: got the key {key!r:.60}, which is not valid Unicode (a lone surrogate), "
            "so no file can hold it; give it another name"
        )


def check_text(path: str, text: str) -> None:
    """Checks that UTF-8 can hold a text.

    Raises:
      ValueError: it cannot.
    """
    if not is_utf8(text):
        raise ValueError(
            f"{path}: got {text!r:.60}, which is not valid Unicode (a lone surrogate), so no file "
            "can hold it; decode it with errors='replace', or leave it out"
        )


def check_integer(path: str, value: int) -> None:
    """Checks that an integer fits into 64 bits.

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
    """Checks that dicts, lists and tuples are at most `MAX_DEPTH` levels deep, and end.

    Raises:
      ValueError: one holds itself, or they are nested more deeply.
    """
    if not isinstance(value, Mapping | list | tuple):
        return
    check_nesting(path, value, above)
    for part in value.values() if isinstance(value, Mapping) else value:
        if isinstance(part, Mapping | list | tuple):
            check_depth(path, part, (*above, id(value)))


def check_nesting(path: str, value: Any, above: tuple[int, ...]) -> None:
    """Checks one container, by the `id` of each of those around it.

    Raises:
      ValueError: it is one of these, or they are too many.
    """
    if id(value) in above:
        raise ValueError(f"{path}: got a container that holds itself; take it out")
    if len(above) >= MAX_DEPTH:
        raise ValueError(
            f"{path}: got containers nested more than {MAX_DEPTH} deep; give fewer levels"
        )


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can hold a text: it has no lone surrogate, as file names that are bytes do."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
