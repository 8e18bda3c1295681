"""The sink `wandb`, which logs to one Weights & Biases run, or to one for each lane.

W&B cannot remove rows, and drops rows whose `step` is smaller than the last one. jaxlog therefore
never passes `step`: each call has its own counters, `{name}/step` and `{name}/env_step`, which
`define_metric` makes its x-axis. If a run resumes from a state, the rows that are logged again have
`{name}/session`, and the run's config has the step from which on rows of an earlier session are
superseded.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Histogram,
    Labels,
    MetricsEvent,
    RunInfo,
    Scalar,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.media import Media, Table
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
from jaxlog.sinks.films import FilmedSettings, Films
from jaxlog.sinks.renderer import Renderer
from jaxlog.sinks.sink import Sink

if TYPE_CHECKING:
    import wandb


MAX_TAG = 64
"""The maximum length of a tag in W&B."""
INIT_TIMEOUT = 20.0
"""Seconds to wait for W&B's server when a run is opened."""
MAX_BINS = 512
"""The largest number of bins of a histogram in W&B."""

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
        self._runs: dict[int | None, wandb.Run] = {}
        self._labels: dict[int | None, Labels] = {}
        self._names: dict[int | None, str] = {}
        self._several = False  # whether more than one lane has logged
        self._of_users: set[int | None] = set()  # the runs that the user's program opened
        self._defined: set[tuple[int | None, str]] = set()
        self._episodes: dict[_TableKey, list[EpisodeEvent]] = {}
        self._done: tuple[object, int] = (None, 0)
        self._lanes: Lanes = settings.lanes
        self._off = False
        self._unreached: str | None = None
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
        self._offline = self._mode() != "online"
        self._in_sweep = _sweep() is not None
        if not self._off and (self._lanes != "runs" or self._in_sweep):
            self._begin(None, {})

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        if self._off:
            return
        if event.num_lanes > 1 and self._lanes == "runs" and self._in_sweep:
            self._lanes = "aggregate"
            _log.warning(
                "jaxlog: the sink wandb aggregates over %d lanes: a W&B sweep has one run for each "
                "program that it starts. To choose, set `lanes: aggregate` or `lanes: columns`.",
                event.num_lanes,
            )
        if event.num_lanes > MOST_RUNS and self._lanes == "runs":
            self._lanes = "aggregate"
            _log.warning(
                "jaxlog: the sink wandb aggregates over %d lanes: W&B cannot show that many runs. "
                "To choose, set `lanes: aggregate` or `lanes: columns`.",
                event.num_lanes,
            )
        counters = self._counters(event.name, event.step, event.env_step)
        pictures = {
            lane and lane.index: _pictures(event.name, arrays)
            for lane, arrays in arranged_arrays(event, self._lanes)
        }
        for lane, media in arranged_media(event, self._lanes):
            pictures.setdefault(lane and lane.index, {}).update(_media(event.name, media))
        if event.timing is not None:
            known = event.timing.known
            counters |= {f"{event.name}/time/{key}": value for key, value in known.items()}
        rows = []
        for lane, values in arranged(event, self._lanes):
            index, labels = (None, None) if lane is None else (lane.index, lane.named_by)
            if lane is None and self._lanes == "runs" and event.columns.alone[0]:
                labels = event.lanes[0].named_by
                self._several |= event.num_lanes > 1
            self._several |= lane is not None
            run = self._run_for(event.name, event.env_step, index, labels)
            row = _row(event.name, values) | pictures.pop(index, {})
            rows.append((run, _beside(counters, row)))
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
            many = event.num_lanes > 1 and self._lanes == "runs" and event.num_lanes <= MOST_RUNS
            many = many and not self._in_sweep
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
            run = self._run_for(name, first.env_step, lane, labels if own else None)
            row = self._counters(name, step, events[0].env_step)
            run.log(row | self._shown(name, events))
            del self._episodes[key]

    def close(self) -> None:  # noqa: D102
        code = 0 if self._run.status() == "finished" else 1
        with contextlib.ExitStack() as every:  # also finishes the runs after one that fails
            for lane, run in self._runs.items():
                if lane not in self._of_users:
                    every.callback(run.finish, exit_code=code)
            self.flush()

    def _mode(self) -> str:
        import wandb

        return self.settings.mode or wandb.setup().settings.mode

    def _run_for(
        self, name: str, env_step: int | None, lane: int | None = None, labels: Labels | None = None
    ) -> wandb.Run:
        """The W&B run of a lane, or of the whole run, with the counters of a call defined."""
        labels = labels or {}
        if lane not in self._runs:
            self._begin(lane, labels)
        run = self._runs[lane]
        if labels and not self._labels[lane]:
            # It was opened by a call that has no labels.
            run.config.update(_hyper_parameters(labels), allow_val_change=True)
            self._labels[lane] = labels
        # The whole run has the rows of the first lane; it gets that lane's name when others follow.
        for other in {lane, None} & self._runs.keys():
            called = self._name(other, self._labels[other])
            if called != self._names[other] and other not in self._of_users:
                self._runs[other].name = self._names[other] = called
        if (lane, name) not in self._defined:
            by_env_step = self.settings.x_axis == "env_step" and env_step is not None
            axis = f"{name}/{'env_step' if by_env_step else 'step'}"
            run.define_metric(axis)
            run.define_metric(f"{name}/*", step_metric=axis)
            self._defined.add((lane, name))
        return run

    def _begin(self, lane: int | None, labels: Labels) -> None:
        self._runs[lane] = self._open_run(lane, labels)
        self._names[lane] = self._name(lane, labels)
        self._labels[lane] = labels

    def _open_run(self, lane: int | None, labels: Labels) -> wandb.Run:
        import wandb
        from wandb.errors import CommError

        settings, run = self.settings, self._run
        config = dict(run.config) | _hyper_parameters(labels)
        if run.session:
            config["jaxlog"] = {"session": run.session, "resumes": dict(run.resumes)}
        if (opened := _sweep()) is not None and opened[0] is not None:
            # The values that the sweep has set are kept.
            opened[0].config.update({k: v for k, v in config.items() if k not in opened[0].config})
            self._of_users.add(lane)
            return opened[0]
        options: dict[str, Any] = {"silent": True, "init_timeout": INIT_TIMEOUT}
        options |= _LEAN if settings.lean else {}
        # A second sink of this kind needs other ids.
        first = run.id if not run.sink_number else f"{run.id}_{run.sink_number}"
        own_id = first if lane is None else f"{first}-{lane:03d}"
        init = functools.partial(
            wandb.init,
            project=settings.project,
            entity=settings.entity,
            dir=run.directory,
            name=self._name(lane, labels),
            notes=settings.notes,
            tags=tuple(dict.fromkeys((*run.tags, *settings.tags))),
            config=config,
            group=settings.group or (run.name if self._lanes == "runs" else None),
            job_type=settings.job_type,
            reinit="create_new",
            # Also offline: `wandb sync` only joins files that have it.
            resume="allow" if run.session else None,
            settings=wandb.Settings(**options),
        )
        if not self._offline:
            try:
                opened = init(id=own_id, mode="online")
            except CommError as error:
                self._offline = True
                self._unreached = own_id  # W&B refuses this id from now on
                _log.warning(
                    "jaxlog: the sink wandb cannot reach W&B, and keeps the rows of this run in "
                    "files; send them later with `wandb sync`: %s",
                    error,
                )
            else:
                if not self._runs:
                    wandb.termlog(f"jaxlog logs to {opened.url}")
                return opened
        return init(id=own_id + "-offline" * (own_id == self._unreached), mode="offline")

    def _name(self, lane: int | None, labels: Labels) -> str:
        alone = lane is None and not (labels and self._several and self._lanes == "runs")
        return self._run.name if alone else f"{self._run.name} {lane_name(lane or 0, labels)}"

    def _counters(self, name: str, step: int, env_step: int | None) -> dict[str, Any]:
        counters = {f"{name}/step": step}
        if env_step is not None:
            counters[f"{name}/env_step"] = env_step
        if self._run.session:
            counters[f"{name}/session"] = self._run.session
        return counters

    def _log(self, name: str, step: int, labels: Labels, values: Mapping[str, Any]) -> None:
        """Logs a row of a single environment."""
        run = self._run_for(name, None)
        row = {f"{name}/{key}": _plain(value) for key, value in {**labels, **values}.items()}
        run.log(_beside(self._counters(name, step, None), row))

    def _shown(self, name: str, events: list[EpisodeEvent]) -> dict[str, Any]:
        """The episodes of one step as a table, as pictures and as films, by the settings."""
        import wandb

        shown: dict[str, Any] = {}
        if self.settings.episodes in ("table", "both"):
            rows = [_summary(event) for event in events]
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


