"""Errors about settings: where, which key, what it got, what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from jaxlog._settings.wording import Location, fragment, meant, shown, suggestion, takes
from jaxlog.sinks import BUILT_IN, kinds, sink_class


class ConfigError(ValueError):
    """Settings that cannot be used. Its text has a line for every problem found."""


class ConfigWarning(UserWarning):
    """Settings that can be used, and do not make sense together. Its text says where they stand."""


@dataclass(frozen=True)
class SourcePosition:
    """Where something was given.

    Attributes:
      source: a file's path, `settings` for a dict or a model, or the override.
      line: in a file, from 1.
      column: in a file, from 1.
    """

    source: str
    line: int | None = None
    column: int | None = None

    @property
    def order(self) -> tuple[str, int, int]:
        """By which several are told in the order of a file."""
        return self.source, self.line or 0, self.column or 0

    def __str__(self) -> str:
        """As editors and terminals make a link of it."""
        return ":".join(str(x) for x in (self.source, self.line, self.column) if x is not None)


def describe(error: ValidationError, model: type[BaseModel]) -> list[tuple[Location, str]]:
    """What pydantic found, as the location of each problem and a sentence about it."""
    return list(_describe(error.errors(include_url=False), model, model))


def _describe(
    errors: Iterable[Mapping[str, Any]], model: type[BaseModel], root: type[BaseModel]
) -> Iterable[tuple[Location, str]]:
    schema = _schema(model)
    for error in errors:
        place, got = tuple(error["loc"]), error.get("input")
        context = error.get("ctx", {})
        wanted = fragment(schema, place)
        match error["type"]:
            case "inner" if wanted.get("anyOf") and not isinstance(got, dict | list | tuple):
                # It is none of the forms there are: the one that was tried is not all it takes.
                yield (
                    place,
                    f"got {shown(got)}, takes {takes(wanted, briefly=True)}{meant(got, wanted)}",
                )
            case "inner":
                for inner_place, text in _describe(context["errors"], context["model"], root):
                    yield place + inner_place, text
            case "kind":
                yield (*place, "kind"), f"{context['why']}{_kind_meant(got, context)}"
            case "extra_forbidden":
                yield place, _unknown_key(place[-1], got, model, root)
            case "missing":
                yield place, f"is missing and has to be given: {takes(wanted)}"
            case "renderer":
                yield place, f"{error['msg']}{meant(got, wanted)}"
            case "repeated":
                yield (*place, context["index"]), error["msg"]
            case "ascending" | "sink":
                yield place, error["msg"]
            case "too_short" if len(got or ()) >= context["min_length"]:
                continue  # pydantic counts only the items that are right; the others have a line
            case "value_error" | "assertion_error":  # a check of the model's own
                yield place, " ".join(str(context["error"]).split()) or error["msg"]
            case _ if wanted:
                yield place, f"got {shown(got)}, takes {takes(wanted)}{meant(got, wanted)}"
            case _:
                yield place, f"got {shown(got)}: {error['msg']}"


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_json_schema()
    except PydanticInvalidForJsonSchema:  # of a sink from elsewhere
        return {}


def _kind_meant(got: Any, context: Mapping[str, Any]) -> str:
    """Which kind of sink was meant."""
    kind, known = context["kind"], context["kinds"]
    if kind is None and isinstance(got, dict):
        names = (name for item in got.items() for name in item if isinstance(name, str))
        return next((f"; did you mean kind: {name}?" for name in names if name in known), "")
    return suggestion(kind, known)


def _unknown_key(key: object, value: object, model: type[BaseModel], root: type[BaseModel]) -> str:
    """What to do about a key that a model does not have."""
    keys = model.model_fields
    if key in root.model_fields:
        near = "; it is no key of a sink, and stands outside of sinks"
    elif model is root:
        near = _unknown_setting(key, value, root)
    else:
        near = suggestion(key, keys)
    return f"unknown key{near} (the keys are: {', '.join(keys)})"


def _unknown_setting(key: object, value: object, root: type[BaseModel]) -> str:
    """What may be meant by a key that settings do not have."""
    if key == "<<":
        return "; to begin with another file's settings, write `extends: other.yaml`"
    if key in kinds():
        return f"; it is a kind of sink, and stands in sinks: [{{kind: {key}}}]"
    inside = (
        [name for name in value if name in root.model_fields] if isinstance(value, dict) else []
    )
    if inside:
        return f"; {inside[0]} in it is one, and stands at the top"
    having = [kind for kind in BUILT_IN if key in sink_class(kind).Settings.model_fields]
    of_sinks = f"; it is a key of sinks: {', '.join(having)}" if having else ""
    return suggestion(key, (*root.model_fields, "extends")) or of_sinks
