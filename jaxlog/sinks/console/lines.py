"""The plain lines of the console, for outputs that cannot show a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from jaxlog.sinks.console.line_values import CATEGORY_OF_SUMMARY, rank
from jaxlog.sinks.console.values import (
    described_over_lanes,
    number,
    over_lanes,
    per_second,
    plain,
    summary_values,
    text,
)

_SHOWN = ("", "mean", "rate")
"""The statistics that a line shows."""


WIDTH = 120
"""The width of a line in a pipe or a file, in characters."""
FIRST = 3
"""The number of values that are more important than the rates and the updates done."""


def line(event: Event, total_updates: int | None, width: int = WIDTH) -> str:
    """The line of any event.

    It is at most `width` wide: values that do not fit are left out, and counted at its end. Values
    of returns come first, then those of the other categories, in the order of the tables.
    """
    match event:
        case MetricsEvent():
            return metrics_line(event, total_updates, width)
        case EpisodeEvent(sampled=True):
            title = f"{_title(event, total_updates)}  episode of {lane_name(event)}"
            return _fitting(title, _pairs(event.episode), width)
        case TaskEvent():
            return _fitting(f"task · step {event.step}", _pairs(event.values), width)
        case StepEvent():
            title = f"step {event.step}  episode {event.episode}"
            return _fitting(title, _pairs(event.values), width)
        case _:
            return summary_line(event, width)


def metrics_line(event: MetricsEvent, total_updates: int | None, width: int = WIDTH) -> str:
    """The line of a call: `batch · step 10 · 11/30 updates done  episode_return_mean 2 ± 0.5`.

    If the event has rates, they are before the values: `· 2.5 updates/s · 320 env steps/s`. The
    rates, and then the updates done, are left out if the first values do not fit beside them.
    """
    values = over_lanes(event)
    with_value = {event.keys[key].stem for key in values if event.keys[key].statistic in _SHOWN}
    parts = {
        key: (name, folded)
        for name, folded in fold(values, event.keys).items()
        for key in folded.names
    }
    shown: list[tuple[str, str]] = []  # the category and the text of each value
    for key, value in values.items():
        info = event.keys[key]
        unseen = info.statistic == "nonfinite" and info.stem not in with_value and value.middle
        if info.statistic not in _SHOWN and not unseen:
            continue
        name, folded = parts.get(key, (key, None))
        if folded is None:
            shown.append((info.category, f"{plain(key)} {value}"))
        elif key == folded.names[0]:
            shown.append((info.category, f"{plain(name)} {folded.shown}"))
    shown.sort(key=lambda one: rank(one[0]))
    texts = [text for _, text in shown]
    texts += [f"{plain(name)} {array}" for name, array in described_over_lanes(event).items()]
    title = _title(event, total_updates)
    titles = [" · ".join([title, *_rates(event.timing)]), title, _title(event, None)]
    rest = ["", *texts[:FIRST], _left_out(len(texts)) if len(texts) > FIRST else ""]
    room = width - len("  ".join(rest).rstrip())
    chosen = next((one for one in titles if len(one) <= room), titles[-1])
    return _fitting(chosen, texts, width)


def summary_line(event: EpisodeEvent | EvaluationEvent, width: int = WIDTH) -> str:
    """The line of an episode of a single environment, or of an evaluation.

    It looks like `episode · step 120  success yes`.
    """
    if isinstance(event, EpisodeEvent):
        name, values = event.name, event.episode
    else:
        name, values = "evaluation", event.values
    return _fitting(f"{plain(name)} · step {event.step}", _pairs(values), width)


def _fitting(title: str, values: Sequence[str], width: int) -> str:
    """Joins a title and as many values as fit, and says how many were left out."""
    from rich.cells import cell_len, set_cell_size  # only a console needs Rich

    kept = list(values)
    while True:
        found = "  ".join([title, *kept])
        ending = f"  {_left_out(len(values) - len(kept))}" if len(kept) < len(values) else ""
        # Rich takes far longer for a text with "…"; the ending has a cell for each character.
        if cell_len(found) + len(ending) <= width:
            return found + ending
        if not kept:
            return f"{set_cell_size(found + ending, max(0, width - 1))}…"
        kept.pop()


def _left_out(number: int) -> str:
    return f"… {number} more"


def lane_name(event: EpisodeEvent) -> str:
    """The labels of the lane of an episode, or else its number."""
    labels = [f"{plain(name)} {text(v)}" for name, v in summary_values(event.labels).items()]
    return ", ".join(labels) or f"lane {event.lane}"


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


def _pairs(values: Mapping[str, Any]) -> list[str]:
    pairs = summary_values(values)
    names = sorted(pairs, key=lambda name: rank(CATEGORY_OF_SUMMARY.get(name, "other")))
    return [f"{plain(name)} {text(pairs[name])}" for name in names]
