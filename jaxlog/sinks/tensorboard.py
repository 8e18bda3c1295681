"""The sink `tensorboard`, which writes event files: one TensorBoard run for each lane."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from jaxlog._format.events import (
    NOTHING,
    EpisodeEvent,
    EvaluationEvent,
    Event,
    Key,
    Labels,
    Lane,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.media import Table
from jaxlog._say import Once
from jaxlog._say import log as _log
from jaxlog._text import counted
from jaxlog.sinks import summaries
from jaxlog.sinks.arrangement import (
    Lanes,
    arranged,
    arranged_arrays,
    arranged_media,
    by_keys,
    folder_name,
)
from jaxlog.sinks.event_files import (
    EventFile,
    Layout,
    encoded,
    encoded_rows,
    new_name,
    own_files,
)
from jaxlog.sinks.films import FilmedSettings, Films
from jaxlog.sinks.growing import OpenFiles, cut
from jaxlog.sinks.sink import Sink
from jaxlog.sinks.tags import ByCall, ByCategory

if TYPE_CHECKING:
    from google.protobuf.message import Message


MOST_RUNS = 256
"""The largest number of lanes that are shown as runs; TensorBoard cannot show more."""
MOST_ROWS = 100
"""The largest number of sampled episodes in the table of a step, and of rows of a table."""
MOST_PICTURES = 16
"""The largest number of pictures of sampled episodes of a step; each is a card in TensorBoard."""

_SampleKey = tuple[Hashable, str, int]
"""The lane, or None, the call and the step of episodes that are shown together."""


class TensorboardSettings(FilmedSettings, frozen=True):
    """Writes event files into the folder `tensorboard` of the run's directory."""

    kind: Literal["tensorboard"] = "tensorboard"
    lanes: Lanes = Field(
        default="runs",
        description="How lanes are shown: `runs`, each lane as a run; `columns`, as tags "
        "`losses/batch/loss/seed=3`; `aggregate`, as mean and standard deviation over lanes. More "
        f"than {MOST_RUNS} lanes are never shown as runs, but as `aggregate`.",
    )
    x_axis: Literal["step", "env_step"] = Field(
        default="step", description="The x-axis of charts: updates, or environment steps if known."
    )
    episodes: Literal["table", "pictures", "both", "off"] = Field(
        default="both",
        description="Show sampled episodes as a table, as pictures of their states, both, or not.",
    )
    layout: Literal["category", "call"] = Field(
        default="category",
        description="How tags and the runs of lanes are named. category: "
        "`rewards/batch/episode_return_mean` and `seed=3-lane_003`. call: as in jaxlog 0.1, "
        "`batch/episode_return_mean` and `lane_003-seed=3`, with `batch/env_step` as a tag.",
    )


