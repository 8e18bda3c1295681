"""The public names of `jaxlog` 0.1 that have moved to other modules, until the next release."""

from __future__ import annotations

from importlib import import_module

from jaxlog._former_names import warn_former_name

MOVED = {
    "Account": "jaxlog.sinks",
    "EpisodeEvent": "jaxlog.sinks",
    "EvaluationEvent": "jaxlog.sinks",
    "Histogram": "jaxlog.sinks",
    "Key": "jaxlog.sinks",
    "Lane": "jaxlog.sinks",
    "MetricsEvent": "jaxlog.sinks",
    "RunInfo": "jaxlog.sinks",
    "Sink": "jaxlog.sinks",
    "SinkSettings": "jaxlog.sinks",
    "StepEvent": "jaxlog.sinks",
    "TaskEvent": "jaxlog.sinks",
    "Moments": "jaxlog.statistics",
    "QuantileSketch": "jaxlog.statistics",
    "histogram": "jaxlog.statistics",
}


def moved(name: str) -> object:
    """Returns the object of a former name of `jaxlog`, and warns the line that uses the name."""
    module = MOVED[name]
    warn_former_name(f"jaxlog.{name}", f"{module}.{name}")
    return getattr(import_module(module), name)
