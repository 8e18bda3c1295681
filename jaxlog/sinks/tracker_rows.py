"""The rows that sinks send to trackers with runs, steps and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from jaxlog._format.events import (
    NOTHING,
    EpisodeEvent,
    EvaluationEvent,
    Histogram,
    Labels,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.media import Table
from jaxlog._format.numbers import as_written
from jaxlog._say import log as _log
from jaxlog.sinks.arrangement import (
    MOST_RUNS,
    Lanes,
    arranged,
    arranged_arrays,
    arranged_media,
    lane_name,
)
from jaxlog.sinks.films import Film, FilmedSettings, Films
from jaxlog.sinks.sink import Sink

_MAX_KEPT = 2**16
"""The most rows whose identity is remembered, to number those that have the same."""

Value = bool | int | float | str | Histogram | None
"""A value of a row: of Python, with float32 numbers as jaxlog writes them."""


class TrackerSettings(FilmedSettings, frozen=True):
    """The settings that sinks for trackers share."""

    tags: tuple[str, ...] = Field(
        default=(), strict=False, description="Tags, in addition to those of Logger.open."
    )
    lanes: Lanes = Field(
        default="runs",
        description="How lanes are shown. runs: each lane as a run of its own, with the lane's "
        "labels in its config; more than 256 lanes are aggregated. columns: one run, with a "
        "metric for each lane. aggregate: one run, with mean and standard deviation over lanes.",
    )
    x_axis: Literal["step", "env_step"] = Field(
        default="step", description="The x-axis of charts: updates, or environment steps if known."
    )
    episodes: Literal["table", "off"] = Field(
        default="table", description="Show sampled episodes as a table, or not."
    )


@dataclass(frozen=True)
class TrackerRow:
    """One row of a tracker: the values of one call at one step, for one of the tracker's runs.

    Attributes:
      lane: the lane that has this run; None for the run of the whole program.
      labels: the labels that identify the lane, or the only lane.
      call: the name of the call.
      update: the index of the update.
      step: the place on the x-axis.
      timestamp: when the values arrived, in seconds since 1970.
      values: the values by key; each key begins with the name of the call.
      arrays: the arrays that were logged whole, and the pixels of images, by key.
      tables: the rows of the tables, by key.
      episodes: the sampled episodes of this step, which are shown as a table.
      films: the films of recorded episodes of this step.
      num_records: the number of records that are written with this row.
      repetition: the number of rows before it that have all of this in common, but the values: a
        program may log a step twice at once.
    """

    lane: int | None
    labels: Labels
    call: str
    update: int
    step: int
    timestamp: float
    values: Mapping[str, Value] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    episodes: Sequence[EpisodeEvent] = ()
    films: Sequence[Film] = ()
    num_records: int = 0
    repetition: int = 0

    @property
    def has_files(self) -> bool:
        """True if it has arrays, tables or episodes."""
        return bool(self.arrays or self.tables or self.of_episodes)

    @property
    def of_episodes(self) -> bool:
        """True if it shows sampled episodes."""
        return bool(self.episodes or self.films)

    @property
    def identity(self) -> str:
        """A text that the same row has whenever it is sent, and no other row of its run."""
        kind = "episodes" if self.of_episodes else "arrays" if self.has_files else "values"
        return f"{self.call}/{self.update}/{self.timestamp!r}/{kind}/{self.repetition}"


class TrackerSink(Sink):
    """Makes rows of events, and sends them when it is flushed. Subclasses know one tracker.

    Attributes:
      tracker: how messages call the tracker.
    """

    tracker: ClassVar[str]
    close_timeout: ClassVar[float | None] = 120.0
    linger: ClassVar[float | None] = 0.5  # each sending has a cost of its own

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._rows: list[TrackerRow] = []
        self._samples: dict[tuple[int | None, str, int], list[EpisodeEvent]] = {}
        self._kept: Counter[tuple[int | None, str]] = Counter()
        self._lanes: Lanes = settings.lanes
        self._films = Films(settings, "mp4")

    def check(self, run: RunInfo) -> None:  # noqa: ARG002
        """Checks that what writes films is installed; a subclass also checks the tracker.

        Raises:
          ImportError: it is not.
        """
        self._films.check()

    def open(self, run: RunInfo) -> None:
        """Notes the run; a subclass also opens the tracker."""
        self._run = run

    def send(self, rows: Sequence[TrackerRow]) -> None:
        """Sends rows to the tracker, which has them when this returns.

        It may be called again with rows that it has sent before, if it raised.
        """
        raise NotImplementedError

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        if event.num_lanes > MOST_RUNS and self._lanes == "runs":
            self._lanes = "aggregate"
            _log.warning(
                "jaxlog: the sink %s aggregates over %d lanes, since it makes at most %d runs. To "
                "choose, set `lanes: aggregate` or `lanes: columns`.",
                self.settings.kind,
                event.num_lanes,
                MOST_RUNS,
            )
        name = event.name
        known = {} if event.timing is None else event.timing.known
        shared: dict[str, Value] = {f"{name}/time/{key}": value for key, value in known.items()}
        if event.env_step is not None and self.settings.x_axis == "step":
            shared[f"{name}/env_step"] = event.env_step
        x = self._x(event.step, event.env_step)
        place: dict[str, Any] = {
            "call": name,
            "update": event.step,
            "step": x,
            "timestamp": event.timestamp,
        }
        first = event.columns.alone[0]
        rows = []
        for lane, values in arranged(event, self._lanes):
            named = lane.named_by if lane is not None else event.lanes[0].named_by if first else {}
            index = None if lane is None else lane.index
            of_lanes = 1 if lane is not None else event.num_logged
            records = of_lanes if lane is not None or first or self._lanes != "runs" else 0
            if event.num_lanes == 1:
                named, records = event.lanes[0].named_by, 1
            own = {f"{name}/{key}": _plain(value) for key, value in values.items()}
            both = _beside(shared, own)
            rows.append(TrackerRow(index, named, **place, values=both, num_records=records))
        for lane, arrays in arranged_arrays(event, self._lanes):
            index, named = (None, NOTHING) if lane is None else (lane.index, lane.named_by)
            own = {f"{name}/{key}": array for key, array in arrays.items()}
            rows.append(TrackerRow(index, named, **place, arrays=own))
        for lane, media in arranged_media(event, self._lanes):
            index, named = (None, NOTHING) if lane is None else (lane.index, lane.named_by)
            images = {f"{name}/{k}": v.array for k, v in media.items() if not isinstance(v, Table)}
            tables = {f"{name}/{k}": _rows(v) for k, v in media.items() if isinstance(v, Table)}
            rows.append(TrackerRow(index, named, **place, arrays=images, tables=tables))
        self._keep(rows)

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        if not event.sampled:
            values = {**event.labels, **event.episode}
            self._add("episode", event.step, event.timestamp, values)
        elif self.settings.episodes != "off" or self.settings.films:
            many = event.num_lanes > 1 and self._lanes == "runs" and event.num_lanes <= MOST_RUNS
            lane = event.lane if many and not event.lane_alone else None
            self._samples.setdefault((lane, event.name, event.step), []).append(event)

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        self._add("task", event.step, event.timestamp, event.values)

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        self._add("step", event.step, event.timestamp, {**event.labels, **event.values})

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        self._add("evaluation", event.step, event.timestamp, event.values)

    def flush(self) -> None:
        """Sends the rows, and the sampled episodes of each step together."""
        for (lane, name, step), events in self._samples.items():
            first = events[0]
            labels = first.labels if first.lane_first_labels is None else first.lane_first_labels
            own = labels if lane is not None or first.lane_alone else NOTHING
            x = self._x(step, first.env_step)
            row = TrackerRow(
                lane,
                own,
                name,
                step,
                x,
                first.timestamp,
                episodes=() if self.settings.episodes == "off" else tuple(events),
                films=self._films.of(events),
            )
            if row.of_episodes:
                self._keep([row])
        self._samples.clear()
        if self._rows:
            self.send(self._rows)
            self._rows = []

    def pending(self) -> int:
        """The number of records that the tracker does not have yet."""
        return sum(row.num_records for row in self._rows)

    def close(self) -> None:  # noqa: D102
        self.flush()

    def run_name(self, lane: int | None, labels: Labels) -> str:
        """The name of the tracker's run of a lane, or of the whole program."""
        return self._run.name if lane is None else f"{self._run.name} {lane_name(lane, labels)}"

    def run_key(self, lane: int | None) -> str:
        """The id by which the run of a lane is found again when the run is resumed."""
        number = self._run.sink_number
        first = self._run.id if not number else f"{self._run.id}_{number}"
        return first if lane is None else f"{first}-{lane:03d}"

    def is_logged_again(self, row: TrackerRow) -> bool:
        """True if an earlier session may have sent the row: the run is resumed from before it."""
        first = self._run.resumes.get({"step": "steps"}.get(row.call, row.call), 0)
        return bool(self._run.resumes) and row.update >= first

    def _x(self, step: int, env_step: int | None) -> int:
        by_env_step = self.settings.x_axis == "env_step" and env_step is not None
        return env_step if by_env_step and env_step is not None else step

    def _add(self, name: str, step: int, timestamp: float, values: Mapping[str, Any]) -> None:
        """Adds the row of a single environment."""
        own = {f"{name}/{key}": _plain(value) for key, value in values.items()}
        self._keep(
            [TrackerRow(None, NOTHING, name, step, step, timestamp, values=own, num_records=1)]
        )

    def _keep(self, rows: Sequence[TrackerRow]) -> None:
        """Buffers rows until the next flush, and numbers those that have the same identity."""
        if len(self._kept) > _MAX_KEPT:
            self._kept.clear()
        for row in rows:
            same = row.lane, row.identity
            number = self._kept[same]
            self._kept[same] += 1
            self._rows.append(replace(row, repetition=number) if number else row)