class TensorboardSink(Sink):
    """Writes scalars, histograms and images, episodes as tables and images, config as a table."""

    Settings = TensorboardSettings
    needs_directory = True

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._films = Films(settings, "gif")

    def check(self, run: RunInfo) -> None:
        """Checks that tensorboardX is installed, and that the files belong to this run.

        Raises:
          ModuleNotFoundError: tensorboardX, or what writes films, is not installed.
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
        self._films.check()
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
                    f"{root / name}: got {counted(sizes.get(name, 0), 'byte')}, "
                    f"expected the {size:,} it had when the state was taken; put the file back, or "
                    "start over with if_exists='replace'"
                )

    def open(self, run: RunInfo) -> None:
        """Prepares the files of a replaced or resumed run, and writes the config."""
        self._run = run
        self._root = _root(run)
        self._root.mkdir(exist_ok=True)
        files = own_files(self._root)
        self._layout = self._layout_of(run, files)
        self._tags = ByCategory() if self._layout.by_category else ByCall()
        self._resumes_at = run.resumes_at
        if run.resumes_at is not None and self._layout.by_env_step and run.env_steps_per_update:
            self._resumes_at = (run.resumes_at + 1) * run.env_steps_per_update
        for path in files:
            if run.if_exists == "replace":
                cut(path, 0)
            elif run.position is not None:
                cut(path, run.position.get(path.relative_to(self._root).as_posix(), 0))
            if path.parent != self._root:
                with contextlib.suppress(OSError):  # it is not empty
                    path.parent.rmdir()
        self._name = new_name(files, self._layout)
        self._files: dict[Hashable, EventFile] = {}
        self._open_files = OpenFiles()
        self._known_tags: dict[Any, tuple[Mapping[str, Key], tuple[str, ...]]] = {}
        self._samples: dict[_SampleKey, list[EpisodeEvent]] = {}
        self._compared = False
        self._is_first_warning = Once()
        self._config = summaries.flat(run.config)
        config = {"run": run.name, "tags": ", ".join(run.tags), **self._config}
        self._described = _two_columns(config)

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        lanes = self._lanes(event)
        if lanes == "runs" and _has_scalars_alone(event):
            self._write_scalars(event)
            return
        shared = self._shared(event)
        written = []
        alone = event.num_lanes == 1 or bool(event.columns.alone[0])
        for lane, values in arranged(event, lanes):
            if lane is None and (alone or lanes != "runs"):
                self._compare(event.lanes[0].named_by if alone else {})
            if values:
                tagged = {self._tags.value(event.name, k, event.keys): v for k, v in values.items()}
                tag = f"{event.name}/env_step"
                if tag in shared and tag in tagged:  # a metric of the user's own
                    tagged[f"{tag}_value"] = tagged.pop(tag)
                data = self._encoded(summaries.summary(shared | tagged), event)
                # Values over all lanes are not a record if each lane has its own.
                of_lanes = 1 if lane is not None else event.num_logged
                own = lane is not None or alone or lanes != "runs"
                written.append((self._file_of(lane), data, of_lanes if own else 0))
        for lane, arrays in arranged_arrays(event, lanes):
            tagged = {self._tags.of(event.name, "arrays", k): a for k, a in arrays.items()}
            pictures = summaries.pictures(tagged)
            if pictures is not None:
                written.append((self._file_of(lane), self._encoded(pictures, event), 0))
        for lane, media in arranged_media(event, lanes):
            for key, value in media.items():
                if isinstance(value, Table):
                    shown = self._tags.of(event.name, "tables", key)
                    found = summaries.text(shown, _table(value))
                else:
                    found = summaries.image(self._tags.of(event.name, "images", key), value)
                written.append((self._file_of(lane), self._encoded(found, event), 0))
        for file, data, num_records in written:
            file.add(data, num_records)

    def _write_scalars(self, event: MetricsEvent) -> None:
        """Writes the scalars of lanes that are runs, from the columns of all lanes at once."""
        columns = event.columns
        shared = self._shared(event)
        names = tuple(columns.labels)
        numbers = columns.lanes.tolist()
        written = []
        for keys, rows in by_keys(columns):
            tags = (*shared, *self._tags_of(event, keys))
            values = np.empty((len(rows), len(tags)))
            values[:, : len(shared)] = list(shared.values())
            for column, key in enumerate(keys, len(shared)):
                values[:, column] = columns.values[key][rows]
            summed = summaries.scalar_rows(tags, values)
            found = encoded_rows(summed, self._step(event), event.timestamp)
            for row, data in zip(rows.tolist(), found, strict=True):
                file = self._files.get((numbers[row], *names))
                written.append((file or self._file_of(event.lanes[row]), data))
        for file, data in written:
            file.add(data, 1)

    def _tags_of(self, event: MetricsEvent, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The tags of some keys of an event, which are mostly those of the event before."""
        known, tags = self._known_tags.get((event.name, keys), (None, ()))
        if known is not event.keys:
            tags = tuple(self._tags.value(event.name, key, event.keys) for key in keys)
            self._known_tags[event.name, keys] = event.keys, tags
        return tags

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        if not event.sampled:
            self._write_numbers(event, event.name, event.episode)
        elif (
            self.settings.episodes != "off" or self.settings.films
        ):  # the episodes of a step are written together
            lanes = self._lanes(event) == "runs" and self._layout.by_category
            own = lanes and event.num_lanes > 1 and not event.lane_alone
            lane = (event.lane, *event.labels) if own else None
            self._samples.setdefault((lane, event.name, event.step), []).append(event)

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        self._write_text(event, "task/start", _two_columns(event.values))

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        self._write_numbers(event, "step", event.values)

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        self._write_numbers(event, "evaluation", event.values)
        self._write_text(event, "evaluation/table", _two_columns(event.values))

    def flush(self) -> None:  # noqa: D102
        while self._samples:
            key, episodes = next(iter(self._samples.items()))
            self._write_samples(episodes, of_lane=key[0] is not None)
            del self._samples[key]
        self._for_each_file(EventFile.flush)

    def pending(self) -> int:
        """The number of records that are not in a file yet."""
        return sum(file.pending for file in self._files.values())

    def position(self) -> dict[str, int]:
        """The size of each file."""
        return _sizes(self._root)

    def close(self) -> None:  # noqa: D102
        with contextlib.ExitStack() as every:
            every.callback(self._for_each_file, EventFile.close)
            self.flush()
            if not self._files:  # the config of a run that logged nothing
                self._file()

    def _for_each_file(self, save: Callable[[EventFile], None]) -> None:
        with contextlib.ExitStack() as every:  # also saves the files after one that fails
            for file in self._files.values():
                every.callback(save, file)

    def _layout_of(self, run: RunInfo, files: list[Path]) -> Layout:
        """The layout of the settings, or that of the files of a run that is resumed."""
        chosen = Layout(self.settings.layout == "category", self.settings.x_axis == "env_step")
        kept = Layout.of(files) if run.if_exists == "resume" else None
        if kept is None or kept == chosen:
            return chosen
        found = {
            "layout": "category" if kept.by_category else "call",
            "x_axis": "env_step" if kept.by_env_step else "step",
        }
        for key, value in found.items():
            if key in self.settings.model_fields_set and value != getattr(self.settings, key):
                _log.warning(
                    "jaxlog: the sink tensorboard keeps `%s: %s` of the run that it resumes, so "
                    "that its charts go on.",
                    key,
                    value,
                )
        return kept

    def _lanes(self, event: MetricsEvent | EpisodeEvent) -> Lanes:
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

    def _shared(self, event: MetricsEvent) -> dict[str, float]:
        """The numbers by tag that all lanes of an event have in common."""
        known = {} if event.timing is None else event.timing.known
        shared = {self._tags.of(event.name, "time", key): value for key, value in known.items()}
        if event.env_step is not None and not self._layout.by_category:
            shared[f"{event.name}/env_step"] = event.env_step
        return shared

    def _step(self, event: Event) -> int:
        """The place of an event on the x-axis."""
        if self._layout.by_env_step and isinstance(event, MetricsEvent | EpisodeEvent):
            return event.step if event.env_step is None else event.env_step
        return event.step

    def _encoded(self, summary: Message, event: Event) -> bytes:
        return encoded(summary, self._step(event), event.timestamp)

    def _write_numbers(
        self, of: EpisodeEvent | StepEvent | EvaluationEvent, name: str, values: Mapping[str, Any]
    ) -> None:
        found = {key: summaries.as_number(value) for key, value in values.items()}
        numbers = {key: number for key, number in found.items() if number is not None}
        self._compare({})
        if numbers:
            tagged = {f"{name}/{key}": number for key, number in numbers.items()}
            self._file().add(self._encoded(summaries.summary(tagged), of))

    def _write_text(self, of: TaskEvent | EvaluationEvent, tag: str, markdown: str) -> None:
        self._file().add(self._encoded(summaries.text(tag, markdown), of))

    def _write_samples(self, episodes: list[EpisodeEvent], *, of_lane: bool) -> None:
        """Writes the sampled episodes of one step as a table, as pictures and as films."""
        from jaxlog._render.pixels import episode_pixels

        first, shown = episodes[0], self.settings.episodes
        found: list[Message] = []
        if shown in ("table", "both"):
            tag = self._tags.of(first.name, "sampled_episodes", "table")
            found.append(summaries.text(tag, _episodes(episodes)))
        if shown in ("pictures", "both"):
            pictures = map(episode_pixels, episodes[:MOST_PICTURES])
            if drawn := [pixels for pixels in pictures if pixels is not None]:
                tag = self._tags.of(first.name, "sampled_episodes", "pictures")
                found.append(summaries.images(tag, drawn))
        if films := self._films.of(episodes):
            tag = self._tags.of(first.name, "sampled_episodes", "films")
            found.append(summaries.films(tag, films))
        if not found:
            return
        labels = first.labels if first.lane_first_labels is None else first.lane_first_labels
        file = self._file(first.lane, labels) if of_lane else self._file()
        for data in [self._encoded(summary, first) for summary in found]:
            file.add(data)

    def _compare(self, labels: Labels) -> None:
        """Writes the hyper-parameters of the whole run, with its first values."""
        if not self._compared:
            for first in self._hyperparameters("", labels):
                self._file().add(first)
            self._compared = True

    def _file_of(self, lane: Lane | None) -> EventFile:
        return self._file() if lane is None else self._file(lane.index, lane.named_by)

    def _file(self, index: int | None = None, labels: Labels = NOTHING) -> EventFile:
        """The file of a lane, or that of the whole run, which begins with the config.

        It is made when there is something to write, so that TensorBoard shows no run without
        values. Calls with different label names have separate files for a lane, because it is not
        fixed which of them logs first. Labels that change their values keep their file.
        """
        key = None if index is None else (index, *labels)
        if key not in self._files:
            folder, first = self._root, [self._first(summaries.text("config", self._described))]
            if index is not None:
                name = folder_name(index, labels, number_first=not self._layout.by_category)
                folder = self._root / name
                folder.mkdir(exist_ok=True)
                if labels:
                    first.append(self._first(summaries.text("labels", _two_columns(labels))))
                first += self._hyperparameters(f"{name} ", labels)
            file = EventFile(folder / self._name, self._open_files, self._resumes_at)
            for data in first:
                file.add(data)
            self._files[key] = file
        return self._files[key]

    def _hyperparameters(self, lane: str, labels: Labels) -> list[bytes]:
        values = self._config | dict(labels)
        # Without a name, the tab shows the beginning of a path, which is the same for all lanes.
        trial = f"{lane}{self._run.name} {self._run.id}" if self._layout.by_category else ""
        return [self._first(summaries.hyperparameters(values, trial))] if values else []

    def _first(self, summary: Message) -> bytes:
        """Encodes a summary for the start of a file, at the first step of this session."""
        return encoded(summary, self._resumes_at or 0, time.time())


