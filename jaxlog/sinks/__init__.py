"""What the author of a sink needs, and the sinks that come with jaxlog, one module each.

A sink is chosen by its `kind`. Other packages may bring their own.
"""

from __future__ import annotations

import functools
import importlib
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxlog._format.events import (
        Account,
        EpisodeEvent,
        EvaluationEvent,
        Histogram,
        Key,
        Lane,
        MetricsEvent,
        RunInfo,
        StepEvent,
        TaskEvent,
    )
    from jaxlog.sinks.sink import Sink, SinkSettings

__all__ = [
    "Account",
    "EpisodeEvent",
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
]

GROUP = "jaxlog.sinks"
"""The entry points by which another package makes its sinks known: their names are kinds."""

_SINKS = {
    "jsonl": "jaxlog.sinks.jsonl:JsonlSink",
    "console": "jaxlog.sinks.console:ConsoleSink",
    "wandb": "jaxlog.sinks.wandb:WandbSink",
    "svg": "jaxlog.sinks.svg:SvgSink",
    "tensorboard": "jaxlog.sinks.tensorboard:TensorboardSink",
    "memory": "jaxlog.sinks.memory:MemorySink",
}
BUILT_IN = tuple(_SINKS)
"""The kinds that jaxlog brings itself."""


def __getattr__(name: str) -> object:
    """Imports the names above when one is asked for: this module is imported with any sink."""
    if name not in __all__:
        return object.__getattribute__(sys.modules[__name__], name)  # raises Python's error
    found = importlib.import_module("jaxlog._format.events")
    if not hasattr(found, name):
        found = importlib.import_module("jaxlog.sinks.sink")
    globals()[name] = value = getattr(found, name)
    return value


def __dir__() -> list[str]:
    return list(__all__)


def kinds() -> list[str]:
    """The kinds there are: jaxlog's own, and those that other packages bring."""
    return [*BUILT_IN, *_plug_ins()]


def sink_class(kind: object) -> type[Sink]:
    """The class of the sinks of a kind, imported when it is asked for.

    Raises:
      LookupError: there is none, or another package's cannot be used; the text says why, and what
        there is.
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
    """What other packages bring; of a kind that jaxlog has itself, jaxlog's is taken."""
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
