"""Errors about settings: where, which key, what it got, what it takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

Location = tuple[str | int, ...]


class ConfigError(ValueError):
    """Settings that cannot be used. Its text has a line for every problem found."""


def suggestion(wrong: object, known: Iterable[str]) -> str:
    """`; did you mean NAME?` where a known name is near, else nothing.

    >>> suggestion("log_freqency", ["log_frequency", "sinks"])
    '; did you mean log_frequency?'
    """
    near = difflib.get_close_matches(str(wrong), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def describe(error: ValidationError, model: type[BaseModel]) -> list[tuple[Location, str]]:
    """What pydantic found, as the location of each problem and a sentence about it."""
    return list(_describe(error.errors(include_url=False), model))


def _describe(
    errors: Iterable[Mapping[str, Any]], model: type[BaseModel]
) -> Iterable[tuple[Location, str]]:
    schema = model.model_json_schema()
    for error in errors:
        place, got = tuple(error["loc"]), error.get("input")
        context = error.get("ctx", {})
        match error["type"]:
            case "inner":
                for inner_place, text in _describe(context["errors"], context["model"]):
                    yield place + inner_place, text
            case "kind":
                yield (*place, "kind"), context["why"]
            case "extra_forbidden":
                keys = model.model_fields
                text = f"unknown key{suggestion(place[-1], keys)}"
                yield place, f"{text} (the keys are: {', '.join(keys)})"
            case "missing":
                yield place, "is missing and has to be given"
            case "repeated" | "ascending" | "renderer":
                yield place, error["msg"]
            case _:
                wanted = _fragment(schema, place)
                near = suggestion(got, _choices(wanted)) if isinstance(got, str) else ""
                yield place, f"got {got!r}, takes {takes(wanted)}{near}"


def _fragment(schema: Mapping[str, Any], place: Location) -> Mapping[str, Any]:
    """The part of a JSON Schema that speaks of the value at `place`."""
    here = schema
    for part in place:
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part, here.get("additionalProperties", {}))
    return here


def _choices(fragment: Mapping[str, Any]) -> list[str]:
    """The names that a value may be."""
    inner = [name for choice in fragment.get("anyOf", ()) for name in _choices(choice)]
    return [*fragment.get("enum", ()), *inner]


def takes(fragment: Mapping[str, Any]) -> str:
    """What a value may be, in words, from its JSON Schema.

    >>> takes({"type": "integer", "minimum": 1})
    'an integer, 1 or more'
    """
    if "anyOf" in fragment:
        return " or ".join(takes(choice) for choice in fragment["anyOf"])
    if "enum" in fragment:
        return f"one of {', '.join(map(str, fragment['enum']))}"
    if "const" in fragment:
        return repr(fragment["const"])
    if "pattern" in fragment:
        return fragment["description"]
    limits = [
        text.format(fragment[key])
        for key, text in (
            ("minimum", "{} or more"),
            ("exclusiveMinimum", "more than {}"),
            ("maximum", "{} or less"),
            ("exclusiveMaximum", "less than {}"),
        )
        if key in fragment
    ]
    match fragment.get("type"):
        case "array":
            least = fragment.get("minItems")
            of = f" of {least} or more" if least else ""
            return f"a list{of}, each {takes(fragment.get('items', {}))}"
        case "boolean":
            return "true or false"
        case "integer":
            return ", ".join(["an integer", *limits])
        case "number":
            return ", ".join(["a number", *limits])
        case "string":
            return "text"
        case "null":
            return "null"
        case _:
            return "a mapping of keys to values"
