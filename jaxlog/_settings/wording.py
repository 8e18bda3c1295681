"""JSON Schema in words: what a value may be, and what one that it may not be was meant to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Location = tuple[str | int, ...]

_LONGEST = 100
"""So much of a value stands in an error: enough to find it."""

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def suggestion(wrong: object, known: Iterable[str]) -> str:
    """`; did you mean NAME?` where a known name is near, else nothing.

    >>> suggestion("log_freqency", ["log_frequency", "sinks"])
    '; did you mean log_frequency?'
    """
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(wrong).lower(), by_lower_case, n=1)
    return f"; did you mean {by_lower_case[near[0]]}?" if near else ""


def shown(value: object) -> str:
    """A value as an error shows it: much as YAML has it, and not all of a long one.

    >>> shown("ten"), shown(None), shown({"kind": "jsonl"}), shown([True])
    ("'ten'", 'null', "{kind: 'jsonl'}", '[true]')
    """
    text = _flow(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _flow(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key_of((key,))}: {_flow(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return repr(value)


def key_of(place: Location) -> str:
    """A location as an error names it, on one line whatever keys are.

    >>> key_of(("sinks", 0, "kind"))
    'sinks.0.kind'
    """
    text = ".".join(map(str, place))
    return text if text.isprintable() else repr(text)


def fragment(schema: Mapping[str, Any], place: Location) -> Mapping[str, Any]:
    """The part of a JSON Schema that speaks of the value at `place`; empty where none does."""
    here = schema
    for part in place:
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part, here.get("additionalProperties", {}))
        if not isinstance(here, Mapping):
            return {}
    return here


def choices(wanted: Mapping[str, Any]) -> list[str]:
    """The names that a value may be."""
    inner = [name for choice in wanted.get("anyOf", ()) for name in choices(choice)]
    return [*map(str, wanted.get("enum", ())), *inner]


def takes(wanted: Mapping[str, Any], *, briefly: bool = False) -> str:
    """What a value may be, in words, from its JSON Schema.

    Args:
      wanted: the schema.
      briefly: leaves out which names may stand in a list, where they are many.

    >>> takes({"type": "integer", "minimum": 1})
    'an integer, 1 or more'
    """
    if "anyOf" in wanted:
        return either([takes(choice, briefly=briefly) for choice in wanted["anyOf"]])
    if "enum" in wanted:
        return f"one of {', '.join(map(str, wanted['enum']))}"
    if "const" in wanted:
        return repr(wanted["const"])
    if "pattern" in wanted:
        return wanted.get("description", f"text that matches {wanted['pattern']}")
    match wanted.get("type"):
        case "array":
            items, least = wanted.get("items", {}), wanted.get("minItems")
            of = f" of {least} or more" if least else ""
            many = briefly and "anyOf" in items
            return f"a list{of}" if many else f"a list{of}, each {takes(items, briefly=briefly)}"
        case "boolean":
            return "true or false"
        case "integer":
            return ", ".join(["an integer", *_limits(wanted)])
        case "number":
            return ", ".join(["a number", *_limits(wanted)])
        case "string":
            least = wanted.get("minLength")
            return f"text of {least} or more characters" if least else "text"
        case "null":
            return "null"
    inner = wanted.get("additionalProperties")
    if isinstance(inner, Mapping):
        return f"a mapping of names, each to {takes(inner, briefly=briefly)}"
    keys = wanted.get("required", ())
    if keys:
        return f"a mapping with the key{'s' if len(keys) > 1 else ''} {', '.join(keys)}"
    return "a mapping of keys to values"


def either(kinds: list[str]) -> str:
    """Several kinds of values as one.

    >>> either(["text", "null"]), either(["an integer, 1 or more", "null"])
    ('text or null', 'an integer, 1 or more, or null')
    """
    return (", or " if any("," in kind for kind in kinds[:-1]) else " or ").join(kinds)


def _limits(wanted: Mapping[str, Any]) -> list[str]:
    return [
        text.format(wanted[key])
        for key, text in (
            ("minimum", "{} or more"),
            ("exclusiveMinimum", "more than {}"),
            ("maximum", "{} or less"),
            ("exclusiveMaximum", "less than {}"),
        )
        if key in wanted
    ]


def meant(got: object, wanted: Mapping[str, Any]) -> str:
    """What to write instead of a value that cannot be, where that can be told.

    >>> meant("yes", {"type": "boolean"})
    '; did you mean true?'
    >>> meant(1e3, {"type": "integer"})
    '; did you mean 1000?'
    >>> meant("jsonl", {"type": "array", "items": {"type": "string"}})
    "; did you mean ['jsonl']?"
    """
    if isinstance(got, str) and (near := suggestion(got, choices(wanted))):
        return near
    for candidate in _nearby(got):
        if _may_be(candidate, wanted):
            return f"; did you mean {shown(candidate)}?"
    if got is None and "default" in wanted:
        return f"; leave the key out for its default, {shown(wanted['default'])}"
    return ""


def _nearby(got: object) -> Iterator[object]:
    """Values that somebody may have meant who wrote this one."""
    if isinstance(got, str):
        word = got.strip().lower()
        if word in _WORDS:
            yield _WORDS[word]
        if word == "none":
            yield None
        if got != word:
            yield word
        for number in (int, float):
            try:
                yield number(word)  # both read 1_000
            except ValueError:
                continue
    elif isinstance(got, bool):
        yield from (word for word, value in _WORDS.items() if value is got)
    elif isinstance(got, int | float):
        if isinstance(got, float) and got.is_integer():
            yield int(got)
        yield str(got)
    elif isinstance(got, list | tuple) and len(got) == 1:
        yield got[0]
    if isinstance(got, str):
        yield from ({"kind": got}, [{"kind": got}])
    if got not in (None, "") and not isinstance(got, list | tuple):
        yield [got]


def _may_be(value: object, wanted: Mapping[str, Any]) -> bool:
    """Whether a schema's type and limits let a value be; a small part of what a validator does."""
    if "anyOf" in wanted:
        return any(_may_be(value, choice) for choice in wanted["anyOf"])
    if "enum" in wanted:
        return isinstance(value, str) and value in wanted["enum"]
    if "pattern" in wanted:
        return isinstance(value, str) and re.search(wanted["pattern"], value) is not None
    match wanted.get("type"):
        case "array":
            items = wanted.get("items", {})
            return (
                isinstance(value, list)
                and len(value) >= wanted.get("minItems", 0)
                and all(_may_be(item, items) for item in value)
            )
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and _in_limits(value, wanted)
        case "number":
            return isinstance(value, int | float) and _in_limits(value, wanted)
        case "string":
            return isinstance(value, str)
        case "null":
            return value is None
        case "object":
            keys = wanted.get("required", ())
            return isinstance(value, Mapping) and bool(keys) and all(key in value for key in keys)
    return False


def _in_limits(value: float, wanted: Mapping[str, Any]) -> bool:
    return not isinstance(value, bool) and (
        wanted.get("minimum", value) <= value <= wanted.get("maximum", value)
        and ("exclusiveMinimum" not in wanted or value > wanted["exclusiveMinimum"])
        and ("exclusiveMaximum" not in wanted or value < wanted["exclusiveMaximum"])
    )
