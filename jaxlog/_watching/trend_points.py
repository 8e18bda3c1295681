"""The points of a trend: the values of one key in some events of a run."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._format.across_lanes import values_across_lanes
from jaxlog._format.events import EpisodeEvent, EvaluationEvent, Event, MetricsEvent
from jaxlog._format.lines import call_of
from jaxlog._watching import lines
from jaxlog.sinks.console.values import summary_values

EventLines = list[tuple[int, bytes]]
"""The lines of an event, each with its offset."""


class TrendPoint(NamedTuple):
    """One event of a trend.

    Attributes:
      step: its step.
      env_step: the environment steps taken; None if not known.
      timestamp: the time it was logged, in seconds since 1970.
      value: the value of the key over the lanes that are alive; None if it has none.
    """

    step: int
    env_step: int | None
    timestamp: float
    value: float | None


class WholeFile:
    """The events of a file of lines.

    Args:
      file: the file.
    """

    def __init__(self, file: Path) -> None:
        head_of = lines.heads_of_lines(file)
        groups = groupby(lines.forwards(file), lambda found: head_of(found[1]))
        self._groups = [list(group) for _, group in groups]
        self._starts = [group[0][0] for group in self._groups]

    def first(self, offset: int) -> EventLines:
        """The lines of the first event that begins at an offset or after it."""
        number = bisect.bisect_left(self._starts, offset)
        return self._groups[number] if number < len(self._groups) else []


def point_of_line(file: Path, found: EventLines, key: str) -> TrendPoint | None:
    """The point of an event of one lane whose value is a finite number, without making the event.

    None for other events.
    """
    if len(found) > 1 or call_of(file.name) is None:
        return None
    match lines.read(found[0][1]):
        case {
            "timestamp": float() as timestamp,
            "step": int() as step,
            "lane": int(),
            "metrics": {**metrics},
            **rest,
        } if type(metrics.get(key)) is float:
            env_step = rest.get("env_step")
            if env_step is None or type(env_step) is int:
                return TrendPoint(step, env_step, timestamp, metrics[key])
    return None


def value_of(event: Event, key: str) -> float | None:
    """The value of one key of an event, over its lanes; None if it has none."""
    match event:
        case MetricsEvent():
            found = (
                values_across_lanes(event.columns, {key: event.keys[key]}).get(key)
                if (key in event.keys)
                else None
            )
            return None if found is None else found.middle
        case EpisodeEvent() | EvaluationEvent():
            value = summary_values(summary_of(event)).get(key)
            return value if isinstance(value, float) else None
        case _:
            return None


def summary_of(event: EpisodeEvent | EvaluationEvent) -> Mapping[str, Any]:
    """The values of an episode or an evaluation."""
    return event.episode if isinstance(event, EpisodeEvent) else event.values


def point_of(event: Event, key: str) -> TrendPoint:
    """The point of an event."""
    env_step = event.env_step if isinstance(event, MetricsEvent | EpisodeEvent) else None
    return TrendPoint(event.step, env_step, event.timestamp, value_of(event, key))
