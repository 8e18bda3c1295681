"""The kinds of lines in a run's files, their fields, and the conversion of events to lines.

Every line is one JSON object. A number that is not finite is `null`, and the line's `nonfinite`
says whether it was NaN or an infinity.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import orjson

from jaxlog._format.column_lines import can_convert, lane_lines
from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    Lane,
    MetricsEvent,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.numbers import with_whole
from jaxlog._format.segment import segment_of

START = b'{"timestamp":'
"""The first bytes of every line."""
METRICS = "_metrics.jsonl"
"""The end of the name of a file with the metrics of a call; the call's name comes before it."""
METRICS_TABLE = METRICS.removesuffix(".jsonl")
"""The end of the name of the table with these; one over lanes is beside it."""
EPISODE = "episode"
"""The name of the call on lines about episodes of a single environment."""
NONFINITE = ("nan", "inf", "-inf")
"""The texts that `nonfinite` can have for a number that is `null`."""

Type = Literal["number", "integer", "text", "integers"]

FIELDS: Mapping[str, Type] = {
    "timestamp": "number",
    "step": "integer",
    "env_step": "integer",
    "name": "text",
    "over_lanes": "text",
    "lanes": "integer",
    "lane": "integer",
    "lane_position": "integers",
    "episode": "integer",
}
"""The fields with fixed names, in the order of a line, and their types."""

OPTIONAL = ("env_step", "lane_position")
"""The fields that only some lines have."""


@dataclass(frozen=True)
class LineKind:
    """The fields of one kind of line.

    Attributes:
      fields: the fields that each such line has, in addition to those of `OPTIONAL`.
      parts: the fields that have values under the user's names, in their order. `labels` and
        `details` may be missing.
    """

    fields: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """The parts that each line has."""
        return tuple(part for part in self.parts if part not in ("labels", "details"))

    @property
    def own(self) -> tuple[str, ...]:
        """The fields of `FIELDS` that such a line can have, in their order."""
        return tuple(name for name in FIELDS if name in (*self.fields, *OPTIONAL))


LANES = LineKind(("timestamp", "step", "lane"), ("labels", "metrics"))
OVER_LANES = LineKind(("timestamp", "step", "over_lanes", "lanes"), ("metrics",))
KINDS: Mapping[str, LineKind] = {
    "episodes": LineKind(("timestamp", "step", "name", "lane"), ("labels", "episode", "details")),
    "arrays": LineKind(("timestamp", "step", "name", "lane"), ("labels", "arrays")),
    "media": LineKind(("timestamp", "step", "name", "lane"), ("labels", "media")),
    "steps": LineKind(("timestamp", "step", "episode"), ("labels", "values", "details")),
    "tasks": LineKind(("timestamp", "step"), ("task", "details")),
    "evaluations": LineKind(("timestamp", "step"), ("evaluation", "details")),
}
"""The kinds of lines of the other files, by the stem of the file's name."""
ARRAYS = "arrays.jsonl"
"""The name of the file with the arrays that calls log whole, one line for each record of a lane."""
MEDIA = "media.jsonl"
"""The name of the file with images and tables, one line for each record of a lane."""
BESIDE_METRICS = (ARRAYS, MEDIA)
"""The names of the files whose lines have the step of a line of metrics, and are long."""
EPISODES = "episodes.jsonl"
"""The name of the file with a line for each episode."""
NAMES = tuple(f"{stem}.jsonl" for stem in KINDS)
"""The names of the other files."""


def calls_of(tables: Iterable[str]) -> list[str]:
    """Returns the calls whose metrics are among tables, by the names of these.

    >>> calls_of(["train_metrics", "episodes"])
    ['train']
    """
    return [name.removesuffix(METRICS_TABLE) for name in tables if name.endswith(METRICS_TABLE)]


def over_lanes_table(table: str) -> str:
    """Returns the name of the table over lanes beside one with the metrics of a call.

    >>> over_lanes_table("train_metrics")
    'train_over_lanes'
    """
    return f"{table.removesuffix(METRICS_TABLE)}_over_lanes"


@functools.lru_cache(maxsize=1024)
def call_of(name: str) -> str | None:
    """The call whose metrics are in a file of this name; None for another kind of file.

    >>> call_of("eval_metrics.jsonl"), call_of("eval_metrics.1.arrows"), call_of("episodes.jsonl")
    ('eval', 'eval', None)
    """
    if (segment := segment_of(name)) is not None:
        return segment.call
    return name.removesuffix(METRICS) if name.endswith(METRICS) else None


