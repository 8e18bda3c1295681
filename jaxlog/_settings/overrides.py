"""Overrides like `log_frequency=5`, each of which replaces one setting of a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxlog._errors import ConfigError
from jaxlog._settings import yaml_source
from jaxlog._settings.inheritance import KEY as EXTENDS
from jaxlog._settings.models import BY_CALL
from jaxlog._settings.problems import SourcePosition
from jaxlog._settings.source import Source, plain
from jaxlog._settings.wording import Location, key_of, shown, suggestion
from jaxlog.sinks.sink import Sink, SinkSettings, kind_of

_OF_BINS = ("low", "high", "bins")


def overridden(given: Source, text: str) -> Source:
    """The settings with one override, `key=value`, applied.

    The value is read as YAML. Dots in the key lead into mappings. In `statistics` and `histograms`,
    the name of a metric follows the first dot and may contain dots; for histograms, an end like
    `.bins` may follow. In settings by call, like `log_frequency.eval=1`, it is the name of a call.
    In `sinks`, a part is an index, or a kind if only one sink has it.

    Raises:
      ConfigError: the text has another form, its value is not YAML, or there is no such sink.
      TypeError: it is not a text.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"overrides: got {text!r}, expected texts like 'log_frequency=5'; or give "
            "log_frequency=5 by name"
        )
    name = f"override {shown(text)}"
    key, equals, value_text = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")) or not key.isprintable():
        raise ConfigError(f"{name}: expected KEY=VALUE, like log_frequency=5 or sinks.0.kind=jsonl")
    value, _ = yaml_source.parse(value_text, name)
    return _with(given, _location(given, key, name), value, name)


def changed(given: Source, changes: Mapping[str, Any]) -> Source:
    """The settings with other values for some keys.

    Raises:
      ConfigError: a value has a key that is not text, or contains itself.
    """
    for key, value in changes.items():
        given = _with(given, (key,), plain(value, "override", (key,)), "override")
    return given


def _with(given: Source, at: Location, value: Any, name: str) -> Source:
    if at[0] == EXTENDS:
        raise ConfigError(
            f"{name}: {EXTENDS}: belongs in a file or a dict; give load_config "
            "{'extends': [FILE, OTHER]} instead of the file"
        )
    given, at = _opened(given, at, SourcePosition(name))
    return given.with_value(at, value, SourcePosition(name))


def _location(given: Source, key: str, name: str) -> Location:
    """The location that the key of an override names."""
    first, _, rest = key.partition(".")
    if not rest:
        return (first,)
    if first == "statistics" or first in BY_CALL:  # names of metrics and calls may have dots
        return (first, rest)
    if first == "histograms":
        metric, _, last = rest.rpartition(".")
        return (first, metric, last) if metric and last in _OF_BINS else (first, rest)
    if first == "sinks":
        sink, *inner = rest.split(".")
        return (first, _index(given.data.get("sinks", ()), sink, name), *inner)
    return (first, *rest.split("."))


def _index(sinks: Any, wanted: str, name: str) -> int:
    """The index of a sink that is named by its index or its kind."""
    if not isinstance(sinks, list | tuple):
        raise ConfigError(f"{name}: sinks: got {shown(sinks)}, expected a list of sinks")
    kinds = [_kind(sink) for sink in sinks]
    there = ", ".join(f"{index} {kind}" for index, kind in enumerate(kinds)) or "none"
    if wanted.isdecimal():
        if int(wanted) < len(kinds):
            return int(wanted)
    elif kinds.count(wanted) == 1:
        return kinds.index(wanted)
    elif wanted in kinds:
        raise ConfigError(
            f"{name}: sinks.{wanted}: there are {kinds.count(wanted)} of this kind; name one by "
            f"its index (the sinks are: {there})"
        )
    raise ConfigError(
        f"{name}: sinks.{wanted}: there is no such sink{suggestion(wanted, kinds)} "
        f"(the sinks are: {there})"
    )


def _kind(sink: Any) -> str:
    if isinstance(sink, SinkSettings):
        return sink.kind
    if isinstance(sink, Sink):
        return kind_of(sink)
    return str(sink.get("kind")) if isinstance(sink, Mapping) else "?"


def _opened(given: Source, at: Location, place: SourcePosition) -> tuple[Source, Location]:
    """The settings with mappings down to a location, and the location with indices as numbers."""
    for end in range(1, len(at)):
        around, part = at[:end], at[end]
        here: Any = given.data
        for step in around:
            here = here.get(step) if isinstance(step, str) else here[step]
        if isinstance(here, SinkSettings):
            inner = {"kind": here.kind, **here.model_dump(exclude_unset=True)}
            given = given.with_value(around, inner, given.place(around))
        elif around == ("statistics",) and isinstance(here, list | tuple):
            # The list for all metrics becomes the default for metrics without their own.
            given = given.with_value(around, {"default": here}, given.place(around))
        elif around[0] in BY_CALL and end == 1 and isinstance(here, int | str):
            # The value for all calls becomes that for calls without their own.
            given = given.with_value(around, {"default": here}, given.place(around))
        elif isinstance(here, list | tuple):
            if not str(part).isdecimal() or int(part) >= len(here):
                raise ConfigError(
                    f"{place}: {key_of(around)}: has no {part}; it is {shown(here)}, and can only "
                    "be replaced as a whole"
                )
            at = (*around, int(part), *at[end + 1 :])
        elif not isinstance(here, dict):
            given = given.with_value(around, {}, place)
    return given, at
