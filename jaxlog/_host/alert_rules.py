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


class RuleWatch:
    """Watches the lines of a run for one rule.

    An alert is due when the condition holds in any lane; the next one is not due before it holds in
    none.
    """

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self._keys: dict[tuple[str, str], _Watched | None] = {}  # None: it is not watched

    def see(self, event: Event, now: float) -> list[Met]:
        """Takes an event in; returns the conditions of which the user is to be told."""
        found: list[Met] = []
        call, columns, of_lanes, finite = _columns(event)
        if columns is None:
            return found
        may_end = finite and self.rule.kind == "not_finite"
        for key, column in columns.values.items():
            place = call, key
            if place not in self._keys:
                self._keys[place] = _Watched() if self.rule.watches(call, key) else None
            watched = self._keys[place]
            if watched is None or key in columns.edges or column.dtype.kind not in "biufV":
                continue
            if may_end and not watched.counts.any():
                watched.armed = True
                continue
            lanes, values = columns.lanes, column.astype(np.float64)
            if (present := columns.present.get(key)) is not None:
                lanes, values = lanes[present], values[present]
            if not len(lanes):
                continue
            if (largest := int(lanes.max())) >= len(watched.counts):
                more = max(largest + 1, 2 * len(watched.counts)) - len(watched.counts)
                watched.counts = np.append(watched.counts, np.zeros(more, np.int64))
            counts = watched.counts[lanes] + 1
            watched.counts[lanes] = np.where(self.rule.holds(values), counts, 0)
            where = watched.counts >= self.rule.lines
            if not where.any():
                watched.armed = True
                continue
            now_in = where[lanes]
            if not now_in.any() or not watched.armed:
                continue
            if now < watched.told + self.rule.again_after:
                continue
            watched.armed, watched.told = False, now
            first = np.flatnonzero(now_in)[:MOST_LANES].tolist()
            own = [AlertedLane(int(lanes[i]), {}, float(values[i])) for i in first]
            if columns.labels:
                rows = {int(number): i for i, number in enumerate(columns.lanes.tolist())}
                own = [lane._replace(labels=_labels(columns, rows[lane.number])) for lane in own]
            met = Met(f"{call}/{key}", event.step, own, int(now_in.sum()), of_lanes)
            found.append(met)
        return found


def _labels(columns: Columns, row: int) -> dict[str, Any]:
    found = {name: column[row] for name, column in columns.labels.items()}
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in found.items()
        if value is not None
    }


def _columns(event: Event) -> tuple[str, Columns | None, int, bool]:
    """The call, the values, the number of lanes of an event, and whether all values are finite."""
    match event:
        case MetricsEvent():
            of_lanes = max(event.num_lanes, event.num_logged)
            return event.name, event.columns, of_lanes, event.finite
        case EpisodeEvent(sampled=False):
            return event.name, _one_row(event.episode), 1, False
        case EvaluationEvent():
            return "evaluation", _one_row(event.values), 1, False
    return "", None, 0, True


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