def file_of(event: Event) -> str:
    """The name of the file that has the lines of an event."""
    match event:
        case MetricsEvent():
            return f"{event.name}{METRICS}"
        case EpisodeEvent():
            return EPISODES
        case StepEvent():
            return "steps.jsonl"
        case TaskEvent():
            return "tasks.jsonl"
        case EvaluationEvent():
            return "evaluations.jsonl"


def lines_of(event: Event) -> bytes:
    """Converts an event to lines, each with a line break; metrics have one line per lane.

    The arrays of a metrics event are lines of another file: see `array_lines_of`.
    """
    head = _head(event)
    match event:
        case MetricsEvent():
            if event.has_columns and can_convert(event.columns):
                start = orjson.dumps(head)[:-1]
                lines = [lane_lines(event.columns, start, exact=event.exact)]
            else:
                lines = [
                    _dumps(
                        head
                        | _lane(lane.index, lane.position)
                        | {"labels": lane.labels, "metrics": lane.values},
                        LANES,
                        exact=event.exact,
                    )
                    for lane in event.lanes
                ]
            for statistic, metrics in event.over_lanes.items():
                over = {"over_lanes": statistic, "lanes": event.num_logged, "metrics": metrics}
                lines.append(_dumps(head | over, OVER_LANES))
            return b"".join(lines)
        case EpisodeEvent():
            rest = {
                "name": event.name,
                **_lane(event.lane, event.lane_position),
                "labels": event.labels,
                "episode": event.episode,
            }
        case StepEvent():
            rest = {"episode": event.episode, "labels": event.labels, "values": event.values}
        case TaskEvent():
            rest = {"task": event.values}
        case EvaluationEvent():
            rest = {"evaluation": event.values}
    kind = KINDS[file_of(event).removesuffix(".jsonl")]
    return _dumps(head | rest | {"details": event.details}, kind)


def array_lines_of(event: MetricsEvent) -> bytes:
    """Converts the arrays of an event to lines of `ARRAYS`: one for each lane that has some."""
    if not event.has_arrays:
        return b""
    return b"".join(
        _dumps(
            beside_metrics(event, lane) | {"arrays": lane.arrays},
            KINDS["arrays"],
        )
        for lane in event.lanes
        if lane.arrays
    )


def beside_metrics(event: MetricsEvent, lane: Lane) -> dict[str, Any]:
    """The fields of a line of one of the files `BESIDE_METRICS`, up to the labels of the lane."""
    head = _head(event) | {"name": event.name} | _lane(lane.index, lane.position)
    return head | {"labels": lane.labels}


def text_of(line: dict[str, Any], kind: LineKind) -> bytes:
    """Serializes one line, with a line break, from its fields and parts.

    Args:
      line: the fields of the line in their order, then its parts; NaN and infinities are numbers.
      kind: its kind.
    """
    return _dumps(line, kind)


def _head(event: Event) -> dict[str, Any]:
    head: dict[str, Any] = {"timestamp": event.timestamp, "step": event.step}
    if isinstance(event, MetricsEvent | EpisodeEvent) and event.env_step is not None:
        head["env_step"] = event.env_step
    return head


def _lane(index: int, position: tuple[int, ...]) -> dict[str, Any]:
    return {"lane": index, "lane_position": position} if position else {"lane": index}


def _dumps(line: dict[str, Any], kind: LineKind, *, exact: bool = False) -> bytes:
    """Serializes a line; `exact` is that of `MetricsEvent`."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    if exact:
        return orjson.dumps(line, _plain, options)
    for part in kind.parts:
        line[part] = {key: with_whole(value) for key, value in line[part].items()}
    text = orjson.dumps(line, _plain, options)
    if b"null" not in text:  # orjson writes null for NaN and infinities
        return text
    nonfinite = dict(line.get("nonfinite", {}))
    nonfinite |= {name: text for part in kind.parts for name, text in _nonfinite(line[part])}
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
            index = f"[{', '.join(map(str, at))}]" if at.size else ""
            yield f"{key}{index}", str(array[tuple(at)])


def _plain(value: Any) -> Any:
    """Converts arrays that orjson cannot write: strided, bfloat16 and complex ones."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind == "c":
            return np.stack([value.real, value.imag], axis=-1).tolist()
        if value.dtype.kind == "V":
            return value.astype(np.float32).tolist()
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON")