def _has_scalars_alone(event: MetricsEvent) -> bool:
    """True if the lanes have labels of the same names, and no values but numbers."""
    if event.num_lanes == 1:
        return False
    columns = event.columns
    whole = columns.whole  # what is the same for all its parts is not taken for each
    return not (
        event.over_lanes
        or whole.edges
        or whole.arrays
        or whole.media
        or columns.alone.any()
        or columns.first_labels is not None
        or any(
            None in columns.labels[k].tolist() for k, c in whole.labels.items() if c.dtype == object
        )
        or any(column.dtype.kind not in "biuf" for column in whole.values.values())
        or (event.env_step is not None and "env_step" in whole.values)
    )


def _root(run: RunInfo) -> Path:
    assert run.directory is not None
    return run.directory / "tensorboard"


def _sizes(root: Path) -> dict[str, int]:
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in own_files(root)}


def _two_columns(values: Mapping[str, Any]) -> str:
    return summaries.table([{"name": key, "value": value} for key, value in values.items()])


def _table(table: Table) -> str:
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows[:MOST_ROWS]]
    more = len(table.rows) - len(rows)
    left = f"\n\nand {counted(more, 'more row')}" if more else ""
    return summaries.table(rows, table.columns) + left


def _episodes(events: list[EpisodeEvent]) -> str:
    rows = [
        ({"lane": event.lane} if event.num_lanes > 1 else {})
        | dict(event.labels)
        | dict(event.episode)
        for event in events[:MOST_ROWS]
    ]
    more = len(events) - len(rows)
    return summaries.table(rows) + (f"\n\nand {more} more" if more else "")
