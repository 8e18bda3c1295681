"""Finds a kind that all values of one key share, so that they can be one column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson


class Kind(NamedTuple):
    """The kind of a JSON value.

    Attributes:
      depth: the number of nested lists around the base.
      base: the kind of the elements: `bool`, `number` or `text`; `mixed` for bools and numbers; for
        an object, the kinds of its values; None for null and empty lists.
    """

    depth: int
    base: str | Mapping[str, Kind] | None


NOTHING = Kind(0, None)
ANYTHING = Kind(-1, None)
"""The kind of values that can share a column only as text."""


def kind_of(value: Any) -> Kind:
    """Returns the kind of a JSON value.

    >>> kind_of([[1, 2.5], []])
    Kind(depth=2, base='number')
    >>> kind_of([1, [2]]) == ANYTHING
    True
    """
    if isinstance(value, list):
        inside = NOTHING
        for element in value:
            inside = merged(inside, kind_of(element))
            if inside == ANYTHING:
                return ANYTHING
        return Kind(inside.depth + 1, inside.base)
    match value:
        case None:
            return NOTHING
        case bool():
            return Kind(0, "bool")
        case int() | float():
            return Kind(0, "number")
        case str():
            return Kind(0, "text")
        case _:
            return _of_object(0, {key: kind_of(inner) for key, inner in value.items()})


def merged(one: Kind, other: Kind) -> Kind:
    """Returns the kind that two kinds share.

    >>> merged(Kind(1, None), Kind(2, "number"))
    Kind(depth=2, base='number')
    """
    if ANYTHING in (one, other):
        return ANYTHING
    if one == other:
        return one
    shallow, deep = sorted((one, other), key=lambda kind: (kind.depth, kind.base is not None))
    if shallow.base is None:
        return deep
    if isinstance(one.base, Mapping) and isinstance(other.base, Mapping):
        if one.depth != other.depth:
            return ANYTHING
        of_one, of_other = one.base, other.base
        keys = dict.fromkeys([*of_one, *of_other])
        both = {k: merged(of_one.get(k, NOTHING), of_other.get(k, NOTHING)) for k in keys}
        return _of_object(one.depth, both)
    if isinstance(one.base, Mapping) or isinstance(other.base, Mapping):
        return ANYTHING
    if shallow.depth == deep.depth and {one.base, other.base} <= {"bool", "number", "mixed"}:
        return Kind(one.depth, "mixed")
    return ANYTHING


def _of_object(depth: int, kinds: Mapping[str, Kind]) -> Kind:
    if any(kind == ANYTHING or kind.base == "mixed" for kind in kinds.values()):
        return ANYTHING
    return Kind(depth, kinds)


def fitted(value: Any, kind: Kind) -> Any:
    """Converts a value to the kind of its column.

    >>> fitted([True, 0.5], Kind(1, "mixed")), fitted([1], ANYTHING), fitted("a", ANYTHING)
    ([1, 0.5], '[1]', 'a')
    """
    if value is None:
        return None
    if kind == ANYTHING:
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    if kind.base == "mixed":
        if isinstance(value, list):
            return [fitted(element, kind) for element in value]
        return int(value) if isinstance(value, bool) else value
    return value
