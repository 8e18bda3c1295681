"""The conditions of alerts that lines can meet, and the lanes in which they hold."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxlog._format.events import Columns, EpisodeEvent, EvaluationEvent, Event, MetricsEvent
from jaxlog._host.alert import MOST_LANES, AlertedLane


@dataclass(frozen=True)
class AlertRule:
    """A condition of which the user is told; its fields are those of the setting.

    Attributes:
      kind: `not_finite`, `below`, `above`, `stalled`, `failed` or `lost`.
      metric: a pattern of keys, or of a call and a key; empty for all.
      value: the limit.
      lines: the number of successive lines of a lane on which it has to hold.
      seconds: the time of `stalled`.
      again_after: the least seconds from one alert to the next.
      to: the kinds of targets; empty for all.
    """

    kind: str
    metric: str = ""
    value: float = math.nan
    lines: int = 1
    seconds: float = math.inf
    again_after: float = 60.0
    to: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The condition of a value, in words."""
        words = "is not finite" if self.kind == "not_finite" else f"is {self.kind} {self.value:g}"
        return words + (f" for {self.lines} lines" if self.lines > 1 else "")

    def watches(self, call: str, key: str) -> bool:
        """True if it is about a key of a call."""
        if not self.metric:
            return True
        name = f"{call}/{key}"
        return fnmatch.fnmatchcase(key, self.metric) or fnmatch.fnmatchcase(name, self.metric)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """`bool[n]`: whether the condition holds for each of `float64[n]` values."""
        if self.kind == "not_finite":
            return ~np.isfinite(values)
        return values < self.value if self.kind == "below" else values > self.value


class Met(NamedTuple):
    """A condition that is met by the lines of an event.

    Attributes:
      metric: the call and the key.
      step: the step of the event.
      lanes: the first lanes in which it holds.
      num_lanes: the number of lanes in which it holds.
      of_lanes: the number of lanes of the call.
    """

    metric: str
    step: int
    lanes: list[AlertedLane]
    num_lanes: int
    of_lanes: int


@dataclass
class _Watched:
    """A condition of one key.

    Attributes:
      counts: `int64[lanes]`, the successive lines of each lane on which it holds.
      armed: whether it has ended since the last alert.
      told: when the last alert was, by `time.monotonic`.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    armed: bool = True
    told: float = -math.inf

    def add(self, lanes: np.ndarray, holds: np.ndarray, lines: int) -> np.ndarray:
        """Counts a line of some lanes.

        Args:
          lanes: `int64[n]`, the numbers of the lanes.
          holds: `bool[n]`, whether the condition holds there.
          lines: the number of successive lines on which it has to hold.

        Returns:
          `bool[n]`: in which of these lanes it has held on so many lines.
        """
        if (largest := int(lanes.max())) >= len(self.counts):
            more = max(largest + 1, 2 * len(self.counts)) - len(self.counts)
            self.counts = np.append(self.counts, np.zeros(more, np.int64))
        self.counts[lanes] = np.where(holds, self.counts[lanes] + 1, 0)
        if not (self.counts >= lines).any():
            self.armed = True
        return self.counts[lanes] >= lines


class RuleWatch:
    """Watches the lines of a run for one rule.

    An alert is due when the condition holds in any lane; the next one is not due before it holds in
    none.
    """

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self._watched: dict[str, dict[str, _Watched]] = {}  # by call and key
        self._keys: dict[tuple[str, tuple[str, ...]], list[str]] = {}  # those that are watched

    def see(self, event: Event, now: float) -> list[Met]:
        """Takes an event in; returns the conditions of which the user is to be told."""
        if isinstance(event, MetricsEvent):
            if event.finite and self.rule.kind == "not_finite" and not self._counts(event.name):
                return []
            of_lanes = max(event.num_lanes, event.num_logged)
            return self._see(event.name, event.step, event.columns, of_lanes, now)
        if isinstance(event, EpisodeEvent) and not event.sampled:
            return self._see(event.name, event.step, _one_row(event.episode), 1, now)
        if isinstance(event, EvaluationEvent):
            return self._see("evaluation", event.step, _one_row(event.values), 1, now)
        return []

    def _counts(self, call: str) -> bool:
        """True if the condition holds, or begins to hold, for a key of a call."""
        return any(watched.counts.any() for watched in self._watched.get(call, {}).values())

    def _see(self, call: str, step: int, columns: Columns, of_lanes: int, now: float) -> list[Met]:
        place = call, tuple(columns.values)
        keys = self._keys.get(place)
        if keys is None:
            keys = [key for key in columns.values if self.rule.watches(call, key)]
            self._keys[place] = keys
        found: list[Met] = []
        known = self._watched.setdefault(call, {})
        for key in keys:
            column = columns.values[key]
            if key in columns.edges or column.dtype.kind not in "biufV":
                continue
            lanes, values = columns.lanes, column.astype(np.float64)
            if (present := columns.present.get(key)) is not None:
                lanes, values = lanes[present], values[present]
            if not len(lanes):
                continue
            watched = known.setdefault(key, _Watched())
            holding = watched.add(lanes, self.rule.holds(values), self.rule.lines)
            if not holding.any() or now < watched.told + self.rule.again_after:
                continue
            if not watched.armed:
                continue
            watched.armed, watched.told = False, now
            first = np.flatnonzero(holding)[:MOST_LANES].tolist()
            rows = np.arange(len(columns)) if present is None else np.flatnonzero(present)
            own = [
                AlertedLane(int(lanes[i]), _labels(columns, int(rows[i])), float(values[i]))
                for i in first
            ]
            found.append(Met(f"{call}/{key}", step, own, int(holding.sum()), of_lanes))
        return found


def _labels(columns: Columns, row: int) -> dict[str, Any]:
    found = {name: column[row] for name, column in columns.labels.items()}
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in found.items()
        if value is not None
    }


def _one_row(values: Mapping[str, Any]) -> Columns:
    numbers = {
        name: np.array([float(value)])
        for name, value in values.items()
        if isinstance(value, bool | int | float | np.number)
    }
    return Columns(np.zeros(1, np.int64), values=numbers)


def rule_watches(rules: Sequence[AlertRule]) -> list[RuleWatch]:
    """The watches of those rules that are about lines."""
    return [RuleWatch(rule) for rule in rules if rule.kind in ("not_finite", "below", "above")]
