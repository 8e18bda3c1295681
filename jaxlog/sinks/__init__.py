"""The classes for authors of sinks, and the sinks of jaxlog, one module each.

Settings choose a sink by its `kind`. Other packages may register kinds of their own.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from jaxlog._format.events import (
        Account,
        Columns,
        EpisodeEvent,
        EpisodeSteps,
        EvaluationEvent,
        Histogram,
        Key,
        Lane,
        MetricsEvent,
        RunInfo,
        StepEvent,
        TaskEvent,
    )
    from jaxlog._format.timing import Timing
    from jaxlog.sinks.sink import Sink, SinkSettings

__all__ = [
    "Account",
    "Columns",
    "EpisodeEvent",
    "EpisodeSteps",
    "EvaluationEvent",
    "Histogram",
    "Key",
    "Lane",
    "MetricsEvent",
    "RunInfo",
    "Sink",
    "SinkSettings",
    "StepEvent",
    "TaskEvent",
    "Timing",
]

GROUP = "jaxlog.sinks"
"""The entry point group in which other packages register sinks; the names are kinds."""

_SINKS = {
    "jsonl": "jaxlog.sinks.jsonl:JsonlSink",
    "arrow": "jaxlog.sinks.arrow:ArrowSink",
    "console": "jaxlog.sinks.console.sink:ConsoleSink",
    "wandb": "jaxlog.sinks.wandb:WandbSink",
    "svg": "jaxlog.sinks.svg:SvgSink",
    "tensorboard": "jaxlog.sinks.tensorboard:TensorboardSink",
    "trackio": "jaxlog.sinks.trackio:TrackioSink",
    "mlflow": "jaxlog.sinks.mlflow:MlflowSink",
    "memory": "jaxlog.sinks.memory:MemorySink",
}
BUILT_IN = tuple(_SINKS)
"""The kinds of jaxlog's own sinks."""


def __getattr__(name: str) -> object:
    """Imports a public name on first use, because every sink imports this module."""
    if name not in __all__:
        return object.__getattribute__(sys.modules[__name__], name)  # raises AttributeError
    found = importlib.import_module("jaxlog._format.events")
    if not hasattr(found, name):
        found = importlib.import_module("jaxlog.sinks.sink")
    globals()[name] = value = getattr(found, name)
    return value


def __dir__() -> list[str]:
    return list(__all__)


def kinds() -> list[str]:
    """All kinds: jaxlog's own, and those of other packages."""
    return [*BUILT_IN, *_plug_ins()]


def sink_class(kind: object) -> type[Sink]:
    """Imports and returns the sink class of a kind.

    Raises:
      LookupError: there is no such kind, or the class of another package cannot be used. The text
        says why, and lists the kinds.
    """
    if isinstance(kind, str) and kind in _SINKS:
        module, name = _SINKS[kind].split(":")
        return getattr(importlib.import_module(module), name)
    plug_ins = _plug_ins()
    if not isinstance(kind, str) or kind not in plug_ins:
        got = "no kind" if kind is None else repr(kind)
        raise LookupError(f"got {got}, takes one of {', '.join(kinds())}")
    return _load(plug_ins[kind])


@functools.cache
def _plug_ins() -> dict[str, EntryPoint]:
    """The sinks of other packages by kind; they cannot replace jaxlog's own kinds."""
    from importlib.metadata import entry_points  # takes long, and few need it

    found = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    return {point.name: point for point in found if point.name not in _SINKS}


def _load(point: EntryPoint) -> type[Sink]:
    from jaxlog.sinks.sink import Sink, SinkSettings

    where = f"{point.value} of {point.dist.name if point.dist else 'another package'}"
    try:
        found = point.load()
    except Exception as error:
        raise LookupError(
            f"got {point.name!r}, which is {where}, and that cannot be imported: {error!r}"
        ) from error
    settings = getattr(found, "Settings", None)
    for it, base in ((found, Sink), (settings, SinkSettings)):
        if not (isinstance(it, type) and issubclass(it, base)):
            what = "its Settings are" if base is SinkSettings else "it is"
            raise LookupError(
                f"got {point.name!r}, which is {where}, and {what} no subclass of "
                f"jaxlog.sinks.{base.__name__}"
            )
    return found
