"""What values of one name have in common, so that they can be one column."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson


class Kind(NamedTuple):
    """What a value is.

    Attributes:
      depth: how many lists it is in.
      base: what stands in them: `bool`, `number`, `text` or `object`; `mixed` for bools and
        numbers; None where there is nothing.
    """

    depth: int
    base: str | None


ANYTHING = Kind(-1, None)
"""That of values that cannot be one column, but as texts."""


def kind_of(value: Any) -> Kind:
    """The kind of a value of JSON.

    >>> kind_of([[1, 2.5], []])
    Kind(depth=2, base='number')
    >>> kind_of([1, [2]]) == ANYTHING
    True
    """
    if isinstance(value, list):
        inside = Kind(0, None)
        for element in value:
            inside = merged(inside, kind_of(element))
            if inside == ANYTHING:
                return ANYTHING
        return Kind(inside.depth + 1, inside.base)
    match value:
        case None:
            return Kind(0, None)
        case bool():
            return Kind(0, "bool")
        case int() | float():
            return Kind(0, "number")
        case str():
            return Kind(0, "text")
        case _:
            return Kind(0, "object")


def merged(one: Kind, other: Kind) -> Kind:
    """The kind of both.

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
    if shallow.depth == deep.depth and {one.base, other.base} <= {"bool", "number", "mixed"}:
        return Kind(one.depth, "mixed")
    return ANYTHING


def fitted(value: Any, kind: Kind) -> Any:
    """A value as its column has it.

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
