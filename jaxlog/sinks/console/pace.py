"""The progress of a run: updates done, speed, and time left."""

from __future__ import annotations

import collections
from typing import NamedTuple

SPAN = 60.0
"""Seconds over which the speed is measured, short enough to show that a run slows down."""
SPACING = 1.0
"""Seconds between the marks that are kept, which bounds their number."""
QUIET = 10.0
"""Seconds without a record, at least, before the console says so."""


class _Mark(NamedTuple):
    timestamp: float
    done: int
    env_steps: int | None


class Pace:
    """Measures progress by the times at which records arrived, since they are written in batches.

    Args:
      total: the number of updates, if known.
      start: the updates that were done before this session, which do not count for the speed.
      began: the start of this session, in seconds since 1970.

    Attributes:
      total: the number of updates, if known.
      done: the number of updates that are done.
    """

    def __init__(self, total: int | None, start: int, began: float) -> None:
        self.total = total
        self.done = start
        self._began = began
        self._marks: collections.deque[_Mark] = collections.deque()
        self._last: _Mark | None = None
        self._heard = began
        self._longest_gap = 0.0

    @property
    def begun(self) -> bool:
        """True after the first record; before, the program is being compiled."""
        return bool(self._marks)

    def saw(self, step: int, env_step: int | None, timestamp: float) -> None:
        """Adds one record."""
        if self._marks:
            self._longest_gap = max(self._longest_gap, timestamp - self._heard)
        self._heard = max(self._heard, timestamp)
        if self._last is not None and step < self.done:
            return  # another call, whose steps are behind
        self.done = max(self.done, step + 1)
        self._last = _Mark(timestamp, self.done, env_step)
        if not self._marks or timestamp >= self._marks[-1].timestamp + SPACING:
            self._marks.append(self._last)
            while len(self._marks) > 2 and self._marks[1].timestamp < timestamp - SPAN:
                self._marks.popleft()

    def elapsed(self, now: float) -> float:
        """Seconds since this session began."""
        return max(0.0, now - self._began)

    def updates_per_second(self) -> float | None:
        """The speed over the last minute; None before the second record."""
        seconds, mark, last = self._measured()
        return (last.done - mark.done) / seconds if seconds and last.done > mark.done else None

    def env_steps_per_second(self) -> float | None:
        """The speed over the last minute; None before the second record, or without `env_step`."""
        seconds, mark, last = self._measured()
        if not seconds or mark.env_steps is None or last.env_steps is None:
            return None
        steps = last.env_steps - mark.env_steps
        return steps / seconds if steps > 0 else None

    def left(self, now: float) -> float | None:
        """Seconds until the end; None if it is not known."""
        speed = self.updates_per_second()
        if speed is None or self.total is None:
            return None
        return max(0.0, (self.total - self.done) / speed - max(0.0, now - self._heard))

    def quiet_for(self, now: float) -> float | None:
        """Seconds since the last record, if that is much longer than any gap before; else None."""
        seconds = now - self._heard
        usual = max(QUIET, 3 * self._longest_gap)
        return seconds if self._marks and seconds > usual else None

    def _measured(self) -> tuple[float, _Mark, _Mark]:
        nothing = _Mark(0.0, 0, None)
        first, last = self._marks[0] if self._marks else nothing, self._last or nothing
        return max(0.0, last.timestamp - first.timestamp), first, last
