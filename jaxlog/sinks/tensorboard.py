"""The sink `tensorboard`, which writes event files: one TensorBoard run for each lane."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Labels,
    Lane,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._say import Once
from jaxlog._say import log as _log
from jaxlog.sinks import summaries
from jaxlog.sinks.arrangement import Lanes, arranged, arranged_arrays, by_keys, folder_name
from jaxlog.sinks.event_files import EventFile, encoded, encoded_rows, new_name, own_files
from jaxlog.sinks.growing import OpenFiles, cut
from jaxlog.sinks.sink import Sink, SinkSettings

if TYPE_CHECKING:
    from google.protobuf.message import Message


MOST_RUNS = 256
"""The largest number of lanes that are shown as runs; TensorBoard cannot show more."""
MOST_ROWS = 100
"""The largest number of sampled episodes in the table of a step."""


class TensorboardSettings(SinkSettings, frozen=True):
    """Writes event files into the folder `tensorboard` of the run's directory."""

    kind: Literal["tensorboard"] = "tensorboard"
    lanes: Lanes = Field(
        default="runs",
        description="How lanes are shown: `runs`, each lane as a run; `columns`, as tags "
        "`batch/loss/seed=3`; `aggregate`, as mean and standard deviation over lanes. More than "
        f"{MOST_RUNS} lanes are never shown as runs, but as `aggregate`.",
    )


class TensorboardSink(Sink):
    """Writes scalars, histograms and images as `{name}/{key}`, episodes and config as tables."""

    Settings = TensorboardSettings
    needs_directory = True

    def check(self, run: RunInfo) -> None:
        """Checks that tensorboardX is installed, and that the files belong to this run.

        Raises:
          ModuleNotFoundError: tensorboardX is not installed.
          FileExistsError: there are files of another run.
          ValueError: events that were there when the state was taken are missing.
        """
        try:
            import tensorboardX  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"the sink tensorboard needs {error.name}, which is not installed; "
                "pip install 'jaxlog[tensorboard]'",
                name=error.name,
            ) from error
        root = _root(run)
        sizes = _sizes(root)
        if run.if_exists == "error" and any(sizes.values()):
            raise FileExistsError(
                f"{root}: has the event files of another run; choose another directory, delete "
                "it, or give open if_exists='replace'"
            )
        for name, size in (run.position or {}).items():
            if sizes.get(name, 0) < size:
                raise ValueError(
                    f"{root / name}: got {sizes.get(name, 0)} bytes, expected the {size} it had "
                    "when the state was taken; put the file back, or start over with "
                    "if_exists='replace'"
                )

    def open(self, run: RunInfo) -> None:
        """Prepares the files of a replaced or resumed run, and writes the config."""
        self._run = run
        self._root = _root(run)
        self._root.mkdir(exist_ok=True)
        files = own_files(self._root)
        for path in files:
            if run.if_exists == "replace":
                cut(path, 0)
            elif run.position is not None:
                cut(path, run.position.get(path.relative_to(self._root).as_posix(), 0))
            if path.parent != self._root:
                with contextlib.suppress(OSError):  # it is not empty
                    path.parent.rmdir()
        self._name = new_name(files)
        self._files: dict[Hashable, EventFile] = {}
        self._open_files = OpenFiles()
        self._samples: dict[tuple[str, int], list[EpisodeEvent]] = {}
        self._compared = False
        self._is_first_warning = Once()
        self._config = summaries.flat(run.config)
        config = {"run": run.name, "tags": ", ".join(run.tags), **self._config}
        self._file().add(self._first(summaries.text("config", _two_columns(config))))
        self.flush()

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        lanes = self._lanes(event)
        if lanes == "runs" and _has_scalars_alone(event):
            self._write_scalars(event)
            return
        env_step = {} if event.env_step is None else {"env_step": event.env_step}
        time = _time(event)
        written = []
        alone = bool(event.columns.alone[0]) or event.num_lanes == 1
        for lane, values in arranged(event, lanes):
            if lane is None and (alone or lanes != "runs"):
                self._compare(event.lanes[0].named_by if alone else {})
            if values:
                if env_step and "env_step" in values:  # a metric of the user's own
                    values["env_step_value"] = values.pop("env_step")
                data = self._event(event, event.name, time | env_step | values)
                # Values over all lanes are not a record if each lane has its own.
                of_lanes = 1 if lane is not None else event.num_logged
                own = lane is not None or alone or lanes != "runs"
                written.append((self._file(lane), data, of_lanes if own else 0))
        for lane, arrays in arranged_arrays(event, lanes):
            pictures = summaries.pictures({f"{event.name}/{k}": a for k, a in arrays.items()})
            if pictures is not None:
                data = encoded(pictures, event.step, event.timestamp)
                written.append((self._file(lane), data, 0))
        for file, data, num_records in written:
            file.add(data, num_records)

    def _write_scalars(self, event: MetricsEvent) -> None:
        """Writes the scalars of lanes that are runs, from the columns of all lanes at once."""
        columns = event.columns
        shared = _time(event)
        if event.env_step is not None:
            shared["env_step"] = event.env_step
        names = tuple(columns.labels)
        numbers = columns.lanes.tolist()
        written = []
        for keys, rows in by_keys(columns):
            tags = tuple(f"{event.name}/{key}" for key in (*shared, *keys))
            values = np.empty((len(rows), len(tags)))
            values[:, : len(shared)] = list(shared.values())
            for column, key in enumerate(keys, len(shared)):
                values[:, column] = columns.values[key][rows]
            found = encoded_rows(summaries.scalar_rows(tags, values), event.step, event.timestamp)
            for row, data in zip(rows.tolist(), found, strict=True):
                file = self._files.get((numbers[row], *names))
                written.append((file or self._file(event.lanes[row]), data))
        for file, data in written:
            file.add(data, 1)

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        if event.sampled:  # the episodes of a step are written together
            self._samples.setdefault((event.name, event.step), []).append(event)
        else:
            self._write_numbers(event, event.name, event.episode)

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        self._write_text(event, "task/start", _two_columns(event.values))

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        self._write_numbers(event, "step", event.values)

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        self._write_numbers(event, "evaluation", event.values)
        self._write_text(event, "evaluation/table", _two_columns(event.values))

    def flush(self) -> None:  # noqa: D102
        while self._samples:
            (name, step), episodes = next(iter(self._samples.items()))
            self._write_text(episodes[0], f"{name}/sampled_episodes", _episodes(episodes))
            del self._samples[name, step]
        with contextlib.ExitStack() as every:  # also flushes the files after one that fails
            for file in self._files.values():
                every.callback(file.flush)

    def pending(self) -> int:
        """The number of records that are not in a file yet."""
        return sum(file.pending for file in self._files.values())

    def position(self) -> dict[str, int]:
        """The size of each file."""
        return _sizes(self._root)

    def close(self) -> None:  # noqa: D102
        with contextlib.ExitStack() as every:
            for file in self._files.values():
                every.callback(file.close)
            self.flush()

    def _lanes(self, event: MetricsEvent) -> Lanes:
        if self.settings.lanes != "runs" or event.num_lanes <= MOST_RUNS:
            return self.settings.lanes
        if self._is_first_warning():
            _log.warning(
                "jaxlog: the sink tensorboard shows %d lanes as their mean, because it shows at "
                "most %d as runs. To choose, set `lanes: aggregate` or `lanes: columns`. Said "
                "once.",
                event.num_lanes,
                MOST_RUNS,
            )
        return "aggregate"

    def _event(
        self, of: MetricsEvent | EpisodeEvent | StepEvent | EvaluationEvent, name: str, values: Any
    ) -> bytes:
        tagged = {f"{name}/{key}": value for key, value in values.items()}
        return encoded(summaries.summary(tagged), of.step, of.timestamp)

    def _write_numbers(
        self, of: EpisodeEvent | StepEvent | EvaluationEvent, name: str, values: Mapping[str, Any]
    ) -> None:
        found = {key: summaries.as_number(value) for key, value in values.items()}
        numbers = {key: number for key, number in found.items() if number is not None}
        self._compare({})
        if numbers:
            self._file().add(self._event(of, name, numbers))

    def _write_text(
        self, of: EpisodeEvent | TaskEvent | EvaluationEvent, tag: str, markdown: str
    ) -> None:
        self._file().add(encoded(summaries.text(tag, markdown), of.step, of.timestamp))

    def _compare(self, labels: Labels) -> None:
        """Writes the hyper-parameters of the whole run, with its first values."""
        if not self._compared:
            for first in self._hyperparameters(labels):
                self._file().add(first)
            self._compared = True

    def _file(self, lane: Lane | None = None) -> EventFile:
        """The file of a lane, or that of the whole run.

        Calls with different label names have separate files for a lane, because it is not fixed
        which of them logs first. Labels that change their values keep their file.
        """
        labels = {} if lane is None else lane.named_by
        key = None if lane is None else (lane.index, *labels)
        if key not in self._files:
            folder, first = self._root, []
            if lane is not None:
                folder = self._root / folder_name(lane.index, labels)
                folder.mkdir(exist_ok=True)
                if labels:
                    first.append(self._first(summaries.text("labels", _two_columns(labels))))
                first += self._hyperparameters(labels)
            file = EventFile(folder / self._name, self._open_files, self._run.resumes_at)
            for data in first:
                file.add(data)
            self._files[key] = file
        return self._files[key]

    def _hyperparameters(self, labels: Labels) -> list[bytes]:
        values = self._config | dict(labels)
        return [self._first(summaries.hyperparameters(values))] if values else []

    def _first(self, summary: Message) -> bytes:
        """Encodes a summary for the start of a file, at the first step of this session."""
        return encoded(summary, self._run.resumes_at or 0, time.time())


