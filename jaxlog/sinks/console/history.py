"""The last lines of each call site: what changed, and how it went; never more than is shown."""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxlog.events import EpisodeEvent, EvaluationEvent, MetricsEvent
from jaxlog.names import CATEGORIES, KNOWN
from jaxlog.sinks.console.values import Value, over_lanes, told

LENGTH = 20
"""How many lines a trend is of."""
BESIDE = ("std", "min", "max")
"""The statistics that have a column of their own, beside the value."""

CATEGORY_OF_SUMMARY = {
    key: name.category
    for name in KNOWN.values()
    for key in (name.episode_key, f"{name.stem}_mean", f"{name.stem}_rate")
}
"""The categories of what an episode's summary, or an evaluation's, can have."""


class Told(NamedTuple):
    """What one line says under one name.

    Attributes:
      category: one of `names.CATEGORIES`.
      shown: the value, or a text.
      trend: the number that a trend is drawn of.
      beside: the statistics that have a column of their own.
    """

    category: str
    shown: Value | str
    trend: float
    beside: Mapping[str, float] = {}


@dataclass
class Row:
    """The last lines of one name.

    Attributes:
      category: one of `names.CATEGORIES`.
      shown: what the last line says; None where it says nothing of it: no episode ended.
      beside: as in `Told`, of the last line.
      trend: the numbers of the last lines; NaN for a line without.
    """

    category: str
    shown: Value | str | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    trend: collections.deque[float] = field(
        default_factory=lambda: collections.deque(maxlen=LENGTH)
    )

    @property
    def change(self) -> float | None:
        """What the last line has more than the one before it that had a number."""
        if not isinstance(self.shown, Value) or len(self.trend) < 2:
            return None
        before = next((v for v in reversed(list(self.trend)[:-1]) if not math.isnan(v)), math.nan)
        change = self.trend[-1] - before
        return change if math.isfinite(change) else None


Event = MetricsEvent | EpisodeEvent | EvaluationEvent


class History:
    """The last lines of one call site.

    What is added costs nothing until `read`, on the thread that draws: a program logs thousands of
    lines a second, and nobody sees more than a few.
    """

    def __init__(self) -> None:
        self.last: Event | None = None
        self._rows: dict[str, Row] = {}
        self._unread: collections.deque[Event] = collections.deque(maxlen=LENGTH)

    def add(self, event: Event) -> None:
        """Takes one line."""
        self._unread.append(event)

    def read(self) -> dict[str, Row]:
        """What there is to show by name, by category."""
        while self._unread:
            self.last = event = self._unread.popleft()
            said = _of_metrics(event) if isinstance(event, MetricsEvent) else _of_summary(event)
            for name, what in said.items():
                if name not in self._rows:
                    missed = min(
                        LENGTH, max((len(r.trend) for r in self._rows.values()), default=0)
                    )
                    self._rows[name] = Row(what.category)
                    self._rows[name].trend.extend([math.nan] * missed)
            for name, row in self._rows.items():
                what = said.get(name)
                row.shown = None if what is None else what.shown
                row.beside = {} if what is None else what.beside
                row.trend.append(math.nan if what is None else what.trend)
        by_category = sorted(self._rows.items(), key=lambda item: _rank(item[1].category))
        return dict(by_category)


def _rank(category: str) -> int:
    return CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)


def _of_metrics(event: MetricsEvent) -> dict[str, Told]:
    values = over_lanes(event)
    beside: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        if event.keys[key].statistic in BESIDE:
            beside.setdefault(event.keys[key].stem, {})[event.keys[key].statistic] = value.value
    found = {}
    for key, value in values.items():
        info = event.keys[key]
        if info.statistic == "mean":
            found[info.stem] = Told(info.category, value, value.value, beside.pop(info.stem, {}))
        elif info.statistic not in BESIDE:
            found[key] = Told(info.category, value, value.value)
    for key, value in values.items():  # a statistic whose metric has no mean to stand beside
        info = event.keys[key]
        if info.statistic in beside.get(info.stem, {}):
            found[key] = Told(info.category, value, value.value)
    return found


def _of_summary(event: EpisodeEvent | EvaluationEvent) -> dict[str, Told]:
    values: Mapping[str, Any] = event.episode if isinstance(event, EpisodeEvent) else event.values
    found = {}
    for name, value in told(values).items():
        category = CATEGORY_OF_SUMMARY.get(name, "other")
        if isinstance(value, str):
            trend = {"yes": 1.0, "no": 0.0}.get(value, math.nan)
            found[name] = Told(category, value, trend)
        else:
            found[name] = Told(category, Value(value), value)
    return found
