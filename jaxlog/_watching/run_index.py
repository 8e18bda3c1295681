"""An index of runs: what filters, orders and columns name, read only as far as it is asked for.

Of a run it reads run.json, and the last lines only if a name is that of a metric. Its values are
those of `RunRow`, which follows a run and reads its trend, and takes twenty times as long.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from jaxlog._format.health import Health
from jaxlog._format.run_file import counts_updates_of_run
from jaxlog._reading.run_filter import RUN, RunFilter, full_name
from jaxlog._watching.last_events import LastEvent, last_events
from jaxlog._watching.observed_run import ObservedRun, observed
from jaxlog._watching.run_row import RunRow, named
from jaxlog.sinks import summaries

_NOT_NEEDED = (
    "settings", "chosen_settings", "lane_labels", "lane_counts", "sessions", "versions",
)  # fmt: skip
"""The facts that no filter names; thousands of runs would need much memory for them."""
_SHARED = ("calls",)
"""The facts that most runs have in common."""


class IndexedRun:
    """One run of an index.

    Args:
      path: the directory of the run.
      name: its name in tables, which tells it from the others.

    Attributes:
      path: the directory of the run.
      name: its name.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    @cached_property
    def run(self) -> ObservedRun:
        """The state of the run."""
        found = observed(self.path)
        for key in _NOT_NEEDED:
            found.facts.pop(key, None)
        for key in _SHARED:
            if key in found.facts:
                found.facts[key] = _shared(found.facts[key])
        return found

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its config, by dotted names."""
        found = self.run.facts.get("config")
        if not isinstance(found, dict):
            return {}
        is_nested = any(isinstance(value, dict) for value in found.values())
        return summaries.flat(found) if is_nested else found

    @cached_property
    def row(self) -> RunRow:
        """The run as `RunRow` reads it; its trend is read only if the run is live."""
        row = RunRow(self.path, self.name)
        row.look(float("inf") if self.run.may_log_more else 0.0)
        return row

    @cached_property
    def metrics(self) -> Mapping[str, float]:
        """The last value of each metric, over the lanes that are alive."""
        if self._last is None:
            return self.row.metrics
        found: dict[str, float] = {}
        for one in reversed(self._last):  # of two calls with a key, the first counts
            found |= one.values
        return found

    @cached_property
    def done(self) -> int | None:
        """The number of updates done; None if there are none."""
        if self._last is None:
            return self.row.done
        facts = self.run.facts
        steps = [one.step for one in self._last if counts_updates_of_run(facts, one.call)]
        return max(steps) + 1 if steps else None

    @cached_property
    def health(self) -> Health:
        """The health of the run."""
        # Of a killed run, run.json may be older than the last lines; jaxlog 0.1 did not count.
        if self.run.status == "killed" or "health" not in self.run.facts:
            return self.row.health
        return self.run.health(self.done)

    @property
    def may_have_alarm(self) -> bool:
        """False if the run cannot be stalled, has not diverged, and has lost no records."""
        return self.run.may_log_more or self.health.diverged is not None or self.health.lost > 0

    @property
    def metric(self) -> str:
        """The key of its main metric; empty if it has none."""
        if self._last is None:
            return self.row.metric
        ranks = [(rank, key) for one in self._last for key, rank in one.candidates.items()]
        return min(ranks, key=lambda one: one[0], default=(0, ""))[1]

    @property
    def began(self) -> float:
        """When its last session began, in seconds since 1970; 0 if it is not known."""
        opened = self.run.facts.get("opened")  # more exact than the time as a text
        return opened if isinstance(opened, float) else self.run.started or 0.0

    def age(self, now: float) -> float | None:
        """Seconds since the run was started, or last resumed; None if it is not known."""
        return None if self.run.started is None else max(0.0, now - self.run.started)

    def value_of(self, name: str, now: float) -> Any:
        """The value that a name in a filter stands for; None if there is none."""
        found = self.full_name(name)
        if found is None:
            return None
        if found in _OWN:
            return _OWN[found](self, now)
        if found in self.config:
            return self.config[found]
        if found in self.metrics:
            return self.metrics[found]
        for one in self._last or ():
            if found in one.stems:
                return one.values[one.stems[found]]
        return self.row.values.get(found)

    def full_name(self, name: str) -> str | None:
        """The name that a short name stands for, as `run_filter.full_name` finds it."""
        if name in _OWN or name in self.config:  # without reading its lines
            return name
        return _full_name(name, (*self.stems, *self.metrics, *self.config, *_OWN))

    @property
    def stems(self) -> Sequence[str]:
        """The names without a statistic by which its metrics can be called."""
        if self._last is None:
            known = {*_OWN, *self.config, *self.metrics}
            return [name for name in self.row.values if name not in known]
        return [stem for one in self._last for stem in one.stems]

    @cached_property
    def _last(self) -> Sequence[LastEvent] | None:
        """The last event of each call; None if `RunRow` has to read them."""
        if self.run.may_log_more:
            return None
        try:
            return last_events(self.path, self.run.facts)
        except (ArithmeticError, KeyError, OSError, TypeError, ValueError):
            return None

    def followed(self, name: str, now: float) -> Any:
        """A value for which the trend is read, of a run that is live; else only the speed."""
        if not self.run.may_log_more and name != "speed":
            return False if name == "stalled" else None
        self.row.look(float("inf"))
        return self.row.value_of(name, now)

    def progress(self) -> float | None:
        """The percentage of the updates that are done; None if the total is not known."""
        total = self.run.total_updates
        return 100.0 * (self.done or 0) / total if total else None


_OWN: Mapping[str, Callable[[IndexedRun, float], Any]] = {
    RUN: lambda one, _: named(one.name, one.run),
    "status": lambda one, _: one.run.status,
    "health": lambda one, _: str(one.health) or "well",
    "age": IndexedRun.age,
    "left": lambda one, now: one.followed("left", now),
    "stalled": lambda one, now: one.followed("stalled", now),
    "speed": lambda one, now: one.followed("speed", now),
    "progress": lambda one, _: one.progress(),
    "done": lambda one, _: one.done,
    "total": lambda one, _: one.run.total_updates,
    "alive": lambda one, _: None if one.row.lanes is None else one.row.lanes[0],
    "lanes": lambda one, _: None if one.row.lanes is None else one.row.lanes[1],
    "lost": lambda one, _: one.health.lost,
    "tags": lambda one, _: one.run.tags,
    "note": lambda one, _: one.run.note or None,
}
"""The values that every run has."""


def names_of(runs: Iterable[IndexedRun]) -> list[str]:
    """All names that any run has a value of, each once."""
    found: dict[str, None] = dict.fromkeys(_OWN)
    for run in runs:
        found |= dict.fromkeys((*run.config, *run.metrics, *run.stems))
    return list(found)


def unknown_names(names: Iterable[str], runs: Sequence[IndexedRun]) -> list[str]:
    """The names that none of some runs has a value of."""
    return [name for name in names if all(run.full_name(name) is None for run in runs)]


def selected(runs: Sequence[IndexedRun], chosen: RunFilter, now: float) -> list[IndexedRun]:
    """Returns the runs that match a filter, in its order."""
    return chosen.select(runs, lambda run, name: run.value_of(name, now))


def statuses(runs: Iterable[IndexedRun]) -> Counter[str]:
    """The number of runs of each status."""
    return Counter(run.run.status for run in runs)


def _shared(value: Any) -> Any:
    """The same object for equal values."""
    return _loaded(orjson.dumps(value))


@functools.lru_cache(256)
def _loaded(data: bytes) -> Any:
    return orjson.loads(data)


@functools.lru_cache(4096)
def _full_name(name: str, known: tuple[str, ...]) -> str | None:
    return full_name(name, dict.fromkeys(known))
