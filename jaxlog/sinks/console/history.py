"""The last lines of each call in the order of their steps, as rows with changes and trends."""

from __future__ import annotations

import bisect
import collections
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeGuard

from jaxlog._format.events import EpisodeEvent, EvaluationEvent, MetricsEvent
from jaxlog._format.names import CATEGORIES, KNOWN
from jaxlog.sinks.console.folding import fold
from jaxlog.sinks.console.values import Shown, arrays_over_lanes, over_lanes, summary_values

LENGTH = 20
"""The number of lines in a trend."""
RANGES = 1000
"""The largest number of ranges of steps that are kept; random steps need one for every two."""
BESIDE = ("std", "min", "max")
"""The statistics that have their own column beside the value."""

CATEGORY_OF_SUMMARY = {
    key: name.category
    for name in KNOWN.values()
    for key in (name.episode_key, f"{name.stem}_mean", f"{name.stem}_rate")
}
"""The categories of the keys in the summary of an episode or an evaluation."""


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


class Row(NamedTuple):
    """The last lines of one name.

    Attributes:
      category: one of `names.CATEGORIES`.
      shown: the value of the last line; None if it has none, because no episode ended.
      beside: the statistics of the last line that have their own column.
      trend: the numbers of the last lines; None for a line without a number.
      before: the last finite value before that of the last line; None if there is none.
    """

    category: str
    shown: Shown | str | None
    beside: Mapping[str, float]
    trend: Sequence[float | None]
    before: Shown | None = None

    @property
    def change(self) -> float | None:
        """The difference between the last value and the finite value before it.

        None if the number of lanes that are alive differs, because a mean that rises when lanes die
        is not progress.
        """
        if not isinstance(self.shown, Shown) or self.before is None:
            return None
        if self.shown.alive != self.before.alive:
            return None
        change = self.shown.middle - self.before.middle
        return change if math.isfinite(change) else None


Event = MetricsEvent | EpisodeEvent | EvaluationEvent


@dataclass
class _Line:
    """One of the last lines.

    Attributes:
      order: the number of its pass, and its step.
      event: the event of the line.
      cached: the event whose values were read last, and these values.
    """

    order: tuple[int, int]
    event: Event
    cached: tuple[Event, dict[str, LineValue]] | None = None

    def read(self) -> dict[str, LineValue]:
        event = self.event
        if self.cached is None or self.cached[0] is not event:
            values = _of_metrics(event) if isinstance(event, MetricsEvent) else _of_summary(event)
            self.cached = event, values
        return self.cached[1]


class History:
    """The last lines of one call, in the order of their steps.

    XLA may run a call late, such as an initial evaluation after the training has ended. A line with
    a new step is inserted in the order of its step, or dropped if it is older than all lines that
    are kept. A line with a repeated step starts a new pass, as a Python loop that calls a program
    again does, and comes after the previous pass; but if it has other metrics or other lanes, it
    is joined to the line of that step.

    Adding an event is cheap, and the values are computed by `read` on the thread that draws: a
    program logs thousands of lines per second, of which a display shows few.

    Args:
      logged_before: returns True for a step that was logged before the first event that is added;
        None if there was none.
    """

    def __init__(self, logged_before: Callable[[int], bool] | None = None) -> None:
        self.last: Event | None = None
        self._logged_before = logged_before
        self._lines: list[_Line] = []
        self._pass = 0
        self._steps = Steps()
        self._categories: dict[str, str] = {}

    def add(self, event: Event) -> None:
        """Adds one line."""
        step = event.step
        if step in self._steps or (not self._pass and self._is_repeated(step)):
            for line in self._lines:
                if line.order == (self._pass, step):
                    whole = _joined(line.event, event)
                    if whole is not None:
                        line.event = whole
                        return
            self._pass += 1
            self._steps = Steps()
        self._steps.add(step)
        bisect.insort(self._lines, _Line((self._pass, step), event), key=lambda line: line.order)
        if len(self._lines) > LENGTH:
            del self._lines[0]

    def _is_repeated(self, step: int) -> bool:
        newest = self._steps.newest
        if newest is None or step > newest or self._logged_before is None:
            return False
        return self._logged_before(step)

    def read(self) -> dict[str, Row]:
        """The rows by name, ordered by category."""
        lines = self._lines[-LENGTH:]  # a copy, because another thread may add a line
        values = [line.read() for line in lines]
        for line in values:
            for name, value in line.items():
                self._categories.setdefault(name, value.category)
        self.last = lines[-1].event if lines else None
        rows = {}
        for name, category in self._categories.items():
            found = [line.get(name) for line in values]
            last = found[-1]
            rows[name] = Row(
                category,
                None if last is None else last.shown,
                {} if last is None else last.beside,
                [None if value is None else value.trend for value in found],
                next(filter(_is_finite, (t.shown for t in reversed(found[:-1]) if t)), None),
            )
        return dict(sorted(rows.items(), key=lambda item: rank(item[1].category)))


class Steps:
    """A set of steps, stored as ranges, so that a million of them need little memory.

    Attributes:
      newest: the largest step; None before the first.
    """

    def __init__(self) -> None:
        self.newest: int | None = None
        self._ranges: collections.deque[range] = collections.deque(maxlen=RANGES)

    def __contains__(self, step: int) -> bool:
        newest = self.newest
        if newest is None or step > newest:
            return False
        return any(step in steps for steps in self._ranges)

    def add(self, step: int) -> None:
        """Adds one step."""
        self.newest = step if self.newest is None else max(step, self.newest)
        last = self._ranges[-1] if self._ranges else range(0)
        if len(last) == 1 and step > last[0]:
            self._ranges[-1] = range(last[0], step + 1, step - last[0])
        elif len(last) > 1 and step == last[-1] + last.step:
            self._ranges[-1] = range(last[0], step + 1, last.step)
        else:
            self._ranges.append(range(step, step + 1))


def _joined(one: Event, other: Event) -> MetricsEvent | None:
    """Joins two parts of a line; None if both have a value for the same lane and key."""
    if not (isinstance(one, MetricsEvent) and isinstance(other, MetricsEvent)):
        return None
    lanes = {lane.index: lane for lane in one.lanes}
    for lane in other.lanes:
        own = lanes.get(lane.index)
        if own is not None:
            if own.values.keys() & lane.values.keys() or own.arrays.keys() & lane.arrays.keys():
                return None
            lane = replace(
                lane,
                values={**own.values, **lane.values},
                arrays={**own.arrays, **lane.arrays},
            )
        lanes[lane.index] = lane
    return replace(
        other,
        lanes=tuple(lanes[index] for index in sorted(lanes)),
        keys={**one.keys, **other.keys},
        num_lanes=max(one.num_lanes, other.num_lanes),
    )


def _is_finite(shown: Shown | str) -> TypeGuard[Shown]:
    return isinstance(shown, Shown) and math.isfinite(shown.middle)


def rank(category: str) -> int:
    """The place of a category in the order in which displays show them."""
    return CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)


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
    for name, shown in arrays_over_lanes(event).items():
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