def _sweep() -> tuple[wandb.Run | None] | None:
    """In a W&B sweep, a tuple with the run that the program opened, or None; None outside."""
    import wandb

    opened = wandb.run
    by_agent = wandb.setup().settings.sweep_id
    return (opened,) if by_agent or (opened is not None and opened.sweep_id) else None


_LEAN: dict[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def _row(name: str, values: Mapping[str, Scalar | Histogram]) -> dict[str, Any]:
    """Converts the values of one line for W&B."""
    row: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Histogram):
            row |= _histogram(f"{name}/{key}", value)
        else:
            row[f"{name}/{key}"] = _plain(value)
    return row


def _pictures(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Converts arrays that were logged whole: to images, or to numbers if they have no axes."""
    from jaxlog._render.arrays import array_pixels, pixels_left_out

    row: dict[str, Any] = {}
    for key, array in arrays.items():
        pixels = array_pixels(array)
        if pixels is not None:
            words = [f"{array.dtype.name}{list(array.shape)}", *pixels_left_out(array)]
            row[f"{name}/{key}"] = _picture(pixels, " · ".join(words))
        elif not array.ndim:
            row[f"{name}/{key}"] = _plain(array[()])
    return row


def _media(name: str, media: Media) -> dict[str, Any]:
    """Converts images and tables."""
    import wandb

    row: dict[str, Any] = {}
    for key, value in media.items():
        if isinstance(value, Table):
            columns: list[Any] = list(value.columns)
            data: Any = [list(cells) for cells in value.rows]
            found = wandb.Table(columns=columns, data=data, allow_mixed_types=True)
        else:
            found = _picture(value.array, value.caption)
        row[f"{name}/{key}"] = found
    return row


def _picture(pixels: np.ndarray, caption: str | None) -> Any:
    """Pixels as an image of W&B, which needs Pillow; without it, as HTML with the same image."""
    import wandb

    from jaxlog._render.png import png

    try:
        from PIL import Image
    except ImportError:
        source = base64.b64encode(png(pixels)).decode()
        title = escape(caption or "", quote=True)
        html = f'<img src="data:image/png;base64,{source}" title="{title}">'
        return wandb.Html(html, inject=False, data_is_not_path=True)
    # Not as an array, of which W&B would scale one without large numbers.
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return wandb.Image(image, caption=caption, file_type="png")


def _histogram(key: str, histogram: Histogram) -> dict[str, Any]:
    """Converts a histogram; the counts outside of its edges, where W&B has no bins, become keys."""
    import wandb

    counts, edges = list(histogram.counts), list(histogram.edges)
    together = -(-len(counts) // MAX_BINS)  # the number of bins that are joined to one
    counts = [sum(counts[i : i + together]) for i in range(0, len(counts), together)]
    edges = [*edges[:-1:together], edges[-1]]
    outside = {f"{key}_below": histogram.below, f"{key}_above": histogram.above}
    bins = (np.array(counts), np.array(edges))
    return {key: wandb.Histogram(np_histogram=bins), **outside}


def _beside(counters: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the counters to a row; a value with the name of a counter is renamed."""
    named = {f"{key}_value" if key in counters else key: value for key, value in row.items()}
    return {**counters, **named}


def _summary(event: EpisodeEvent) -> dict[str, Any]:
    """An episode as a row of a table."""
    row = {"lane": event.lane, **event.labels, **event.episode}
    return {key: _plain(value) for key, value in row.items()}


def _hyper_parameters(labels: Labels) -> dict[str, Any]:
    """Converts labels to values of a config."""
    return {
        key: as_written(value) if isinstance(value, np.floating) else _plain(value)
        for key, value in labels.items()
    }


def _plain(value: Any) -> Any:
    """Converts a value to Python's types, because W&B is slow with NumPy's."""
    if isinstance(value, np.generic):
        value = float(value) if value.dtype.kind == "V" else value.item()
    return str(value) if isinstance(value, list | complex) else value
