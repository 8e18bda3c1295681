"""The sink `trackio`, which logs to one run of a local trackio project, or to one for each lane.

Rows go to the project's database by the function with which trackio itself imports rows:
`trackio.init` would end the run that is open in the program, measure the processor, and give rows
the time at which they are saved. Each row has an id, by which trackio drops one that it has.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from jaxlog._format.events import Histogram, Labels, RunInfo, Scalar
from jaxlog._format.numbers import as_written
from jaxlog.sinks.tracker_rows import (
    TrackerRow,
    TrackerSettings,
    TrackerSink,
    by_lane,
    episode_rows,
    without_times,
)

MOST_ROWS = 1000
"""The most rows that are sent at a time."""


class TrackioSettings(TrackerSettings, frozen=True):
    """Logs to a local project of trackio, which `trackio show` displays."""

    kind: Literal["trackio"] = "trackio"
    project: str = Field(default="jaxlog", description="The project of trackio.")
    group: str | None = Field(
        default=None,
        description="The group of the runs; null groups the runs of lanes by the run's name.",
    )


class TrackioSink(TrackerSink):
    """Logs rows to one run of trackio, or to one for each lane."""

    Settings = TrackioSettings
    tracker = "trackio"

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._labels: dict[int | None, Labels] = {}
        self._earlier: dict[int | None, set[tuple[int, str]]] = {}
        # By the rows' ids: their files are there, and another try does not save them again.
        self._unsent: dict[str, dict[str, Any]] = {}

    def check(self, run: RunInfo) -> None:
        """Checks that trackio is installed, and takes the name of the project.

        Raises:
          ImportError: trackio is not installed, or too old to take rows with their times; or what
            writes films is not installed.
          ValueError: trackio does not take the name of the project.
        """
        storage = _storage()
        super().check(run)
        project = self.settings.project
        try:
            storage.validate_project_name(project)
        except ValueError as error:
            raise ValueError(f"the sink 'trackio' cannot use its settings: {error}") from None
        stored = storage.get_project_db_filename(project).rpartition(".")[0]
        if stored != project:
            raise ValueError(
                f"project: got {project!r}, which trackio would store as {stored!r}, together "
                "with any other project that it stores so; give that name, or another one of "
                "letters, digits, '-' and '_'"
            )

    def send(self, rows: Sequence[TrackerRow]) -> None:  # noqa: D102  as TrackerSink says
        storage = _storage()
        for lane, found in by_lane(rows).items():
            own = [row for row in found if not self._has(row)]
            for start in range(0, len(own), MOST_ROWS):
                batch = own[start : start + MOST_ROWS]
                labels = next((row.labels for row in batch if row.labels), {})
                ids = [f"{self.run_key(lane)}/{row.identity}" for row in batch]
                for row, row_id in zip(batch, ids, strict=True):
                    if row_id not in self._unsent:
                        self._unsent[row_id] = self._values(row)
                changed = lane not in self._labels or (labels and not self._labels[lane])
                storage.bulk_log(
                    project=self.settings.project,
                    run=self.run_name(lane, self._labels.get(lane) or labels),
                    run_id=self.run_key(lane),
                    metrics_list=[self._unsent[row_id] for row_id in ids],
                    steps=[row.step for row in batch],
                    timestamps=[_iso(row.timestamp) for row in batch],
                    log_ids=ids,
                    config=self._config(labels) if changed else None,
                )
                self._unsent.clear()
                if changed:
                    self._labels[lane] = labels

    def _has(self, row: TrackerRow) -> bool:
        """True if an earlier session logged the same values at this step."""
        if not self.is_logged_again(row) or row.has_files:
            return False
        if row.lane not in self._earlier:
            name = self.run_name(row.lane, row.labels)
            logs = _storage().get_logs(self.settings.project, name, run_id=self.run_key(row.lane))
            found = self._earlier[row.lane] = set()
            for log in logs:
                values = {key: value for key, value in log.items() if "/" in key}
                found.add(_compared(int(log["step"]), values))
        return _compared(row.step, row.values) in self._earlier[row.lane]

    def _values(self, row: TrackerRow) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in row.values.items():
            if isinstance(value, Histogram):
                found |= _histogram(key, value)
            else:
                found[key] = value
        if row.arrays:
            found |= self._pictures(row)
        found |= self._videos(row)
        tables = dict(row.tables)
        if row.episodes:
            tables[f"{row.call}/episodes"] = episode_rows(row.episodes)
        place = self.settings.project, self.run_key(row.lane), row.step
        for key, rows in tables.items():
            found[key] = _module().Table(data=[dict(one) for one in rows])._to_dict(*place)
        return found

    def _pictures(self, row: TrackerRow) -> dict[str, Any]:
        """The arrays of a row as images; as numbers, those without axes."""
        from jaxlog._render.arrays import array_pixels

        trackio = _module()
        found: dict[str, Any] = {}
        for key, array in row.arrays.items():
            pixels = array_pixels(array)
            if pixels is not None:
                shown = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
                picture = trackio.Image(shown, f"{array.dtype.name}{list(array.shape)}")
                found[key] = self._saved(picture, row)
            elif not array.ndim:
                found[key] = as_written(array) if array.dtype.kind in "fV" else array.item()
        return found

    def _videos(self, row: TrackerRow) -> dict[str, Any]:
        """The films of a row, by keys of their own, since trackio shows no list of videos."""
        found: dict[str, Any] = {}
        for number, film in enumerate(row.films):
            # From a file, which trackio copies: to write one itself it needs the program ffmpeg.
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "film.mp4"
                path.write_bytes(film.data)
                video = _module().Video(path, film.caption)
                found[f"{row.call}/films/{number}"] = self._saved(video, row)
        return found

    def _saved(self, media: Any, row: TrackerRow) -> dict[str, Any]:
        """Saves an image or a video beside the project; returns what the row has of it."""
        media._save(self.settings.project, self.run_key(row.lane), row.step)
        return media._to_dict()

    def _config(self, labels: Labels) -> dict[str, Any]:
        """The config of a run: that of the user, and the labels of its lane."""
        run = self._run
        tags = list(dict.fromkeys((*run.tags, *self.settings.tags)))
        found: dict[str, Any] = {**run.config, **({"tags": tags} if tags else {})}
        found |= {key: _label(value) for key, value in labels.items()}
        # Names that begin with an underscore are trackio's own.
        found = {f"config.{key}" if key.startswith("_") else key: v for key, v in found.items()}
        group = self.settings.group or (run.name if self._lanes == "runs" else None)
        return {**found, "jaxlog.run": run.id, "_Group": group, "_Created": _iso(time.time())}


def _storage() -> Any:
    """The class with which trackio reads and writes its databases.

    Raises:
      ImportError: trackio is not installed, or has another interface.
    """
    try:
        return _module("trackio.sqlite_storage").SQLiteStorage
    except ImportError:
        raise ImportError(
            "the sink 'trackio' needs the package trackio; install it with: "
            "pip install 'jaxlog[trackio]'"
        ) from None


def _module(name: str = "trackio") -> Any:
    """A module of trackio. Its types are known only where it is installed."""
    return importlib.import_module(name)


def _compared(step: int, values: Any) -> tuple[int, str]:
    return step, repr(sorted(without_times(values).items()))


def _histogram(key: str, histogram: Histogram) -> dict[str, Any]:
    """Converts a histogram; the counts outside of its edges become keys."""
    trackio = _module()
    bins = {"bins": list(histogram.edges), "values": list(histogram.counts)}
    outside = {f"{key}_below": histogram.below, f"{key}_above": histogram.above}
    return {key: {"_type": trackio.Histogram.TYPE, **bins}, **outside}


def _label(value: Scalar | str) -> Any:
    if isinstance(value, str):
        return value
    return as_written(value) if isinstance(value, np.floating) else np.asarray(value).item()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
