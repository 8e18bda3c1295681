"""Errors about settings: pydantic's messages, with the value and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from jaxlog._settings.wording import Location, candidates, shown, suggestion
from jaxlog._text import counted
from jaxlog.sinks import BUILT_IN, kinds, sink_class

_MOST_TRIED = 20
"""For this number of problems other values are tried: each validates the settings several times."""


@dataclass(frozen=True)
class SourcePosition:
    """The position of a setting.

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
        """Sorts positions as they are in a file."""
        return self.source, self.line or 0, self.column or 0

    def __str__(self) -> str:
        """As editors and terminals turn it into a link."""
        return ":".join(str(x) for x in (self.source, self.line, self.column) if x is not None)


class _Problem(NamedTuple):
    """An error of pydantic's.

    Attributes:
      at: its location in the settings.
      error: as `ValidationError.errors()` has it.
      model: the model that found it.
      key: its location in that model.
    """

    at: Location
    error: Mapping[str, Any]
    model: type[BaseModel]
    key: Location


def describe(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, Any]
) -> list[tuple[Location, str]]:
    """The location of each problem, and a sentence about it.

    Args:
      error: what validation raised.
      model: the model that validated.
      data: the settings.
    """
    found = []
    for number, problem in enumerate(_problems(error, model)):
        text = _sentence(problem, model)
        if not text:
            got = problem.error["input"]
            meant = _meant(problem, model, data, try_others=number < _MOST_TRIED)
            text = f"got {shown(got)}: {_expected(problem.error)}{meant}"
        found.append((problem.at, text))
    return found


def _problems(error: ValidationError, model: type[BaseModel]) -> Iterator[_Problem]:
    yield from _flat(error.errors(include_url=False), model, ())


def _flat(
    errors: Iterable[Mapping[str, Any]], model: type[BaseModel], around: Location
) -> Iterator[_Problem]:
    """Errors, and those of the models that jaxlog's validators call: their context has them."""
    for error in errors:
        key, context = tuple(error["loc"]), error.get("ctx", {})
        at: Location = (*around, *key)
        match error["type"]:
            case "inner":
                yield from _flat(context["errors"], context["model"], at)
            case "kind":
                yield _Problem((*at, "kind"), error, model, key)
            case "repeated":
                yield _Problem((*at, context["index"]), error, model, key)
            case "too_short" if len(error["input"] or ()) >= context["min_length"]:
                continue  # pydantic counts only the valid items; the others have a problem each
            case _:
                yield _Problem(at, error, model, key)


def _sentence(problem: _Problem, root: type[BaseModel]) -> str:
    """The text that replaces pydantic's message about a problem; empty for most."""
    error, model = problem.error, problem.model
    got, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "kind":
            return f"{context['why']}{_kind_meant(got, context)}"
        case "extra_forbidden":
            return _unknown_key(problem.at[-1], got, model, root)
        case "missing":
            return "is missing; it has no default, and has to be given"
        case "renderer":
            return f"{error['msg']}{suggestion(got, context['known'])}"
        case "repeated" | "ascending" | "sink" | "call_name" | "film_renderer":
            return error["msg"]
        case "value_error" | "assertion_error":  # from a validator of the model's own
            return " ".join(str(context["error"]).split()) or error["msg"]
    return ""


def _expected(error: Mapping[str, Any]) -> str:
    """Pydantic's message, in the words of YAML."""
    match error["type"]:
        case "tuple_type":
            return "Input should be a list"
        case "dict_type":
            return "Input should be a mapping"
        case "too_short":
            items = counted(error["ctx"]["min_length"], "item")
            return f"List should have at least {items}"
    return error["msg"]


def _meant(
    problem: _Problem, model: type[BaseModel], data: Mapping[str, Any], *, try_others: bool
) -> str:
    """A right value to write in place of a wrong one, if it can be guessed."""
    got, context = problem.error["input"], problem.error.get("ctx", {})
    if isinstance(got, str):
        # The names of a Literal are in pydantic's message alone: 'live' or 'return'.
        literals = str(context.get("expected", "")).split("'")[1::2]
        if near := suggestion(got, context.get("known", literals)):
            return near
    if try_others:
        for other in candidates(got):
            if _is_valid(other, problem.at, model, data):
                return f"; did you mean {shown(other)}?"
    owner, key = (problem.model, problem.key) if problem.key else (model, problem.at)
    if got is None and len(key) == 1:
        field = owner.model_fields.get(str(key[0]))
        if field is not None and not field.is_required():
            default = field.get_default(call_default_factory=True, validated_data={})
            return f"; leave the key out for its default, {shown(default)}"
    return ""


def _is_valid(value: object, at: Location, model: type[BaseModel], data: Any) -> bool:
    """True if settings with another value at a location have no problem there."""
    try:
        model.model_validate(_with_value(data, at, value))
    except ValidationError as error:
        return not any(other.at[: len(at)] == at for other in _problems(error, model))
    return True


def _with_value(tree: Any, at: Location, value: Any) -> Any:
    if not at:
        return value
    if isinstance(tree, Mapping):
        return {**tree, at[0]: _with_value(tree.get(at[0]), at[1:], value)}
    if isinstance(tree, list | tuple):
        return [_with_value(x, at[1:], value) if n == at[0] else x for n, x in enumerate(tree)]
    return tree


def _kind_meant(got: Any, context: Mapping[str, Any]) -> str:
    """The kind of sink that was probably meant."""
    kind, known = context["kind"], context["kinds"]
    if kind is None and isinstance(got, dict):
        names = (name for item in got.items() for name in item if isinstance(name, str))
        return next((f"; did you mean kind: {name}?" for name in names if name in known), "")
    return suggestion(kind, known)


def _unknown_key(key: object, value: object, model: type[BaseModel], root: type[BaseModel]) -> str:
    """The remedy for a key that a model does not have."""
    keys = model.model_fields
    if key in root.model_fields:
        near = "; it is not a key of a sink, and belongs at the top level"
    elif model is root:
        near = _unknown_setting(key, value, root)
    else:
        near = suggestion(key, keys)
    return f"unknown key{near} (the keys are: {', '.join(keys)})"


def _unknown_setting(key: object, value: object, root: type[BaseModel]) -> str:
    """The key that an unknown key at the top level was probably meant to be."""
    if key == "<<":
        return "; to begin with another file's settings, write `extends: other.yaml`"
    if key in kinds():
        return f"; it is a kind of sink, and belongs in sinks: [{{kind: {key}}}]"
    inside = (
        [name for name in value if name in root.model_fields] if isinstance(value, dict) else []
    )
    if inside:
        return f"; {inside[0]} in it is a key of the settings, and belongs at the top level"
    having = [kind for kind in BUILT_IN if key in sink_class(kind).Settings.model_fields]
    of_sinks = f"; it is a key of sinks: {', '.join(having)}" if having else ""
    return suggestion(key, (*root.model_fields, "extends")) or of_sinks
