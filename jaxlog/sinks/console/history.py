"""The last lines of each call, by step: what changed, and how it went."""

from __future__ import annotations

import bisect
import collections
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeGuard

from jaxlog._format.events import EpisodeEvent, EvaluationEvent, MetricsEvent
from jaxlog._format.names import CATEGORIES, KNOWN
from jaxlog.sinks.console.values import Shown, over_lanes, told

LENGTH = 20
"""How many lines a trend is of."""
RANGES = 1000
"""So many runs of steps are remembered; steps at random, of which none has a neighbour, need one
for each two of them."""
BESIDE = ("std", "min", "max")
"""The statistics that have a column of their own, beside the value."""

CATEGORY_OF_SUMMARY = {
    key: name.category
    for name in KNOWN.values()
    for key in (name.episode_key, f"{name.stem}_mean", f"{name.stem}_rate")
}
"""The categories of what an episode's summary, or an evaluation's, can have."""


class LineValue(NamedTuple):
    """What one line says under one name.

    Attributes:
      category: one of `names.CATEGORIES`.
      shown: the value, or a text.
      trend: the number that a trend is drawn of; None where there is none.
      beside: the statistics that have a column of their own.
    """

    category: str
    shown: Shown | str
    trend: float | None
    beside: Mapping[str, float] = {}


class Row(NamedTuple):
    """The last lines of one name.

    Attributes:
      category: one of `names.CATEGORIES`.
      shown: what the last line says; None where it has no value: no episode ended.
      beside: as in `LineValue`, of the last line.
      trend: the numbers of the last lines; None for a line without.
      before: what the last line but one with a finite number says; None where there is none.
    """

    category: str
    shown: Shown | str | None
    beside: Mapping[str, float]
    trend: Sequence[float | None]
    before: Shown | None = None

    @property
    def change(self) -> float | None:
        """The difference between the last number and the finite one before it.

        None where the two are not of as many lanes: a mean that rises because lanes died is no
        progress.
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
    """One line of the window.

    Attributes:
      place: the number of its pass, and its step.
      event: what was logged there.
      said: the event that was read last, and what it says: lines are read once.
    """

    place: tuple[int, int]
    event: Event
    said: tuple[Event, dict[str, LineValue]] | None = None

    def read(self) -> dict[str, LineValue]:
        event = self.event
        if self.said is None or self.said[0] is not event:
            said = _of_metrics(event) if isinstance(event, MetricsEvent) else _of_summary(event)
            self.said = event, said
        return self.said[1]


class History:
    """The last lines of one call, in the order of their steps.

    XLA may run a call late: an initial evaluation, say, when the training has ended. A step that
    has not come yet is such a late line, and stands at its place, or nowhere where that is before
    the lines that are kept. A step that has come already begins a new pass, as a loop of Python
    does that calls a program again, and stands behind the pass before it; unless it is the rest of
    its line: other metrics or other lanes.

    What is added costs little until `read`, on the thread that draws: a program logs thousands of
    lines a second, and nobody sees more than a few.

    Args:
      logged_before: whether a step was logged before the first event that is added; None where
        nothing was.
    """

    def __init__(self, logged_before: Callable[[int], bool] | None = None) -> None:
        self.last: Event | None = None
        self._logged_before = logged_before
        self._lines: list[_Line] = []
        self._pass = 0
        self._steps = Steps()
        self._categories: dict[str, str] = {}

    def add(self, event: Event) -> None:
        """Takes one line."""
        step = event.step
        if step in self._steps or (not self._pass and self._comes_again(step)):
            for line in self._lines:
                if line.place == (self._pass, step):
                    whole = _joined(line.event, event)
                    if whole is not None:
                        line.event = whole
                        return
            self._pass += 1
            self._steps = Steps()
        self._steps.add(step)
        bisect.insort(self._lines, _Line((self._pass, step), event), key=lambda line: line.place)
        if len(self._lines) > LENGTH:
            del self._lines[0]

    def _comes_again(self, step: int) -> bool:
        newest = self._steps.newest
        if newest is None or step > newest or self._logged_before is None:
            return False
        return self._logged_before(step)

    def read(self) -> dict[str, Row]:
        """What there is to show by name, by category."""
        lines = self._lines[-LENGTH:]  # a copy: another thread may add
        said = [line.read() for line in lines]
        for line in said:
            for name, what in line.items():
                self._categories.setdefault(name, what.category)
        self.last = lines[-1].event if lines else None
        rows = {}
        for name, category in self._categories.items():
            found = [line.get(name) for line in said]
            last = found[-1]
            rows[name] = Row(
                category,
                None if last is None else last.shown,
                {} if last is None else last.beside,
                [None if what is None else what.trend for what in found],
                next(filter(_is_finite, (t.shown for t in reversed(found[:-1]) if t)), None),
            )
        return dict(sorted(rows.items(), key=lambda item: _rank(item[1].category)))


class Steps:
    """Steps that have come, as runs of equal distance: a million of them take no room.

    Attributes:
      newest: the largest; None before the first.
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
        """Takes one step more."""
        self.newest = step if self.newest is None else max(step, self.newest)
        last = self._ranges[-1] if self._ranges else range(0)
        if len(last) == 1 and step > last[0]:
            self._ranges[-1] = range(last[0], step + 1, step - last[0])
        elif len(last) > 1 and step == last[-1] + last.step:
            self._ranges[-1] = range(last[0], step + 1, last.step)
        else:
            self._ranges.append(range(step, step + 1))


