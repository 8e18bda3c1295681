"""The row of one run in a table of runs: its state, its progress and its values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from jaxlog._format.events import EpisodeEvent, EvaluationEvent, Event, Key, MetricsEvent
from jaxlog._format.health import Health, Tally
from jaxlog._format.lines import call_of
from jaxlog._format.names import CATEGORIES, EPISODE_COUNT, UPDATE_COUNT
from jaxlog._format.run_file import counts_updates_of_run
from jaxlog._format.segment import segment_of
from jaxlog._host.annotations import ANNOTATIONS_FILE
from jaxlog._host.directory import RUN_FILE
from jaxlog._reading.columnar_lines import is_over_lanes
from jaxlog._reading.finding import event_files
from jaxlog._reading.run_filter import RUN, full_name
from jaxlog._watching.call_reader import CallReader
from jaxlog._watching.observed_run import ObservedRun, observed
from jaxlog._watching.shared_facts import described_keys, json_of, run_id, share
from jaxlog._watching.trend_points import TrendPoint, summary_of
from jaxlog.sinks import summaries
from jaxlog.sinks.console.line_values import CATEGORY_OF_SUMMARY
from jaxlog.sinks.console.pace import Pace
from jaxlog.sinks.console.values import Shown, over_lanes, summary_values

_SHOWN = ("mean", "rate", "")
"""The statistics that a run's main metric can have."""
_COUNTS = (EPISODE_COUNT, UPDATE_COUNT)
NO_TREND = float("-inf")
"""The time for a look that does not read the trend."""
_numbers = itertools.count(1)
_State = tuple[int, int, int] | None
"""By which a changed file is recognized; None if it is missing."""


