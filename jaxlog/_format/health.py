"""The health of a run: diverged lanes, missing updates and lost records.

A lane is alive at a step if its value of a metric is finite there. A lane has *diverged* if the
last value that it logged of some metric is not finite. A run is *unfinished* if it ended before its
last update, and *records are lost* if a sink could not write all records that arrived.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxlog._format.events import MetricsEvent
from jaxlog._format.keys import Keys
from jaxlog._format.run_file import counts_updates_of_run, total_of_call, total_updates
from jaxlog._text import counted

MOST_METRICS = 3
"""The number of metrics that a health names."""


@dataclass
class _Key:
    """The non-finite values of one key of a call.

    Attributes:
      dead: by lane, the first step of the non-finite values with which its lines end.
      last: by lane, the last step with a non-finite value.
      steps: the first and the last step with a non-finite value of any lane.
      stem: the stem of the key.
    """

    steps: tuple[int, int]
    stem: str
    dead: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)


class Tally:
    """Counts the non-finite values of each call while a run is written or its files are read.

    An event with only finite values costs nothing, unless a lane was dead before.

    Args:
      found: the entry `health` of `run.json`, to continue from it.
      calls: the entry `calls` of `run.json`.

    Attributes:
      changed: True if a lane has died or recovered; the user of the tally sets it to False.
    """

    def __init__(self, found: Any = None, calls: Any = None) -> None:
        self.changed = False
        self._lanes: dict[str, int] = {}
        self._keys: dict[str, dict[str, _Key]] = {}
        self._dead: set[str] = set()  # the calls with a dead lane
        if isinstance(found, Mapping):
            self._load(found, calls if isinstance(calls, Mapping) else {})

    def add(self, event: MetricsEvent) -> None:
        """Counts one event. The events of a call may arrive in any order of their steps."""
        name = event.name
        if event.num_lanes > self._lanes.get(name, 0):
            self._lanes[name] = event.num_lanes
        if event.finite and name not in self._dead:
            return
        keys = self._keys.setdefault(name, {})
        if event.has_columns:
            self._add_columns(event, keys)
        else:
            self._add_rows(event, keys)
        if any(known.dead for known in keys.values()):
            self._dead.add(name)
        else:
            self._dead.discard(name)

    def _add_rows(self, event: MetricsEvent, keys: dict[str, _Key]) -> None:
        for lane in event.lanes:
            for key, value in lane.values.items():
                finite = _is_finite(value)
                if finite is None or (finite and key not in keys):
                    continue
                if finite:
                    self._alive(keys[key], lane.index, event.step)
                else:
                    self._not_finite(_known(keys, key, event), lane.index, event.step)

    def _add_columns(self, event: MetricsEvent, keys: dict[str, _Key]) -> None:
        columns = event.columns
        odd: dict[str, np.ndarray] = {}
        for key, column in columns.values.items():
            if key not in columns.edges and column.dtype.kind in "fV":
                values = column if column.dtype.kind == "f" else column.astype(np.float64)
                found = ~np.isfinite(values)
                if key in columns.present:
                    found &= columns.present[key]
                if found.any():
                    odd[key] = found
        # As the rows would find them: the keys of the first lane with such a value come first.
        for key in sorted(odd, key=lambda key: int(odd[key].argmax())):
            known = _known(keys, key, event)
            for lane in columns.lanes[odd[key]].tolist():
                self._not_finite(known, lane, event.step)
        for key, known in keys.items():
            if known.dead and key in columns.values and key not in columns.edges:
                finite = columns.present.get(key, np.ones(len(columns), np.bool_))
                finite = finite & ~odd[key] if key in odd else finite
                for lane in known.dead.keys() & set(columns.lanes[finite].tolist()):
                    self._alive(known, lane, event.step)

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
        """The entry `health` of `run.json`, by call.

        `lanes` is the number of lanes. `keys` has, by key, `dead`: by lane the first step of the
        non-finite values at its end; and `steps`: the first and the last step with a non-finite
        value of any lane.
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

    def _load(self, found: Mapping[str, Any], calls: Mapping[str, Any]) -> None:
        """Loads the entry `health` of `run.json`; skips calls whose entry is malformed."""
        for name, call in found.items():
            meaning = Keys(calls.get(name), of_episodes=True)
            try:
                self._lanes[name] = int(call["lanes"])
                for key, entry in call["keys"].items():
                    dead = {int(lane): int(step) for lane, step in entry["dead"].items()}
                    first, last = map(int, entry["steps"])
                    last_of = dict.fromkeys(dead, last)
                    known = _Key((first, last), meaning[key].stem, dead, last_of)
                    self._keys.setdefault(name, {})[key] = known
                    if dead:
                        self._dead.add(name)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # the file was edited

    def diverged(self) -> Diverged | None:
        """The lanes that have diverged, over all calls; None if there are none."""
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
        metrics = sorted(stems, key=lambda stem: stems[stem])  # the first to be non-finite first
        return Diverged(since, lanes, tuple(metrics))

    def cut(self, resumes: Mapping[str, int]) -> None:
        """Forgets the steps that will be logged again.

        Args:
          resumes: by call, the first such step; a call that is missing is logged again entirely.
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
      since: by lane, the first step of the non-finite values with which some metric ends.
      lanes: the number of lanes of the run.
      metrics: the stems of the metrics that are not finite.
    """

    since: Mapping[int, int]
    lanes: int
    metrics: tuple[str, ...]

    def __str__(self) -> str:
        """A short text.

        >>> str(Diverged({2: 130, 5: 140, 7: 131}, 8, ("episode_return",)))
        'diverged (3 of 8 lanes, from step 130)'
        """
        first = min(self.since.values())
        if self.lanes == 1:
            return f"diverged (from step {first})"
        return f"diverged ({len(self.since)} of {self.lanes} lanes, from step {first})"


