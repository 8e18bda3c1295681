"""The time of a line: how long its run has been open, and how fast its call has logged.

The host computes it when a record arrives, and readers compute it again from the timestamps of the
lines, with the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

MOST_LANES = 4096
"""The largest number of pairs of a call and a lane whose last line is remembered."""


@dataclass(frozen=True)
class Timing:
    """The time of the lines of one call at one step.

    Attributes:
      seconds: the seconds for which the run had been open when they arrived, with those of earlier
        sessions.
      updates_per_second: the updates since the previous line of this call, divided by the seconds
        since it arrived; pauses of the program count. It is the same for all lanes. None for the
        first line of the call in a session, and where steps do not increase.
      env_steps_per_second: the environment steps of one lane, likewise; None if they are not known.
      device_memory: the bytes in use on the device of this process that uses most; None if JAX does
        not report them, as on a CPU.
    """

    seconds: float
    updates_per_second: float | None = None
    env_steps_per_second: float | None = None
    device_memory: int | None = None

    @property
    def known(self) -> dict[str, float]:
        """The values that are known, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


class _Line(NamedTuple):
    step: int
    env_step: int | None
    timestamp: float


class Stopwatch:
    """Times the lines of one session of a run, in the order they arrive.

    Args:
      opened: when the session began, in seconds since 1970.
      before: the seconds of earlier sessions.
      device_memory: returns the bytes in use; None if they are not known.
    """

    def __init__(
        self,
        opened: float,
        before: float = 0.0,
        device_memory: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._opened = opened
        self._before = before
        self._device_memory = device_memory
        self._last: dict[tuple[str, int], _Line] = {}

    def time(
        self, call: str, lane: int, step: int, env_step: int | None, timestamp: float
    ) -> Timing:
        """The timing of the lines of one call at one step.

        Args:
          call: the name of the call.
          lane: the number of the first lane that logs.
          step: the index of the update.
          env_step: the environment steps taken by then; None if they are not known.
          timestamp: when the lines arrived, in seconds since 1970.
        """
        seconds = max(0.0, self._before + timestamp - self._opened)
        line, last = _Line(step, env_step, timestamp), self._last.get((call, lane))
        if last is None:
            if len(self._last) < MOST_LANES:
                self._last[call, lane] = line
            return Timing(seconds, device_memory=self._device_memory())
        updates, took = step - last.step, timestamp - last.timestamp
        if updates and took > 0:  # a smaller step begins a new pass
            self._last[call, lane] = line
        if updates <= 0 or took <= 0:  # XLA may log the steps of an unrolled scan in reverse
            return Timing(seconds, device_memory=self._device_memory())
        env_steps = None
        if env_step is not None and last.env_step is not None:
            env_steps = (env_step - last.env_step) / took
        return Timing(seconds, updates / took, env_steps, self._device_memory())


def sessions(facts: Mapping[str, Any]) -> list[tuple[float, float]]:
    """When each session began, in seconds since 1970, and the seconds of the sessions before it."""
    earlier = facts.get("sessions")
    found: list[tuple[float, float]] = []
    for one in [*(earlier if isinstance(earlier, list) else []), facts]:
        if not isinstance(one, Mapping):
            continue
        opened, before = one.get("opened"), one.get("seconds_before", 0.0)
        if not isinstance(opened, int | float):  # the run of an older version
            try:
                opened = datetime.fromisoformat(str(one.get("started"))).timestamp()
            except ValueError:
                continue
        found.append((float(opened), float(before) if isinstance(before, int | float) else 0.0))
    return sorted(found)
