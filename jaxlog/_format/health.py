"""A run's health: whether what it logged is sound, beside the status, which says how it ended.

A lane is alive at an update if its value of a metric is finite there. A lane has *diverged* if the
last value that it logged of some metric is not finite. A run is *unfinished* if it ended before its
last update, and *records are lost* if a sink could not write all that arrived.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxlog._format.events import MetricsEvent
from jaxlog._format.keys import Keys
from jaxlog._format.run_file import total_updates

MOST_METRICS = 3
"""So many metrics a health names."""


@dataclass
class _Key:
    """One key of a call.

    Attributes:
      dead: by lane, the step from which on it has not been finite.
      last: by lane, the last step at which it was not finite.
      steps: the first and the last step at which a lane was not finite.
      stem: what keys of its metric begin with.
    """

    steps: tuple[int, int]
    stem: str
    dead: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)


class Tally:
    """Counts what was not finite, call by call, while a run is written or its files are read.

    An event of which all values are finite costs nothing, unless a lane was dead before.

    Args:
      found: what `run.json` has under `health`, to go on from there.
      calls: what it has under `calls`.

    Attributes:
      changed: whether a lane has died or recovered since it was last set to False.
    """

    def __init__(self, found: Any = None, calls: Any = None) -> None:
        self.changed = False
        self._lanes: dict[str, int] = {}
        self._keys: dict[str, dict[str, _Key]] = {}
        self._dead: set[str] = set()  # calls with a lane that is dead
        if isinstance(found, Mapping):
            self._take_up(found, calls if isinstance(calls, Mapping) else {})

    def add(self, event: MetricsEvent) -> None:
        """Counts one event. The events of a call may come in any order of their steps."""
        name = event.name
        if event.num_lanes > self._lanes.get(name, 0):
            self._lanes[name] = event.num_lanes
        if event.finite and name not in self._dead:
            return
        keys = self._keys.setdefault(name, {})
        for lane in event.lanes:
            for key, value in lane.values.items():
                finite = _is_finite(value)
                if finite is None or (finite and key not in keys):
                    continue
                if finite:
                    self._alive(keys[key], lane.index, event.step)
                else:
                    stem = event.keys[key].stem if key in event.keys else key
                    known = keys.setdefault(key, _Key((event.step, event.step), stem))
                    self._not_finite(known, lane.index, event.step)
        if any(known.dead for known in keys.values()):
            self._dead.add(name)
        else:
            self._dead.discard(name)

    def _not_finite(self, known: _Key, lane: int, step: int) -> None:
        if lane not in known.dead:
            self.changed = True
        known.dead[lane] = min(step, known.dead.get(lane, step))
        known.last[lane] = max(step, known.last.get(lane, step))
        known.steps = min(step, known.steps[0]), max(step, known.steps[1])

    def _alive(self, known: _Key, lane: int, step: int) -> None:
        if lane in known.dead and step >= known.last[lane]:
            del known.dead[lane]
            self.changed = True

    def to_json(self) -> dict[str, Any]:
        """By call, as `run.json` has it under `health`.

        `lanes`, how many lanes it has; `keys`, by key: `dead`, by lane the step from which on it is
        not finite; `steps`, the first and the last at which a lane was not.
        """
        return {
            name: {
                "lanes": lanes,
                "keys": {
                    key: {
                        "dead": {str(lane): step for lane, step in sorted(known.dead.items())},
                        "steps": list(known.steps),
                    }
                    for key, known in self._keys.get(name, {}).items()
                },
            }
            for name, lanes in self._lanes.items()
        }

    def _take_up(self, found: Mapping[str, Any], calls: Mapping[str, Any]) -> None:
        """Takes up what a run that goes on, or that was read, says of itself."""
        for name, call in found.items():
            meaning = Keys(calls.get(name), of_episodes=True)
            try:
                self._lanes[name] = int(call["lanes"])
                for key, told in call["keys"].items():
                    dead = {int(lane): int(step) for lane, step in told["dead"].items()}
                    first, last = map(int, told["steps"])
                    last_of = dict.fromkeys(dead, last)
                    known = _Key((first, last), meaning[key].stem, dead, last_of)
                    self._keys.setdefault(name, {})[key] = known
                    if dead:
                        self._dead.add(name)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # what somebody else wrote there

    def diverged(self) -> Diverged | None:
        """The lanes that have diverged, over all calls; None where none has."""
        since: dict[int, int] = {}
        stems: dict[str, int] = {}
        for keys in self._keys.values():
            for known in keys.values():
                for lane, step in known.dead.items():
                    since[lane] = min(step, since.get(lane, step))
                    stems[known.stem] = min(step, stems.get(known.stem, step))
        if not since:
            return None
        lanes = max(*self._lanes.values(), max(since) + 1, 1)
        metrics = sorted(stems, key=lambda stem: stems[stem])  # what went wrong first, first
        return Diverged(since, lanes, tuple(metrics))

    def cut(self, resumes: Mapping[str, int]) -> None:
        """Forgets what was at a step that will be logged again.

        Args:
          resumes: the first of these, by call; of a call that is not in it, all is logged again.
        """
        for name, keys in self._keys.items():
            end = resumes.get(name, 0)
            for key, known in list(keys.items()):
                first, last = known.steps
                if first >= end:
                    del keys[key]
                    continue
                known.steps = first, min(last, end - 1)
                known.dead = {lane: step for lane, step in known.dead.items() if step < end}
                known.last = {lane: min(known.last[lane], end - 1) for lane in known.dead}
        self._dead = {
            name for name, keys in self._keys.items() if any(k.dead for k in keys.values())
        }


@dataclass(frozen=True)
class Diverged:
    """The lanes of a run that have diverged.

    Attributes:
      since: by lane, the update from which on some metric of it is not finite.
      lanes: how many lanes the run has.
      metrics: the metrics that are not finite, as their keys begin.
    """

    since: Mapping[int, int]
    lanes: int
    metrics: tuple[str, ...]

    def __str__(self) -> str:
        """In words.

        >>> str(Diverged({2: 130, 5: 140, 7: 131}, 8, ("episode_return",)))
        'diverged (3 of 8 lanes, from update 130)'
        """
        first = min(self.since.values())
        if self.lanes == 1:
            return f"diverged (from update {first})"
        return f"diverged ({len(self.since)} of {self.lanes} lanes, from update {first})"


@dataclass(frozen=True)
class Health:
    """What is wrong with what a run logged; nothing, if it is sound.

    Attributes:
      diverged: the lanes that have diverged, if any has.
      unfinished: how far the run came, if it ended before its last update; else empty.
      lost: how many records its sinks lost.
    """

    diverged: Diverged | None = None
    unfinished: str = ""
    lost: int = 0

    def __bool__(self) -> bool:
        """Whether something is wrong."""
        return bool(self.diverged or self.unfinished or self.lost)

    def __str__(self) -> str:
        """In words; empty where all is well.

        >>> str(Health(Diverged({0: 7}, 1, ("loss",)), "60 of 100 updates", 12))
        'diverged (from update 7) · unfinished (60 of 100 updates) · records lost (12)'
        >>> str(Health())
        ''
        """
        words = [str(self.diverged)] if self.diverged else []
        words += [f"unfinished ({self.unfinished})"] if self.unfinished else []
        words += [f"records lost ({self.lost:,})"] if self.lost else []
        return " · ".join(words)

    @property
    def why(self) -> str:
        """The metrics that are not finite in lanes that have diverged; empty where none has."""
        metrics = self.diverged.metrics if self.diverged else ()
        more = len(metrics) - MOST_METRICS
        return ", ".join(metrics[:MOST_METRICS]) + (f" and {more} more" if more > 0 else "")


GOING_ON = ("running", "unknown")
"""The statuses of a run that may still go on: it is not unfinished."""


def health_of(
    facts: Mapping[str, Any], status: str, done: int | None = None, tally: Tally | None = None
) -> Health:
    """The health of a run.

    Args:
      facts: what `run.json` says.
      status: how the run ended, as `_host.status.observe` says.
      done: how many updates its lines have; None where that is not known.
      tally: what was counted in its lines, for runs whose `run.json` has no `health`.
    """
    if tally is None:
        tally = Tally(facts.get("health"), facts.get("calls"))
    return Health(tally.diverged(), _unfinished(facts, status, done), _lost(facts.get("sinks")))


def _unfinished(facts: Mapping[str, Any], status: str, done: int | None) -> str:
    if status in GOING_ON:
        return ""
    total = total_updates(facts)
    if done is None:
        steps = facts.get("steps")
        reached = (
            [step for step in steps.values() if isinstance(step, int)]
            if (isinstance(steps, Mapping))
            else []
        )
        done = max(reached) + 1 if reached else None
    if done is not None and total is not None:
        # A killed or failed run whose last update is there has finished its updates.
        return f"{done:,} of {total:,} updates" if done < total else ""
    if status in ("finished", "ended"):
        return ""
    return status if done is None else f"{status} after {done:,} updates"


def _lost(sinks: Any) -> int:
    accounts: Iterable[Any] = sinks if isinstance(sinks, list) else ()
    lost = [a.get("lost") for a in accounts if isinstance(a, Mapping)]
    return sum(n for n in lost if isinstance(n, int) and n > 0)


def _is_finite(value: Any) -> bool | None:
    """Whether a value is finite; None of what is no number."""
    if isinstance(value, float | int | np.floating):
        return math.isfinite(value)
    if isinstance(value, np.generic) and value.dtype.kind == "V":  # the halves of ml_dtypes
        return math.isfinite(float(value))
    return True if isinstance(value, np.integer | np.bool_) else None