@dataclass(frozen=True)
class Health:
    """The problems of a run; False if there are none.

    Attributes:
      diverged: the lanes that have diverged; None if there are none.
      unfinished: how many updates were done, if the run ended before its last update; else empty.
      lost: the number of records that its sinks lost.
    """

    diverged: Diverged | None = None
    unfinished: str = ""
    lost: int = 0

    def __bool__(self) -> bool:
        """True if there is a problem."""
        return bool(self.diverged or self.unfinished or self.lost)

    def __str__(self) -> str:
        """A short text; empty if there is no problem.

        >>> str(Health(Diverged({0: 7}, 1, ("loss",)), "60 of 100 updates", 12))
        'diverged (from step 7) · unfinished (60 of 100 updates) · records lost (12)'
        >>> str(Health())
        ''
        """
        words = [str(self.diverged)] if self.diverged else []
        words += [f"unfinished ({self.unfinished})"] if self.unfinished else []
        words += [f"records lost ({self.lost:,})"] if self.lost else []
        return " · ".join(words)

    @property
    def why(self) -> str:
        """The metrics that are not finite in diverged lanes; empty if no lane has diverged."""
        metrics = self.diverged.metrics if self.diverged else ()
        more = len(metrics) - MOST_METRICS
        return ", ".join(metrics[:MOST_METRICS]) + (f" and {more} more" if more > 0 else "")


GOING_ON = ("running", "unknown")
"""The statuses of a run that may still be running, and so is not unfinished."""


def health_of(
    facts: Mapping[str, Any], status: str, done: int | None = None, tally: Tally | None = None
) -> Health:
    """Computes the health of a run.

    Args:
      facts: the contents of `run.json`.
      status: the status of the run, as `_host.status.observe` returns it.
      done: the number of updates that its lines have; None if it is not known.
      tally: the counts of its lines, for a run whose `run.json` has no `health`.
    """
    if tally is None:
        tally = Tally(facts.get("health"), facts.get("calls"))
    return Health(tally.diverged(), _unfinished(facts, status, done), _lost(facts.get("sinks")))


def _unfinished(facts: Mapping[str, Any], status: str, done: int | None) -> str:
    if status in GOING_ON:
        return ""
    total = total_updates(facts)
    found = facts.get("steps")
    steps = found.items() if isinstance(found, Mapping) else ()
    reached = {call: step + 1 for call, step in steps if isinstance(step, int)}
    if done is None:
        of_run = [n for call, n in reached.items() if counts_updates_of_run(facts, call)]
        done = max(of_run, default=None)
    # A killed or failed run that logged its last update has finished its updates.
    known, missing = done is not None and total is not None, list[str]()
    if done is not None and total is not None and done < total:
        missing.append(f"{done:,} of {counted(total, 'update')}")
    for call, n in reached.items():
        own = total_of_call(facts, call)
        if own is not None and not counts_updates_of_run(facts, call):
            known = True
            missing += [f"{call}: {n:,} of {counted(own, 'update')}"] if n < own else []
    if known:
        return ", ".join(missing)
    if status in ("finished", "ended"):
        return ""
    return status if done is None else f"{status} after {counted(done, 'update')}"


def _lost(sinks: Any) -> int:
    accounts: Iterable[Any] = sinks if isinstance(sinks, list) else ()
    lost = [a.get("lost") for a in accounts if isinstance(a, Mapping)]
    return sum(n for n in lost if isinstance(n, int) and n > 0)


def _known(keys: dict[str, _Key], key: str, event: MetricsEvent) -> _Key:
    """The entry of a key, which begins with this event if the key has none."""
    if key not in keys:
        stem = event.keys[key].stem if key in event.keys else key
        keys[key] = _Key((event.step, event.step), stem)
    return keys[key]


def _is_finite(value: Any) -> bool | None:
    """True if a value is finite, False if not; None if it is not a number."""
    if isinstance(value, float | int | np.floating):
        return math.isfinite(value)
    if isinstance(value, np.generic) and value.dtype.kind == "V":  # the halves of ml_dtypes
        return math.isfinite(float(value))
    return True if isinstance(value, np.integer | np.bool_) else None
