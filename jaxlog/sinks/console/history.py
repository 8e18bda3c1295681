"""The lines of each call in the order of their steps, as rows with changes and trends."""

from __future__ import annotations

import bisect
import collections
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeGuard

from jaxlog._format.events import MetricsEvent
from jaxlog.sinks.console.line_values import Event, LineValue, rank, values_of
from jaxlog.sinks.console.trend import Thinned
from jaxlog.sinks.console.values import Shown

LENGTH = 20
"""The number of last lines to which a late line or another part of a line can be added."""
MOST_LINES = 256
"""The maximum number of lines of a trend, evenly spaced over the run; in a long run there are half
as many at least."""
LATELY = 0.1
"""The part of the run over which the change is measured."""
RANGES = 1000
"""The largest number of ranges of steps that are kept; random steps need one for every two."""


class Row(NamedTuple):
    """The lines of one name.

    Attributes:
      category: one of `names.CATEGORIES`.
      shown: the value of the last line; None if it has none, because no episode ended.
      beside: the statistics of the last line that have their own column.
      trend: the numbers of evenly spaced lines of the whole run and of the last line; None for a
        line without a number.
      before: the last finite value before the last tenth of the run; None if there is none.
    """

    category: str
    shown: Shown | str | None
    beside: Mapping[str, float]
    trend: Sequence[float | None]
    before: Shown | None = None

    @property
    def change(self) -> float | None:
        """The difference between the last value and the one before the last tenth of the run.

        None if the number of lanes that are alive differs, because a mean that rises when lanes die
        is not progress.
        """
        if not isinstance(self.shown, Shown) or self.before is None:
            return None
        if self.shown.alive != self.before.alive:
            return None
        change = self.shown.middle - self.before.middle
        return change if math.isfinite(change) else None


@dataclass(eq=False)
class _Line:
    """One line.

    Attributes:
      order: the number of its pass, and its step.
      position: the position in the trend.
      event: the event of the line; None when no other part of the line is expected.
      cached: the event whose values were read last, and these values.
    """

    order: tuple[int, int]
    position: int
    event: Event | None
    cached: tuple[Event | None, dict[str, LineValue]] | None = None

    def read(self) -> dict[str, LineValue]:
        event, cached = self.event, self.cached
        if event is None or (cached is not None and cached[0] is event):
            assert cached is not None
            return cached[1]
        values = values_of(event)
        self.cached = event, values
        return values

    def keep_values(self) -> None:
        """Keeps the values only: an event with many lanes is large."""
        self.cached = None, self.read()
        self.event = None


class History:
    """The lines of one call, in the order of their steps.

    XLA may run a call late, such as an initial evaluation after the training has ended. A line with
    a new step is inserted in the order of its step. A line with a repeated step starts a new pass,
    as a Python loop that calls a program again does, and comes after the previous pass; but if it
    has other metrics or other lanes, it is joined to the line of that step, if that is among the
    last ones.

    The last lines and evenly spaced lines of the whole run are kept. Adding an event is cheap, and
    most values are computed by `read` on the thread that draws: a program logs thousands of lines
    per second, of which a display shows few.

    Args:
      logged_before: returns True for a step that was logged before the first event that is added;
        None if there was none.
      earlier: evenly spaced events of the whole run, in the order they were logged, if only its
        last events are added. They are the trend then.
    """

    def __init__(
        self,
        logged_before: Callable[[int], bool] | None = None,
        earlier: Iterable[Event] = (),
    ) -> None:
        self.last: Event | None = None
        self._logged_before = logged_before
        self._lines: list[_Line] = []
        self._pass = 0
        self._steps = Steps()
        self._trend = Thinned[_Line](MOST_LINES)
        self._positions = _Positions()
        self._earlier = [_Line((0, event.step), 0, event) for event in earlier]
        self._categories: dict[str, str] = {}

    def add(self, event: Event) -> None:
        """Adds one line."""
        step = event.step
        if step in self._steps or (not self._pass and self._is_repeated(step)):
            for line in self._lines:
                if line.order == (self._pass, step) and line.event is not None:
                    whole = _joined(line.event, event)
                    if whole is not None:
                        line.event = whole
                        return
            self._pass += 1
            self._steps = Steps()
            self._positions.begin_pass(step)
        self._steps.add(step)
        line = _Line((self._pass, step), self._positions.of(step), event)
        bisect.insort(self._lines, line, key=lambda line: line.order)
        if not self._earlier:
            self._trend.add(line.position, line)
        if len(self._lines) > LENGTH:
            oldest = self._lines.pop(0)
            if self._trend.has(oldest.position, oldest):
                oldest.keep_values()

    def _is_repeated(self, step: int) -> bool:
        newest = self._steps.newest
        if newest is None or step > newest or self._logged_before is None:
            return False
        return self._logged_before(step)

    def read(self) -> dict[str, Row]:
        """The rows by name, ordered by category."""
        last = self._lines[-1] if self._lines else None
        lines = self._earlier or self._trend.items()
        if last is not None and not (lines and _are_one(lines[-1], last)):
            lines = [*lines, last]
        values = [line.read() for line in lines]
        for line in values:
            for name, value in line.items():
                self._categories.setdefault(name, value.category)
        self.last = None if last is None else last.event
        rows = {}
        for name, category in self._categories.items():
            found = [line.get(name) for line in values]
            newest = found[-1]
            before = found[: 1 + math.floor((1 - LATELY) * (len(found) - 1))]
            rows[name] = Row(
                category,
                None if newest is None else newest.shown,
                {} if newest is None else newest.beside,
                [None if value is None else value.trend for value in found],
                None
                if len(found) == 1
                else next(filter(_is_finite, (t.shown for t in reversed(before) if t)), None),
            )
        return dict(sorted(rows.items(), key=lambda item: rank(item[1].category)))


def _are_one(one: _Line, other: _Line) -> bool:
    """True if two lines are the same, or were read of the same place of a file."""
    if one is other or one.event is None or other.event is None:
        return one is other
    return one.event.timestamp == other.event.timestamp and one.event.step == other.event.step


class _Positions:
    """The positions of lines in the trend: their steps, with one pass after the other."""

    def __init__(self) -> None:
        self._first: int | None = None  # the lowest step of this pass and of those before
        self._highest = 0
        self._base = 0

    def of(self, step: int) -> int:
        """The position of a line of this pass."""
        position = self._base + step
        self._first = step if self._first is None else min(self._first, step)
        self._highest = max(self._highest, position)
        return position

    def begin_pass(self, step: int) -> None:
        """Begins a pass, whose first line has a step."""
        first = step if self._first is None else min(self._first, step)
        self._base = self._highest + 1 - first


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
            parts = ("values", "arrays", "media")
            if any(getattr(own, part).keys() & getattr(lane, part).keys() for part in parts):
                return None
            lane = replace(
                lane,
                values={**own.values, **lane.values},
                arrays={**own.arrays, **lane.arrays},
                media={**own.media, **lane.media},
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
