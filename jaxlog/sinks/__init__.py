"""Where records go: one file a sink. A sink is known by its `kind`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxlog.sinks.sink import Sink

_SINKS = {
    "jsonl": "jaxlog.sinks.jsonl:JsonlSink",
    "console": "jaxlog.sinks.console:ConsoleSink",
    "memory": "jaxlog.sinks.memory:MemorySink",
    "svg": "jaxlog.sinks.svg:SvgSink",
}


def sink_class(kind: object) -> type[Sink]:
    """The class of the sinks of a kind, imported when it is asked for.

    Raises:
      LookupError: there is none; the text says what there is.
    """
    if not isinstance(kind, str) or kind not in _SINKS:
        got = "no kind" if kind is None else repr(kind)
        raise LookupError(f"got {got}, takes one of {', '.join(_SINKS)}")
    module, name = _SINKS[kind].split(":")
    return getattr(importlib.import_module(module), name)
