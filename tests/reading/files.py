"""Writes runs with known lines: the sink itself writes them, from events."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jaxlog
from jaxlog.sinks import (
    EpisodeEvent,
    EvaluationEvent,
    Lane,
    MetricsEvent,
    StepEvent,
    TaskEvent,
    sink_class,
)

Event = MetricsEvent | EpisodeEvent | StepEvent | TaskEvent | EvaluationEvent


def write(directory: Path, events: Iterable[Event], kind: str = "jsonl") -> Path:
    """Writes the lines of events, or for `arrow` their columns, in a directory without run.json."""
    cls = sink_class(kind)
    sink = cls(cls.Settings(kind=kind))
    sink.open(jaxlog.sinks.RunInfo("run", directory, if_exists="replace"))
    for event in events:
        match event:
            case MetricsEvent():
                sink.write_metrics(event)
            case EpisodeEvent():
                sink.write_episode(event)
            case StepEvent():
                sink.write_step(event)
            case TaskEvent():
                sink.write_task(event)
            case EvaluationEvent():
                sink.write_evaluation(event)
    sink.close()
    return directory


def metrics(
    step: int, *lanes: tuple[dict[str, Any], dict[str, Any]], name: str = "batch", **more: Any
) -> MetricsEvent:
    """Makes an event of lanes, each with its labels and metrics."""
    found = tuple(Lane(i, labels, values) for i, (labels, values) in enumerate(lanes))
    return MetricsEvent(name, step, more.pop("env_step", None), 1.5 + step, found, {}, **more)


def episode(step: int, values: dict[str, Any], **more: Any) -> EpisodeEvent:
    """Makes an event of a sampled episode."""
    return EpisodeEvent("batch", step, None, 1.5, 0, {"seed": 3}, values, more)


def lines(path: Path) -> list[dict[str, Any]]:
    """Reads the lines of a file with the standard library."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def same(found: Any, expected: Any) -> bool:
    """True if two values are equal; NaN equals NaN."""
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == expected
