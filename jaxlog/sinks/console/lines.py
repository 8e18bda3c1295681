"""What the console says line by line, where nothing can be drawn."""

from __future__ import annotations

from jaxlog.events import EpisodeEvent, EvaluationEvent, MetricsEvent
from jaxlog.sinks.console.values import over_lanes, text, told

_SHOWN = ("", "mean", "rate")
"""The statistics that a line has room for."""


def metrics_line(event: MetricsEvent, total_steps: int | None) -> str:
    """One line of a call site: `batch · update 11/30  episode_return_mean 2 ± 0.5`."""
    total = "" if total_steps is None else f"/{total_steps}"
    shown = [
        f"{key} {value}"
        for key, value in over_lanes(event).items()
        if event.keys[key].statistic in _SHOWN
    ]
    return f"{event.name} · update {event.step + 1}{total}  {'  '.join(shown)}"


def summary_line(event: EpisodeEvent | EvaluationEvent) -> str:
    """An episode of a single environment, or an evaluation: `episode · step 120  success yes`."""
    if isinstance(event, EpisodeEvent):
        name, values = event.name, event.episode
    else:
        name, values = "evaluation", event.values
    shown = [f"{key} {text(value)}" for key, value in told(values).items()]
    return f"{name} · step {event.step}  {'  '.join(shown)}"
