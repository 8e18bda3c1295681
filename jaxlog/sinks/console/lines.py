"""What the console says line by line, where nothing can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    MetricsEvent,
    StepEvent,
    TaskEvent,
)
from jaxlog.sinks.console.values import over_lanes, plain, text, told

_SHOWN = ("", "mean", "rate")
"""The statistics that a line has room for."""


def line(event: Event, total_updates: int | None) -> str:
    """One line of any event."""
    match event:
        case MetricsEvent():
            return metrics_line(event, total_updates)
        case EpisodeEvent(sampled=True):
            of = f"{plain(event.name)} · update {event.step + 1}{_of(total_updates)}"
            return f"{of}  episode of lane {event.lane}  {_pairs(event.episode)}"
        case TaskEvent():
            return f"task · step {event.step}  {_pairs(event.values)}"
        case StepEvent():
            return f"step {event.step}  episode {event.episode}  {_pairs(event.values)}"
        case _:
            return summary_line(event)


def metrics_line(event: MetricsEvent, total_updates: int | None) -> str:
    """One line of a call: `batch · update 11/30  episode_return_mean 2 ± 0.5`."""
    values = over_lanes(event)
    told_of = {event.keys[key].stem for key in values if event.keys[key].statistic in _SHOWN}
    shown = [
        f"{plain(key)} {value}"
        for key, value in values.items()
        for stem, statistic in [(event.keys[key].stem, event.keys[key].statistic)]
        if statistic in _SHOWN
        or (statistic == "nonfinite" and stem not in told_of and value.middle)
    ]
    return f"{plain(event.name)} · update {event.step + 1}{_of(total_updates)}  {'  '.join(shown)}"


def summary_line(event: EpisodeEvent | EvaluationEvent) -> str:
    """An episode of a single environment, or an evaluation: `episode · step 120  success yes`."""
    if isinstance(event, EpisodeEvent):
        name, values = event.name, event.episode
    else:
        name, values = "evaluation", event.values
    return f"{plain(name)} · step {event.step}  {_pairs(values)}"


def _of(total_updates: int | None) -> str:
    return "" if total_updates is None else f"/{total_updates}"


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{plain(key)} {text(value)}" for key, value in told(values).items())