def _rows(table: Table) -> list[dict[str, Any]]:
    """The rows of a table, with plain values by the names of columns."""
    columns = list(table.columns)
    return [dict(zip(columns, map(_plain, row), strict=True)) for row in table.rows]


def by_lane(rows: Sequence[TrackerRow]) -> dict[int | None, list[TrackerRow]]:
    """The rows of each run of the tracker, in their order."""
    found: dict[int | None, list[TrackerRow]] = {}
    for row in rows:
        found.setdefault(row.lane, []).append(row)
    return found


def without_times(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values but those of the clock, which differ when a step is logged again."""
    return {key: value for key, value in values.items() if key.split("/")[1:2] != ["time"]}


def episode_rows(events: Sequence[EpisodeEvent]) -> list[dict[str, Any]]:
    """The rows of a table of sampled episodes, with numbers and texts of Python."""
    return [
        {
            key: _plain(value)
            for key, value in {"lane": event.lane, **event.labels, **event.episode}.items()
        }
        for event in events
    ]


def _beside(shared: Mapping[str, Value], values: Mapping[str, Value]) -> dict[str, Value]:
    """Joins them; a value of the user's with the name of a shared one is renamed."""
    found = dict(shared)
    for key, value in values.items():
        name = key
        while name in shared or (name != key and name in values):
            name = f"{name}_value"
        found[name] = value
    return found


def _plain(value: Any) -> Any:
    """Converts a value to Python's types; a float32 to the number that jaxlog writes."""
    if isinstance(value, np.floating) or getattr(value, "dtype", np.dtype(int)).kind == "V":
        return as_written(value)
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, list | tuple | complex) else value
