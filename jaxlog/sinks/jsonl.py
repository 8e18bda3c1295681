"""One JSON object a line: the record that lasts.

Every line is valid JSON. A number that is not finite is `null`, and the line's `nonfinite` says
which it was. What was flushed is in the file: of lines that were being written when a process was
killed only the last may be torn, and is cut off when the run goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from jaxlog.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog.sinks.growing import GrowingFile, cut
from jaxlog.sinks.sink import Sink, SinkSettings

START = b'{"timestamp":'
"""How every line begins."""
METRICS = "_metrics.jsonl"
"""How the names of files end that have the metrics of a call; before it stands the call's name."""
NAMES = ("episodes.jsonl", "tasks.jsonl", "steps.jsonl", "evaluations.jsonl")
"""The names of the others."""


class JsonlSettings(SinkSettings, frozen=True):
    """Writes `{name}_metrics.jsonl` and `episodes.jsonl` into the run's directory.

    And, of a single environment, `tasks.jsonl`, `steps.jsonl` and `evaluations.jsonl`.
    """

    kind: Literal["jsonl"] = "jsonl"


class JsonlSink(Sink):
    """Writes a line per step and lane, per episode, and per step of a single environment."""

    Settings = JsonlSettings
    needs_directory = True

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._files: dict[str, GrowingFile] = {}

    def check(self, run: RunInfo) -> None:
        """Checks that the directory's lines are of this run, and as many as its state knows of.

        Raises:
          FileExistsError: they are of another.
          ValueError: some are missing.
        """
        assert run.directory is not None
        files = {path.name: path for path in _files(run.directory)}
        if run.if_exists == "error":
            for path in line_files(run.directory):
                if path.stat().st_size:
                    raise FileExistsError(
                        f"{path}: has the lines of another run; choose another directory, delete "
                        "it, or give open if_exists='replace'"
                    )
        for name, size in (run.position or {}).items():
            found = files[name].stat().st_size if name in files else 0
            if found < size:
                raise ValueError(
                    f"{run.directory / name}: got {found} bytes, expected the {size} it had when "
                    "the state was taken; put the file back, or start anew with "
                    "if_exists='replace'"
                )

    def open(self, run: RunInfo) -> None:
        """Brings the files to where the run begins, or goes on.

        Lines that were written after the state it goes on from are dropped; without a state, a last
        line that is torn.
        """
        assert run.directory is not None
        self._directory = run.directory
        for path in _files(run.directory):
            if run.if_exists == "replace":
                path.unlink()
            elif run.position is not None:
                cut(path, run.position.get(path.name, 0))
            else:
                cut(path, _whole_lines(path))

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        head = _head(event)
        lines = [
            _dumps(
                head
                | _lane(lane.index, lane.position)
                | {"labels": lane.labels, "metrics": lane.metrics},
                ("labels", "metrics"),
            )
            for lane in event.lanes
        ]
        for statistic, metrics in event.over_lanes.items():
            over = {"over_lanes": statistic, "lanes": len(event.lanes), "metrics": metrics}
            lines.append(_dumps(_head(event) | over, ("metrics",)))
        self._file(f"{event.name}{METRICS}").add(b"".join(lines))

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        line = _head(event) | {
            "name": event.name,
            **_lane(event.lane, event.lane_position),
            "labels": event.labels,
            "episode": event.episode,
            "details": event.details,
        }
        self._file("episodes.jsonl").add(_dumps(line, ("labels", "episode", "details")))

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        line = _head(event) | {"task": event.values, "details": event.details}
        self._file("tasks.jsonl").add(_dumps(line, ("task", "details")))

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        line = _head(event) | {
            "episode": event.episode,
            "labels": event.labels,
            "values": event.values,
            "details": event.details,
        }
        self._file("steps.jsonl").add(_dumps(line, ("labels", "values", "details")))

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        line = _head(event) | {"evaluation": event.values, "details": event.details}
        self._file("evaluations.jsonl").add(_dumps(line, ("evaluation", "details")))

    def flush(self) -> None:  # noqa: D102
        with contextlib.ExitStack() as every:  # one file that fails does not keep the others
            for file in self._files.values():
                every.callback(file.flush)

    def position(self) -> dict[str, int]:
        """The size of each file."""
        return {path.name: path.stat().st_size for path in _files(self._directory)}

    def close(self) -> None:  # noqa: D102
        with contextlib.ExitStack() as every:
            for file in self._files.values():
                every.callback(file.close)

    def _file(self, name: str) -> GrowingFile:
        if name not in self._files:
            self._files[name] = GrowingFile(self._directory / name)
        return self._files[name]


def line_files(directory: Path) -> list[Path]:
    """The files of a directory that are called as those with lines are, and may have some."""
    named = {*directory.glob(f"*{METRICS}"), *(directory / name for name in NAMES)}
    return sorted(path for path in named if path.is_file())


def _files(directory: Path) -> list[Path]:
    """Those that this sink has written there: a user may have some of such names, too."""
    return [path for path in line_files(directory) if _is_own(path)]


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(START))
    return start == START[: len(start)]


def _whole_lines(path: Path) -> int:
    """The bytes of a file up to the end of its last whole line."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - 2**16)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _head(event: Event) -> dict[str, Any]:
    head: dict[str, Any] = {"timestamp": event.timestamp, "step": event.step}
    if isinstance(event, MetricsEvent | EpisodeEvent) and event.env_step is not None:
        head["env_step"] = event.env_step
    return head


def _lane(index: int, position: tuple[int, ...]) -> dict[str, Any]:
    return {"lane": index, "lane_position": position} if position else {"lane": index}


def _dumps(line: dict[str, Any], parts: tuple[str, ...]) -> bytes:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    text = orjson.dumps(line, _plain, options)
    if b"null" not in text:  # what orjson writes for NaN and infinities
        return text
    nonfinite = {name: text for part in parts for name, text in _nonfinite(line[part])}
    return orjson.dumps(line | {"nonfinite": nonfinite}, _plain, options) if nonfinite else text


def _nonfinite(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The values that are not finite, named as `key` or `key[i, j]`."""
    for key, value in values.items():
        array = np.asarray(value)
        if array.dtype.kind in "fV":  # V: the halves and quarters of ml_dtypes
            array = array.astype(np.float64)
        elif array.dtype.kind == "c":
            array = np.stack([np.real(array), np.imag(array)], axis=-1, dtype=np.float64)
        else:
            continue
        for at in np.argwhere(~np.isfinite(array)):
            place = f"[{', '.join(map(str, at))}]" if at.size else ""
            yield f"{key}{place}", str(array[tuple(at)])


def _plain(value: Any) -> Any:
    """What orjson does not know: arrays that are strided, of bfloat16 or of complex numbers."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind == "c":
            return np.stack([value.real, value.imag], axis=-1).tolist()
        if value.dtype.kind == "V":
            return value.astype(np.float32).tolist()
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON")
