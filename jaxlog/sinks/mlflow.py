"""The sink `mlflow`, which logs to one MLflow run, or to one for each lane below it.

Metrics are sent in batches, with the times at which they arrived. A batch that is sent again adds
nothing, because MLflow's stores keep equal values of a step and a time once.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import logging
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from jaxlog._format.events import NOTHING, Histogram, Labels, RunInfo
from jaxlog._format.numbers import as_written
from jaxlog._say import Once
from jaxlog._say import log as _log
from jaxlog.sinks.mlflow_names import (
    LONGEST_PARAMETER,
    LONGEST_TAG,
    cut,
    is_rounded,
    name_in_mlflow,
)
from jaxlog.sinks.summaries import flat
from jaxlog.sinks.tracker_rows import (
    TrackerRow,
    TrackerSettings,
    TrackerSink,
    by_lane,
    episode_rows,
)

MOST_METRICS = 1000
"""The most metrics that MLflow takes in one request."""
MOST_PARAMETERS = 100
"""The most parameters that MLflow takes in one request."""
LONGEST_NAME_OF_RUN = 250
"""The most characters of the name of a run."""
_ENDS = {
    "finished": "FINISHED",
    "running": "RUNNING",
    "interrupted": "KILLED",
    "terminated": "KILLED",
    "exited": "KILLED",
}
"""The statuses of MLflow for those of jaxlog; for any other, it is `FAILED`."""


class MlflowSettings(TrackerSettings, frozen=True):
    """Logs to MLflow. Passwords and tokens are not settings: MLflow reads its own variables."""

    kind: Literal["mlflow"] = "mlflow"
    tracking_uri: str | None = Field(
        default=None,
        description="The store, such as `sqlite:///runs/mlflow.db` or `http://localhost:5000`; "
        "null takes MLflow's own choice, such as the environment variable MLFLOW_TRACKING_URI.",
    )
    experiment: str = Field(
        default="jaxlog", description="The experiment; it is made if there is none of this name."
    )


class MlflowSink(TrackerSink):
    """Logs rows to one MLflow run, or to one for each lane, which are children of it."""

    Settings = MlflowSettings
    tracker = "MLflow"

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._runs: dict[int | None, str] = {}
        self._labelled: set[int | None] = set()
        self._renamed: dict[str, str] = {}
        self._renamed_saved = 0
        self._earlier: dict[tuple[str, str], dict[int, list[float]]] = {}
        self._is_first_name = Once()
        self._is_first_text = Once()
        self._is_first_rounded = Once()

    def check(self, run: RunInfo) -> None:
        """Checks that MLflow is installed, and that it takes the store.

        Raises:
          ImportError: MLflow, what it needs for the store, or what writes films is not installed.
          ValueError: MLflow does not take the store.
        """
        try:
            mlflow = _module()
        except ImportError:
            raise ImportError(
                "the sink 'mlflow' needs the package mlflow; install it with: "
                "pip install 'jaxlog[mlflow]'"
            ) from None
        super().check(run)
        uri = self.settings.tracking_uri or mlflow.get_tracking_uri()
        if "://" not in uri or uri.startswith("file:"):
            raise ValueError(
                f"tracking_uri: got {uri!r}, and MLflow no longer writes to folders; give a "
                "database, such as 'sqlite:///mlflow.db', or the address of a server"
            )
        try:
            with _quiet():
                mlflow.MlflowClient(uri)
        except Exception as error:
            raise ValueError(f"the sink 'mlflow' cannot use its settings: {error}") from None

    def open(self, run: RunInfo) -> None:
        """Finds or makes the experiment and the MLflow run of the whole program."""
        mlflow = _module()
        super().open(run)
        with _quiet():
            self._client: Any = mlflow.MlflowClient(self.settings.tracking_uri)
            self._experiment = self._experiment_id()
            self._run_of(None, NOTHING)

    def send(self, rows: Sequence[TrackerRow]) -> None:  # noqa: D102  as TrackerSink says
        Metric = _module("mlflow.entities").Metric  # noqa: N806
        for lane, own in by_lane(rows).items():
            labels = next((row.labels for row in own if row.labels), NOTHING)
            run = self._run_of(lane, labels)
            metrics = []
            for row in own:
                time = int(1000 * row.timestamp)
                again = self.is_logged_again(row)
                for key, value in self._numbers(row):
                    name = self._name(key)
                    if not (again and self._has(run, name, value, row.step)):
                        metrics.append(Metric(name, value, time, row.step))
            for start in range(0, len(metrics), MOST_METRICS):
                self._client.log_batch(run, metrics=metrics[start : start + MOST_METRICS])
            for row in own:
                self._send_files(run, row)
        if len(self._renamed) > self._renamed_saved:
            # Which name is which stands in the run of the program.
            self._client.log_dict(self._runs[None], self._renamed, "jaxlog/names.json")
            self._renamed_saved = len(self._renamed)

    def close(self) -> None:  # noqa: D102
        ended = _ENDS.get(self._run.status(), "FAILED")
        with contextlib.ExitStack() as every:  # also ends the runs after one that fails
            for run in self._runs.values():
                every.callback(self._client.set_terminated, run, ended)
            self.flush()

    def _experiment_id(self) -> str:
        name = self.settings.experiment
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        try:
            return self._client.create_experiment(name, self._artifacts())
        except Exception:  # another process has just made it
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id

    def _artifacts(self) -> str | None:
        """Where files of a new experiment go: beside a SQLite database, else where MLflow says."""
        mlflow = _module()
        uri = self.settings.tracking_uri or mlflow.get_tracking_uri()
        _, found, path = uri.partition("sqlite:///")
        if not found or not path:
            return None
        return (Path(path).absolute().parent / "mlartifacts").as_uri()

    def _run_of(self, lane: int | None, labels: Labels) -> str:
        """The MLflow run of a lane, or of the whole program, with its parameters."""
        if lane not in self._runs:
            self._runs[lane] = self._find(lane) or self._make(lane, labels)
        if labels and lane not in self._labelled:
            self._add_parameters(self._runs[lane], _parameters(labels))
            self._labelled.add(lane)
        return self._runs[lane]

    def _find(self, lane: int | None) -> str | None:
        """The run of an earlier session, which goes on."""
        if not self._run.session:
            return None
        wanted = f"tags.`jaxlog.run` = '{self.run_key(lane)}'"
        found = self._client.search_runs([self._experiment], wanted, max_results=1)
        if not found:
            return None
        self._client.update_run(found[0].info.run_id, status="RUNNING")
        return found[0].info.run_id

    def _make(self, lane: int | None, labels: Labels) -> str:
        tags = {"jaxlog.run": self.run_key(lane), "mlflow.source.name": "jaxlog"}
        if lane is not None:
            tags |= {"mlflow.parentRunId": self._runs[None], "jaxlog.lane": str(lane)}
        given = dict.fromkeys((*self._run.tags, *self.settings.tags))
        if given:
            tags["jaxlog.tags"] = cut(", ".join(given), LONGEST_TAG)
        name = cut(self.run_name(lane, labels), LONGEST_NAME_OF_RUN)
        made = self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id
        config = {key: str(value) for key, value in flat(self._run.config).items()}
        if config or labels:
            self._add_parameters(made, config | _parameters(labels))
        if self._run.config and lane is None:  # whole: parameters are texts of some length
            self._client.log_dict(made, _jsonable(self._run.config), "jaxlog/config.json")
        return made

    def _add_parameters(self, run: str, values: Mapping[str, str]) -> None:
        Param = _module("mlflow.entities").Param  # noqa: N806
        known = self._client.get_run(run).data.params
        named = {self._name(key): cut(value, LONGEST_PARAMETER) for key, value in values.items()}
        # MLflow refuses another value for a parameter.
        new = [Param(key, value) for key, value in named.items() if key not in known]
        for start in range(0, len(new), MOST_PARAMETERS):
            self._client.log_batch(run, params=new[start : start + MOST_PARAMETERS])

    def _numbers(self, row: TrackerRow) -> Iterator[tuple[str, float]]:
        """The numbers of a row. Those that MLflow cannot store as they are, are said once."""
        for key, value in row.values.items():
            if isinstance(value, Histogram):
                counts = (value.below, *value.counts, value.above)
                for place, count in zip(_bins(value), counts, strict=True):
                    yield f"{key}/{place}", float(count)
            elif isinstance(value, str):
                if self._is_first_text():
                    _log.warning(
                        "jaxlog: the sink mlflow leaves out texts like %s: %.60r, since a metric "
                        "of MLflow is a number; the other values are logged. Said once.",
                        key,
                        value,
                    )
            elif value is not None:
                if is_rounded(value) and self._is_first_rounded():
                    _log.warning(
                        "jaxlog: MLflow stores %s: %r as %r: it has float64, and no infinities. "
                        "Said once.",
                        key,
                        value,
                        max(-_LARGEST, min(_LARGEST, float(value))),
                    )
                yield key, float(value)
        for key, array in row.arrays.items():
            if not array.ndim:
                yield key, as_written(array)

    def _name(self, key: str) -> str:
        name = name_in_mlflow(key)
        if name != key and name not in self._renamed:
            self._renamed[name] = key
            if self._is_first_name():
                _log.warning(
                    "jaxlog: the sink mlflow calls %r %r, since MLflow does not take the name; "
                    "jaxlog/names.json among the files of the run has all such names. Said once.",
                    key,
                    name,
                )
        return name

    def _has(self, run: str, name: str, value: float, step: int) -> bool:
        """True if an earlier session logged the value at this step; of times, any value."""
        if (run, name) not in self._earlier:
            found = self._earlier[run, name] = {}
            for metric in self._client.get_metric_history(run, name):
                found.setdefault(metric.step, []).append(metric.value)
        values = self._earlier[run, name].get(step, [])
        if "/time/" in name:
            return bool(values)
        stored = max(-_LARGEST, min(_LARGEST, value))
        return any(one == stored or (one != one and value != value) for one in values)

    def _send_files(self, run: str, row: TrackerRow) -> None:
        """Sends arrays as pictures, and sampled episodes as a table and as films."""
        from jaxlog._render.arrays import array_pixels
        from jaxlog._render.png import png

        if row.episodes:
            table = _jsonable({"step": row.update, "episodes": episode_rows(row.episodes)})
            self._client.log_dict(run, table, f"{row.call}/episodes/{row.update:010d}.json")
        for key, rows in row.tables.items():
            table = _jsonable({"step": row.update, "rows": rows})
            self._client.log_dict(run, table, f"{_folder(key)}/{row.update:010d}.json")
        for key, array in row.arrays.items():
            pixels = array_pixels(array)
            if pixels is not None:
                self._send_file(run, _folder(key), f"{row.update:010d}.png", png(pixels))
        for number, film in enumerate(row.films):
            name = f"{row.update:010d}_{number}.mp4"
            self._send_file(run, f"{row.call}/films", name, film.data)

    def _send_file(self, run: str, folder: str, name: str, data: bytes) -> None:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / name
            path.write_bytes(data)
            self._client.log_artifact(run, str(path), folder)


_LARGEST = float(np.finfo(np.float64).max)


def _module(name: str = "mlflow") -> Any:
    """A module of MLflow. Its types are known only where it is installed."""
    return importlib.import_module(name)


def _parameters(labels: Labels) -> dict[str, str]:
    return {
        key: str(as_written(value) if isinstance(value, np.floating) else value)
        for key, value in labels.items()
    }


def _bins(histogram: Histogram) -> list[str]:
    """The names of the bins of a histogram, which MLflow has no chart for."""
    edges = [f"{edge:g}" for edge in histogram.edges]
    inside = [f"{low}_to_{high}" for low, high in itertools.pairwise(edges)]
    if len(set(inside)) < len(inside):  # edges that are close to each other
        inside = [f"bin_{number}" for number in range(len(inside))]
    return ["below", *inside, "above"]


def _folder(key: str) -> str:
    """The folder among a run's files for the pictures of an array."""
    return name_in_mlflow(key).replace(":", "_")


def _jsonable(values: Any) -> Any:
    """Plain JSON values: `null` and texts for what is neither."""
    if isinstance(values, Mapping):
        return {str(key): _jsonable(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_jsonable(value) for value in values]
    if isinstance(values, np.generic | np.ndarray):
        return _jsonable(values.tolist())
    if isinstance(values, float) and not np.isfinite(values):
        return str(values)
    return values if values is None or isinstance(values, bool | int | float | str) else str(values)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keeps MLflow from describing each step by which it makes a database."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
