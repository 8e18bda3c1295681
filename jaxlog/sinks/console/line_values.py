"""The values of one line for the tables of the console: of metrics, of episodes, of evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxlog._format.events import EpisodeEvent, EvaluationEvent, MetricsEvent
from jaxlog._format.names import CATEGORIES, KNOWN
from jaxlog.sinks.console.folding import fold
from jaxlog.sinks.console.values import Shown, described_over_lanes, over_lanes, summary_values

BESIDE = ("std", "min", "max")
"""The statistics that have their own column beside the value."""

CATEGORY_OF_SUMMARY = {
    key: name.category
    for name in KNOWN.values()
    for key in (name.episode_key, f"{name.stem}_mean", f"{name.stem}_rate")
}
"""The categories of the keys in the summary of an episode or an evaluation."""

Event = MetricsEvent | EpisodeEvent | EvaluationEvent


class LineValue(NamedTuple):
    """The value of one name on one line.

    Attributes:
      category: one of `names.CATEGORIES`.
      shown: the value, or a text.
      trend: the number for the trend; None if there is none.
      beside: the statistics that have their own column.
    """

    category: str
    shown: Shown | str
    trend: float | None
    beside: Mapping[str, float] = {}


def rank(category: str) -> int:
    """The place of a category in the order in which displays show them."""
    return CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)


def values_of(event: Event) -> dict[str, LineValue]:
    """The values of an event by the name of their row."""
    return _of_metrics(event) if isinstance(event, MetricsEvent) else _of_summary(event)


def _of_metrics(event: MetricsEvent) -> dict[str, LineValue]:
    values = over_lanes(event)
    folded: dict[str, LineValue] = {}
    groups = fold(values, event.keys)
    for name, parts in groups.items():
        info = event.keys[parts.names[0]]
        extremes = {"min": parts.low, "max": parts.high}
        if info.statistic not in BESIDE:  # what is said of the mean of the parts suffices
            folded[name] = LineValue(info.category, parts.shown, parts.shown.middle, extremes)
    hidden = {key for parts in groups.values() for key in parts.names}
    values = {key: value for key, value in values.items() if key not in hidden}
    beside: dict[str, dict[str, float]] = {}
    found: dict[str, LineValue] = {}
    for key, value in values.items():
        if event.keys[key].statistic in BESIDE:
            beside.setdefault(event.keys[key].stem, {})[event.keys[key].statistic] = value.middle
    for key, value in values.items():
        info = event.keys[key]
        if info.statistic == "mean":
            found[info.stem] = LineValue(
                info.category, value, value.middle, beside.pop(info.stem, {})
            )
        elif info.statistic not in BESIDE:
            found[key] = LineValue(info.category, value, value.middle)
    for key, value in values.items():  # a statistic whose metric has no row for its mean
        info = event.keys[key]
        if info.statistic in beside.get(info.stem, {}):
            found[key] = LineValue(info.category, value, value.middle)
    for name, shown in described_over_lanes(event).items():
        found[name] = LineValue("other", shown, None)
    return found | folded


def _of_summary(event: EpisodeEvent | EvaluationEvent) -> dict[str, LineValue]:
    values: Mapping[str, Any] = event.episode if isinstance(event, EpisodeEvent) else event.values
    found = {}
    for name, value in summary_values(values).items():
        category = CATEGORY_OF_SUMMARY.get(name, "other")
        if isinstance(value, str):
            trend = {"yes": 1.0, "no": 0.0}.get(value)
            found[name] = LineValue(category, value, trend)
        else:
            found[name] = LineValue(category, Shown(value), value)
    return found
