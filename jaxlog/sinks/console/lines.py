"""The plain lines of the console, for outputs that cannot show a table."""

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
from jaxlog._format.timing import Timing
from jaxlog.sinks.console.folding import fold
from jaxlog.sinks.console.values import (
    arrays_over_lanes,
    number,
    over_lanes,
    per_second,
    plain,
    summary_values,
    text,
)

_SHOWN = ("", "mean", "rate")
"""The statistics that a line shows."""


def line(event: Event, total_updates: int | None) -> str:
    """The line of any event."""
    match event:
        case MetricsEvent():
            return metrics_line(event, total_updates)
        case EpisodeEvent(sampled=True):
            title = _title(event, total_updates)
            return f"{title}  episode of lane {event.lane}  {_pairs(event.episode)}"
        case TaskEvent():
            return f"task · step {event.step}  {_pairs(event.values)}"
        case StepEvent():
            return f"step {event.step}  episode {event.episode}  {_pairs(event.values)}"
        case _:
            return summary_line(event)


def metrics_line(event: MetricsEvent, total_updates: int | None) -> str:
    """The line of a call: `batch · step 10 · 11/30 updates done  episode_return_mean 2 ± 0.5`.

    If the event has rates, they are before the values: `· 2.5 updates/s · 320 env steps/s`.
    """
    values = over_lanes(event)
    with_value = {event.keys[key].stem for key in values if event.keys[key].statistic in _SHOWN}
    parts = {
        key: (name, folded)
        for name, folded in fold(values, event.keys).items()
        for key in folded.names
    }
    shown = []
    for key, value in values.items():
        stem, statistic = event.keys[key].stem, event.keys[key].statistic
        unseen = statistic == "nonfinite" and stem not in with_value and value.middle
        if statistic not in _SHOWN and not unseen:
            continue
        name, folded = parts.get(key, (key, None))
        if folded is None:
            shown.append(f"{plain(key)} {value}")
        elif key == folded.names[0]:
            shown.append(f"{plain(name)} {folded.shown}")
    shown += [f"{plain(name)} {array}" for name, array in arrays_over_lanes(event).items()]
    title = " · ".join([_title(event, total_updates), *_rates(event.timing)])
    return f"{title}  {'  '.join(shown)}"


def summary_line(event: EpisodeEvent | EvaluationEvent) -> str:
    """The line of an episode of a single environment, or of an evaluation.

    It looks like `episode · step 120  success yes`.
    """
    if isinstance(event, EpisodeEvent):
        name, values = event.name, event.episode
    else:
        name, values = "evaluation", event.values
    return f"{plain(name)} · step {event.step}  {_pairs(values)}"


def _title(event: MetricsEvent | EpisodeEvent, total_updates: int | None) -> str:
    """The call and the step as the program passed it; with a total, also the updates done."""
    title = f"{plain(event.name)} · step {event.step}"
    if total_updates is None:
        return title
    return f"{title} · {event.step + 1}/{total_updates} updates done"


def _rates(timing: Timing | None) -> list[str]:
    """The rates since the line before; none for the first line of a call."""
    rates = []
    if timing is not None and timing.updates_per_second:
        rates.append(per_second(timing.updates_per_second))
        if timing.env_steps_per_second:
            rates.append(f"{number(timing.env_steps_per_second)} env steps/s")
    return rates


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{plain(key)} {text(value)}" for key, value in summary_values(values).items())
