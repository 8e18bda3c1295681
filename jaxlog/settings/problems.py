"""Errors about settings: where, which key, what it got, what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from jaxlog.settings.wording import Location, fragment, meant, shown, suggestion, takes
from jaxlog.sinks import BUILT_IN, sink_class


class ConfigError(ValueError):
    """Settings that cannot be used. Its text has a line for every problem found."""


class ConfigWarning(UserWarning):
    """Settings that can be used, and do not make sense together. Its text says where they stand."""


@dataclass(frozen=True)
class Place:
    """Where something was given.

    Attributes:
      source: a file's path, `settings` for a dict or a model, or the override.
      line: in a file, from 1.
      column: in a file, from 1.
    """

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """As editors and terminals make a link of it."""
        return ":".join(str(x) for x in (self.source, self.line, self.column) if x is not None)


def describe(error: ValidationError, model: type[BaseModel]) -> list[tuple[Location, str]]:
    """What pydantic found, as the location of each problem and a sentence about it."""
    return list(_describe(error.errors(include_url=False), model))


def _describe(
    errors: Iterable[Mapping[str, Any]], model: type[BaseModel]
) -> Iterable[tuple[Location, str]]:
    schema = _schema(model)
    for error in errors:
        place, got = tuple(error["loc"]), error.get("input")
        context = error.get("ctx", {})
        wanted = fragment(schema, place)
        match error["type"]:
            case "inner":
                for inner_place, text in _describe(context["errors"], context["model"]):
                    yield place + inner_place, text
            case "kind":
                near = suggestion(context["kind"], context["kinds"]) if context["kind"] else ""
                yield (*place, "kind"), f"{context['why']}{near}"
            case "extra_forbidden":
                yield place, _unknown_key(place[-1], model)
            case "missing":
                yield place, f"is missing and has to be given: {takes(wanted)}"
            case "renderer":
                yield place, f"{error['msg']}{meant(got, wanted)}"
            case "repeated" | "ascending":
                yield place, error["msg"]
            case "value_error" | "assertion_error":  # a check of the model's own
                yield place, str(context["error"]) or error["msg"]
            case _ if wanted:
                yield place, f"got {shown(got)}, takes {takes(wanted)}{meant(got, wanted)}"
            case _:
                yield place, f"got {shown(got)}: {error['msg']}"


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_json_schema()
    except PydanticInvalidForJsonSchema:  # of a sink from elsewhere
        return {}


def _unknown_key(key: object, model: type[BaseModel]) -> str:
    """What to do about a key that a model does not have."""
    keys = model.model_fields
    near = suggestion(key, keys)
    if not near and "sinks" in keys:
        having = [kind for kind in BUILT_IN if key in sink_class(kind).Settings.model_fields]
        near = f"; it is a key of a sink: {', '.join(having)}" if having else ""
    if not near and key == "<<":
        near = "; to begin with another file's settings, write `extends: other.yaml`"
    return f"unknown key{near} (the keys are: {', '.join(keys)})"