def _has_scalars_alone(event: MetricsEvent) -> bool:
    """True if the lanes have labels of the same names, and no values but numbers."""
    columns = event.columns
    return not (
        event.num_lanes == 1
        or event.over_lanes
        or columns.edges
        or columns.arrays
        or columns.alone.any()
        or columns.first_labels is not None
        or any(None in c.tolist() for c in columns.labels.values() if c.dtype == object)
        or any(column.dtype.kind not in "biuf" for column in columns.values.values())
        or (event.env_step is not None and "env_step" in columns.values)
    )


def _time(event: MetricsEvent) -> dict[str, float]:
    known = {} if event.timing is None else event.timing.known
    return {f"time/{key}": value for key, value in known.items()}


def _root(run: RunInfo) -> Path:
    assert run.directory is not None
    return run.directory / "tensorboard"


def _sizes(root: Path) -> dict[str, int]:
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in own_files(root)}


def _two_columns(values: Mapping[str, Any]) -> str:
    return summaries.table([{"name": key, "value": value} for key, value in values.items()])


def _episodes(events: list[EpisodeEvent]) -> str:
    rows = [
        ({"lane": event.lane} if event.num_lanes > 1 else {})
        | dict(event.labels)
        | dict(event.episode)
        for event in events[:MOST_ROWS]
    ]
    more = len(events) - len(rows)
    return summaries.table(rows) + (f"\n\nand {more} more" if more else "")
