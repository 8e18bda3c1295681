"""One JSON object a line: the record that lasts.

Every line is valid JSON. A number that is not finite is `null`, and the line's `nonfinite` says
which it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Literal

import numpy as np
import orjson

from jaxlog.host.events import EpisodeEvent, MetricsEvent, RunInfo
from jaxlog.sinks.sink import Sink, SinkSettings


class JsonlSettings(SinkSettings, frozen=True):
    """Writes `{name}_metrics.jsonl` and `episodes.jsonl` into the run's directory."""

    kind: Literal["jsonl"] = "jsonl"


class JsonlSink(Sink):
    """Writes a line per step and lane, and a line per sampled episode."""

    Settings = JsonlSettings
    needs_directory = True

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._files: dict[str, BinaryIO] = {}

    def open(self, run: RunInfo) -> None:  # noqa: D102  as Sink says
        assert run.directory is not None
        self._directory = run.directory

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102
        lines = [
            {
                **_head(event),
                "lane": lane.index,
                "labels": lane.labels,
                "metrics": lane.metrics,
            }
            for lane in event.lanes
        ]
        self._write(f"{event.name}_metrics.jsonl", lines, "metrics")

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        line = {
            **_head(event),
            "name": event.name,
            "lane": event.lane,
            "labels": event.labels,
            "episode": event.episode,
            "details": event.details,
        }
        self._write("episodes.jsonl", [line], "episode", "details")

    def flush(self) -> None:  # noqa: D102
        for file in self._files.values():
            file.flush()

    def close(self) -> None:  # noqa: D102
        while self._files:
            self._files.popitem()[1].close()

    def _write(self, name: str, lines: list[dict[str, Any]], *parts: str) -> None:
        text = b"".join(_dumps(line, parts) for line in lines)
        if name not in self._files:
            self._files[name] = (self._directory / name).open("ab")
        self._files[name].write(text)


def _head(event: MetricsEvent | EpisodeEvent) -> dict[str, Any]:
    head: dict[str, Any] = {"timestamp": event.timestamp, "step": event.step}
    if event.env_step is not None:
        head["env_step"] = event.env_step
    return head


def _dumps(line: dict[str, Any], parts: tuple[str, ...]) -> bytes:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    text = orjson.dumps(line, _plain, options)
    if b"null" not in text:  # what orjson writes for NaN and infinities
        return text
    nonfinite = {
        name: str(value) for part in ("labels", *parts) for name, value in _nonfinite(line[part])
    }
    return orjson.dumps(line | {"nonfinite": nonfinite}, _plain, options) if nonfinite else text


def _nonfinite(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The values that are not finite, named as `key` or `key[i, j]`."""
    for key, value in values.items():
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fV":
                wide = value.astype(np.float64)
                for at in np.argwhere(~np.isfinite(wide)):
                    yield f"{key}[{', '.join(map(str, at))}]", float(wide[tuple(at)])
        elif value != value or value in (np.inf, -np.inf):
            yield key, float(value)


def _plain(value: Any) -> Any:
    """What orjson does not know: arrays that are strided, of bfloat16 or of complex numbers."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind == "c":
            return np.stack([value.real, value.imag], axis=-1).tolist()
        if value.dtype.kind == "V":  # the halves and quarters of ml_dtypes
            return value.astype(np.float32).tolist()
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON")