def _joined(one: Event, other: Event) -> MetricsEvent | None:
    """Two parts of one line as one; None where both have a value of one lane and key."""
    if not (isinstance(one, MetricsEvent) and isinstance(other, MetricsEvent)):
        return None
    lanes = {lane.index: lane for lane in one.lanes}
    for lane in other.lanes:
        own = lanes.get(lane.index)
        if own is not None:
            if own.values.keys() & lane.values.keys():
                return None
            lane = replace(lane, values={**own.values, **lane.values})
        lanes[lane.index] = lane
    return replace(
        other,
        lanes=tuple(lanes[index] for index in sorted(lanes)),
        keys={**one.keys, **other.keys},
        num_lanes=max(one.num_lanes, other.num_lanes),
    )


def _is_finite(shown: Shown | str) -> TypeGuard[Shown]:
    return isinstance(shown, Shown) and math.isfinite(shown.middle)


def _rank(category: str) -> int:
    return CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)


def _of_metrics(event: MetricsEvent) -> dict[str, LineValue]:
    values = over_lanes(event)
    beside: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        if event.keys[key].statistic in BESIDE:
            beside.setdefault(event.keys[key].stem, {})[event.keys[key].statistic] = value.middle
    found = {}
    for key, value in values.items():
        info = event.keys[key]
        if info.statistic == "mean":
            found[info.stem] = LineValue(
                info.category, value, value.middle, beside.pop(info.stem, {})
            )
        elif info.statistic not in BESIDE:
            found[key] = LineValue(info.category, value, value.middle)
    for key, value in values.items():  # a statistic whose metric has no mean to stand beside
        info = event.keys[key]
        if info.statistic in beside.get(info.stem, {}):
            found[key] = LineValue(info.category, value, value.middle)
    return found


def _of_summary(event: EpisodeEvent | EvaluationEvent) -> dict[str, LineValue]:
    values: Mapping[str, Any] = event.episode if isinstance(event, EpisodeEvent) else event.values
    found = {}
    for name, value in told(values).items():
        category = CATEGORY_OF_SUMMARY.get(name, "other")
        if isinstance(value, str):
            trend = {"yes": 1.0, "no": 0.0}.get(value)
            found[name] = LineValue(category, value, trend)
        else:
            found[name] = LineValue(category, Shown(value), value)
    return found