class RunRow:
    """One run; each look reads only what is new.

    Args:
      path: the directory of the run.
      name: its name in the table, which tells it from the others.

    Attributes:
      path: the directory of the run.
      name: its name.
      id: as `run_id` makes it.
      run: its state at the last look.
      started: when it was started, or last resumed, in seconds since 1970; 0 if it is not known.
      read: False if its trend has not been read to the end.
      stamp: the number of looks that found something new, or read more of the trend.
      logged: a number that no row had before, whenever the run or its files have changed.
      call: the call that logged its main metric; empty if it has none.
      metric: the key of its main metric; empty if it has none.
      points: the trend of the main metric, over the whole run.
      config: its config, by dotted names.
      config_texts: the same as JSON.
      health: its health.
      done: the number of updates done; None if there are none.
      last: when its last record was logged, in seconds since 1970; None if it has none.
      value: its last value of the main metric, over the lanes that are alive; None if it has none.
      lanes: how many lanes are alive, and how many have a value of the main metric; None if none.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name, self.id = path, name, run_id(name)
        self.started = 0.0
        self.run = ObservedRun(path, {}, "")  # not looked at yet
        self.read = False
        self.stamp = 0
        self.logged = 0
        self.call = ""
        self.metric = ""
        self.points: Sequence[TrendPoint] = ()
        self.config: Mapping[str, Any] = {}
        self.config_texts: Mapping[str, str] = {}
        self.health = Health()
        self.done: int | None = None
        self.last: float | None = None
        self.value: float | None = None
        self.lanes: tuple[int, int] | None = None
        self._shown: dict[str, dict[str, Shown]] = {}
        # The keys that can be the main metric, each with the rank of its category: also those
        # without a value in the last events, so that the main metric does not change to and fro.
        self._candidates: dict[tuple[str, str], int] = {}
        self._state: _State = None  # of run.json
        self._annotated: _State = None  # of the file with annotations
        self._readers: dict[str, CallReader] = {}
        self._pace: Pace | None = None

    def look(self, until: float) -> None:
        """Reads what is new.

        Args:
          until: the time at which it stops reading the trend, by `time.monotonic`; the next look
            continues.
        """
        state, annotated = _state(self.path / RUN_FILE), _state(self.path / ANNOTATIONS_FILE)
        same = state is not None and state == self._state
        is_annotated = annotated != self._annotated
        if same and self.read and not is_annotated and not self.run.may_log_more:
            return
        before = self.run
        if not same or is_annotated or before.may_log_more:
            self.run = observed(self.path)
            share(self.run.facts)
        self._state, self._annotated = state, annotated
        if self.run != before:
            self.started = self.run.started or 0.0
            self.stamp += 1
            self.logged = next(_numbers)
            self.__dict__.pop("values", None)
        try:
            # A run that is killed has another status, and the same run.json.
            self._read(until, changed=not same or self.run.status != before.status)
        except (OSError, ModuleNotFoundError):  # removed, or cannot be read
            self.read = True

    def _read(self, until: float, *, changed: bool) -> None:
        calls, files = self.run.facts.get("calls"), _files(self.path)
        self._readers = {name: self._readers.get(name, CallReader()) for name in files}
        ended = not self.run.may_log_more
        new = [self._readers[name].look(files[name], calls, ended=ended) for name in files]
        if any(new) or changed:
            self.logged = next(_numbers)
            self._summarize()
        if any(new) or changed or not self.read:
            self.stamp += 1
            points = self._trend(until)
            self.read = points is not None
            self.points = self.points if points is None else points
            self._pace = None
            self.__dict__.pop("values", None)
            self.__dict__.pop("keys", None)
            self.__dict__.pop("label_texts", None)

    def _summarize(self) -> None:
        """Computes what depends on the last events."""
        facts = self.run.facts
        config = facts.get("config")
        self.config = summaries.flat(config) if isinstance(config, Mapping) else {}
        self.config_texts = {name: json_of(value) for name, value in self.config.items()}
        events = {name: r.event for name, r in self._readers.items() if r.event is not None}
        tally = Tally(facts.get("health"), facts.get("calls"))
        for event in events.values():
            if isinstance(event, MetricsEvent):
                tally.add(event)
        steps = [e.step for name, e in events.items() if counts_updates_of_run(facts, name)]
        self.done = max(steps) + 1 if steps else None
        self.last = max((event.timestamp for event in events.values()), default=None)
        self.health = self.run.health(self.done, tally)
        self._shown = {name: _shown(event) for name, event in events.items()}
        for name, event in events.items():
            for key in self._shown[name]:
                category = _category(event, key)
                if category is not None:
                    self._candidates.setdefault((name, key), CATEGORIES.index(category))
        known = [one for one in self._candidates if one[0] in events]
        self.call, self.metric = min(known, key=self._candidates.__getitem__, default=("", ""))
        last = self._shown.get(self.call, {}).get(self.metric)
        self.value = None if last is None else last.middle
        self.lanes = None if last is None else (last.alive, last.logged)

    def _trend(self, until: float) -> list[TrendPoint] | None:
        if not self.metric:
            return []
        if until == NO_TREND:
            return None
        calls = self.run.facts.get("calls")
        return self._readers[self.call].points(self.metric, calls, until)

    @property
    def pace(self) -> Pace:
        """The progress of this session."""
        if self._pace is None:
            began = self.run.started or (self.points[0].timestamp if self.points else 0.0)
            self._pace = Pace(self.run.total_updates, 0, began)
            for point in self.points:
                if point.timestamp >= began:
                    self._pace.saw(point.step, point.env_step, point.timestamp)
        return self._pace

    def age(self, now: float) -> float | None:
        """Seconds since the run was started, or last resumed; None if it is not known."""
        return None if self.run.started is None else max(0.0, now - self.run.started)

    def left(self, now: float) -> float | None:
        """Seconds until the end of a running run; None if it is not known."""
        return self.pace.left(now) if self.run.status == "running" else None

    def speed(self) -> float | None:
        """Updates per second, at the end of what it logged; None if it is not known."""
        return self.pace.updates_per_second()

    def is_stalled(self, now: float) -> bool:
        """True if the run is live and its last record is much older than usual."""
        return self.run.status == "running" and self.pace.quiet_for(now) is not None

    def progress(self) -> float | None:
        """The percentage of the updates that are done; None if the total is not known."""
        total = self.run.total_updates
        return 100.0 * (self.done or 0) / total if total else None

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values that filters and orders can name, without those that change with the time."""
        run = self.run
        own: dict[str, Any] = {
            RUN: named(self.name, run),
            "status": run.status,
            "health": str(self.health) or "well",
            "age": None,
            "left": None,
            "stalled": None,
            "speed": self.speed(),
            "progress": self.progress(),
            "done": self.done,
            "total": run.total_updates,
            "alive": None if self.lanes is None else self.lanes[0],
            "lanes": None if self.lanes is None else self.lanes[1],
            "lost": self.health.lost,
            "tags": run.tags,
            "note": run.note or None,
        }
        short: dict[str, float] = {}
        for call, shown in self._shown.items():
            for key, value in shown.items():
                stem = stem_of(key)
                if (call, key) in self._candidates and stem:
                    short.setdefault(stem, value.middle)
        return short | dict(self.metrics) | dict(self.config) | own

    @property
    def events(self) -> list[Event]:
        """The last event of each call."""
        return [r.event for r in self._readers.values() if r.event is not None]

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last value of each metric, over the lanes that are alive."""
        found: dict[str, float] = {}
        for shown in self._shown.values():
            for key, value in shown.items():
                found.setdefault(key, value.middle)
        return found

    @cached_property
    def keys(self) -> dict[tuple[str, str], Key]:
        """The meaning of each key, by its call and its name on a line.

        Of values that are not finite, only the counts that the last event has: run.json describes
        them, and most runs have none.
        """
        found = dict(described_keys(orjson.dumps(self.run.facts.get("calls"))))
        for call, reader in self._readers.items():
            if isinstance(reader.event, MetricsEvent):
                own = reader.event.columns.values
                found |= {(call, n): key for n, key in reader.event.keys.items() if n in own}
        return found

    @cached_property
    def label_texts(self) -> Mapping[str, Set[str]]:
        """The different values of each label in the last event of the main metric, as JSON."""
        reader = self._readers.get(self.call)
        event = None if reader is None else reader.event
        if not isinstance(event, MetricsEvent):
            return {}
        return {name: _texts(column) for name, column in event.columns.labels.items()}

    def shown(self, call: str, key: str) -> Shown | None:
        """The last value of a key over its lanes; None if it has none."""
        return self._shown.get(call, {}).get(key)

    def value_of(self, name: str, now: float) -> Any:
        """The value that a name in a filter stands for; None if there is none."""
        found = full_name(name, self.values)
        match found:
            case None:
                return None
            case "age":
                return self.age(now)
            case "left":
                return self.left(now)
            case "stalled":
                return self.is_stalled(now)
            case _:
                return self.values[found]


def named(name: str, run: ObservedRun) -> str | tuple[str, str]:
    """The value that a word alone is compared with: its name in a table, and its given name."""
    return (name, run.given_name) if run.given_name else name


def _texts(column: np.ndarray) -> Set[str]:
    found = (column if column.dtype == object else np.unique(column)).tolist()
    return {json_of(one) for one in found if one is not None}


def _state(file: Path) -> _State:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _files(directory: Path) -> dict[str, list[Path]]:
    """The files of each call with metrics; without any, those with episodes and evaluations."""
    found: dict[str, list[Path]] = {}
    others: dict[str, list[Path]] = {}
    for path in event_files(directory):
        call = call_of(path.name)
        if is_over_lanes(path):
            continue
        if call is not None:
            found.setdefault(call, []).append(path)
        elif path.name in ("episodes.jsonl", "evaluations.jsonl"):
            others[path.stem] = [path]
    for paths in found.values():
        paths.sort(key=lambda path: segment_of(path.name) or (path.name, "", -1))
    return found or others


def _shown(event: Event) -> dict[str, Shown]:
    """The numbers of an event, over its lanes."""
    match event:
        case MetricsEvent():
            return over_lanes(event)
        case EpisodeEvent(sampled=False) | EvaluationEvent():
            found = summary_values(summary_of(event))
            return {key: Shown(value) for key, value in found.items() if isinstance(value, float)}
        case _:
            return {}


def _category(event: Event, key: str) -> str | None:
    """The category of a key that can be the main metric; None for the others."""
    if not isinstance(event, MetricsEvent):
        return CATEGORY_OF_SUMMARY.get(key, "other")
    return category_of(event.keys[key], key)


def category_of(info: Key, key: str) -> str | None:
    """The category of a key that can be the main metric; None for the others."""
    return info.category if info.statistic in _SHOWN and key not in _COUNTS else None


def stem_of(key: str) -> str:
    """The name of a key without its statistic, if this is one of the main metric; or empty.

    >>> stem_of("episode_return_mean"), stem_of("loss")
    ('episode_return', '')
    """
    return next((key.removesuffix(f"_{s}") for s in _SHOWN if key.endswith(f"_{s}")), "")
