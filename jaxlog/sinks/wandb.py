"""The sink `wandb`, which logs to one Weights & Biases run, or to one for each lane.

W&B cannot remove rows, and drops rows whose `step` is smaller than the last one. jaxlog therefore
never passes `step`: each call has its own counters, `{name}/step` and `{name}/env_step`, which
`define_metric` makes its x-axis. If a run resumes from a state, the rows that are logged again have
`{name}/session`, and the run's config has the step from which on rows of an earlier session are
superseded.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Labels,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._say import log as _log
from jaxlog.sinks.arrangement import (
    MOST_RUNS,
    Lanes,
    arranged,
    arranged_arrays,
    arranged_media,
)
from jaxlog.sinks.films import FilmedSettings, Films
from jaxlog.sinks.renderer import Renderer
from jaxlog.sinks.sink import Sink
from jaxlog.sinks.wandb_runs import WandbRuns
from jaxlog.sinks.wandb_values import (
    as_python,
    beside,
    media_of,
    pictures_of,
    row_of,
    summary_of,
)

MAX_TAG = 64
"""The maximum length of a tag in W&B."""

_TableKey = tuple[int | None, str, int]  # lane, call and step of the episodes in one table


class WandbSettings(FilmedSettings, frozen=True):
    """Logs to Weights & Biases. The API key is not a setting; W&B stores it itself."""

    kind: Literal["wandb"] = "wandb"
    project: str | None = Field(
        default=None, description="The W&B project; null takes W&B's default."
    )
    entity: str | None = Field(
        default=None, description="The user or team; null takes W&B's default."
    )
    group: str | None = Field(
        default=None,
        description="The group of the runs; null groups the runs of lanes by the run's name.",
    )
    job_type: str | None = Field(
        default=None, description="The type of the run, such as train or eval."
    )
    tags: tuple[str, ...] = Field(
        default=(), strict=False, description="Tags, in addition to those of Logger.open."
    )
    notes: str | None = Field(default=None, description="A description of the run.")
    mode: Literal["online", "offline", "disabled"] | None = Field(
        default=None,
        description="Send rows, keep them in files for `wandb sync`, or do nothing; null takes "
        "W&B's own settings, such as the environment variable WANDB_MODE.",
    )
    lanes: Lanes = Field(
        default="runs",
        description="How lanes are shown. runs: each lane as a W&B run, in one group, with the "
        "lane's labels in its config; more than 256 lanes are aggregated. columns: one run, with a "
        "metric for each lane. aggregate: one run, with mean and standard deviation over lanes.",
    )
    x_axis: Literal["step", "env_step"] = Field(
        default="step", description="The x-axis of charts: updates, or environment steps if known."
    )
    episodes: Literal["table", "pictures", "both", "off"] = Field(
        default="table",
        description="Show sampled episodes as a table, as pictures (HTML), both, or not.",
    )
    renderer: Renderer = Field(
        default="auto", description="How the states of episodes are drawn, as for the sink svg."
    )
    lean: bool = Field(
        default=True,
        description="Disable the W&B features that jaxlog does not need: capture of the console's "
        "output, system metrics, code and git.",
    )


class WandbSink(Sink):
    """Logs rows to one W&B run, or to one for each lane."""

    Settings = WandbSettings
    close_timeout: ClassVar[float | None] = 120.0  # W&B may still be uploading
    keeps_flushed: ClassVar[bool] = False  # W&B writes its files in blocks

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._episodes: dict[_TableKey, list[EpisodeEvent]] = {}
        self._done: tuple[object, int] = (None, 0)
        self._off = False
        self._films = Films(settings, "mp4")

    def check(self, run: RunInfo) -> None:
        """Checks that W&B is installed, accepts the settings, and has an API key if it needs one.

        Raises:
          ImportError: W&B, or what writes films, is not installed.
          ValueError: there is no API key in online mode, or W&B does not accept a setting.
        """
        try:
            import wandb
        except ImportError:
            raise ImportError(
                "the sink 'wandb' needs the package wandb; install it with: "
                "pip install 'jaxlog[wandb]'"
            ) from None
        self._films.check()
        settings = self.settings
        tags = (*run.tags, *settings.tags)
        if long := [tag for tag in tags if not 1 <= len(tag) <= MAX_TAG]:
            raise ValueError(f"tags: got {long[0]!r}, and W&B takes 1 to {MAX_TAG} characters")
        try:
            wandb.Settings(project=settings.project, entity=settings.entity)
        except Exception as error:
            raise ValueError(f"the sink 'wandb' cannot use its settings: {error}") from None
        if self._mode() == "online" and not wandb.login(prompt=False, verify=False):
            raise ValueError(
                "the sink 'wandb' found no API key, which it needs to send rows; run `wandb "
                "login`, set WANDB_API_KEY, or set `mode: offline`, to send them later"
            )

    def open(self, run: RunInfo) -> None:
        """Opens the W&B run if there is only one; the runs of lanes are opened by their first row.

        In a W&B sweep there is only one, whose id the agent has chosen. If the program has already
        opened it, rows go into that run.
        """
        self._run, self._off = run, self._mode() == "disabled"
        self._runs = WandbRuns(run, self.settings, offline=self._mode() != "online")
        if not self._off and (self._runs.lanes != "runs" or self._runs.in_sweep):
            self._runs.begin(None, {})

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        if self._off:
            return
        if event.num_lanes > 1 and self._runs.lanes == "runs" and self._runs.in_sweep:
            self._runs.lanes = "aggregate"
            _log.warning(
                "jaxlog: the sink wandb aggregates over %d lanes: a W&B sweep has one run for each "
                "program that it starts. To choose, set `lanes: aggregate` or `lanes: columns`.",
                event.num_lanes,
            )
        if event.num_lanes > MOST_RUNS and self._runs.lanes == "runs":
            self._runs.lanes = "aggregate"
            _log.warning(
                "jaxlog: the sink wandb aggregates over %d lanes: W&B cannot show that many runs. "
                "To choose, set `lanes: aggregate` or `lanes: columns`.",
                event.num_lanes,
            )
        counters = self._runs.counters(event.name, event.step, event.env_step)
        pictures = {
            lane and lane.index: pictures_of(event.name, arrays)
            for lane, arrays in arranged_arrays(event, self._runs.lanes)
        }
        for lane, media in arranged_media(event, self._runs.lanes):
            pictures.setdefault(lane and lane.index, {}).update(media_of(event.name, media))
        if event.timing is not None:
            known = event.timing.known
            counters |= {f"{event.name}/time/{key}": value for key, value in known.items()}
        rows = []
        for lane, values in arranged(event, self._runs.lanes):
            index, labels = (None, None) if lane is None else (lane.index, lane.named_by)
            if lane is None and self._runs.lanes == "runs" and event.columns.alone[0]:
                labels = event.lanes[0].named_by
                self._runs.several |= event.num_lanes > 1
            self._runs.several |= lane is not None
            run = self._runs.of(event.name, event.env_step, index, labels)
            row = row_of(event.name, values) | pictures.pop(index, {})
            rows.append((run, beside(counters, row)))
        # A second try of the same event starts with the row that failed.
        done = self._done[1] if self._done[0] is event else 0
        for number, (run, row) in enumerate(rows[done:], done):
            run.log(row)
            self._done = (event, number + 1)

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        if self._off:
            return
        if not event.sampled:
            self._log("episode", event.step, event.labels, event.episode)
        elif self.settings.episodes != "off" or self.settings.films:
            many = (
                event.num_lanes > 1 and self._runs.lanes == "runs" and event.num_lanes <= MOST_RUNS
            )
            many = many and not self._runs.in_sweep
            key = (event.lane if many and not event.lane_alone else None, event.name, event.step)
            self._episodes.setdefault(key, []).append(event)

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        if not self._off:
            self._log("task", event.step, {}, event.values)

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        if not self._off:
            self._log("step", event.step, event.labels, event.values)

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        if not self._off:
            self._log("evaluation", event.step, {}, event.values)

    def flush(self) -> None:
        """Logs the buffered episodes, those of a step together."""
        while self._episodes:
            key, events = next(iter(self._episodes.items()))
            lane, name, step = key
            first = events[0]
            labels = first.lane_first_labels or first.labels
            own = lane is not None or first.lane_alone
            run = self._runs.of(name, first.env_step, lane, labels if own else None)
            row = self._runs.counters(name, step, events[0].env_step)
            run.log(row | self._shown(name, events))
            del self._episodes[key]

    def close(self) -> None:  # noqa: D102
        code = 0 if self._run.status() == "finished" else 1
        with contextlib.ExitStack() as every:  # also finishes the runs after one that fails
            self._runs.finish_in(every, code)
            self.flush()

    def _mode(self) -> str:
        import wandb

        return self.settings.mode or wandb.setup().settings.mode

    def _log(self, name: str, step: int, labels: Labels, values: Mapping[str, Any]) -> None:
        """Logs a row of a single environment."""
        run = self._runs.of(name, None)
        row = {f"{name}/{key}": as_python(value) for key, value in {**labels, **values}.items()}
        run.log(beside(self._runs.counters(name, step, None), row))

    def _shown(self, name: str, events: list[EpisodeEvent]) -> dict[str, Any]:
        """The episodes of one step as a table, as pictures and as films, by the settings."""
        import wandb

        shown: dict[str, Any] = {}
        if self.settings.episodes in ("table", "both"):
            rows = [summary_of(event) for event in events]
            columns: list[Any] = list(dict.fromkeys(key for row in rows for key in row))
            shown[f"{name}/episodes"] = wandb.Table(
                columns=columns,
                data=[[row.get(key) for key in columns] for row in rows],
                allow_mixed_types=True,
            )
        if self.settings.episodes in ("pictures", "both"):
            from jaxlog import _render as render

            style = render.Style(render.load(self.settings.renderer))
            html = render.sheet([render.picture(event, style) for event in events])
            shown[f"{name}/pictures"] = wandb.Html(html, inject=False, data_is_not_path=True)
        if films := self._films.of(events):
            shown[f"{name}/films"] = [
                wandb.Video(io.BytesIO(film.data), caption=film.caption, format="mp4")
                for film in films
            ]
        return shown
