"""Converts the lines of a run's files back to events: their numbers and texts, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    Histogram,
    Lane,
    MetricsEvent,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.keys import Keys
from jaxlog._format.lines import ARRAYS, EPISODE, MEDIA, call_of
from jaxlog._format.media_lines import media_of
from jaxlog._format.names import EPISODE_COUNT
from jaxlog._format.run_file import own_total
from jaxlog._format.whole_arrays import guessed, restored

Line = Mapping[str, Any]


def events_from(
    file: str, lines: Sequence[Line], calls: Any = None, *, whole: bool = False
) -> Iterator[Event]:
    """Yields the events of some lines; lines that jaxlog did not write are skipped.

    Args:
      file: the name of their file.
      lines: the parsed lines; if they are metrics, all lines of one event.
      calls: the entry `calls` of `run.json`, which describes the keys of each call.
      whole: whether events have their histograms, their statistics over lanes, and `details`.
    """
    call = call_of(file)
    try:
        if call is not None:
            yield from _metrics(call, lines, calls, whole=whole)
        elif file == ARRAYS:
            yield from _beside([array_event(line, calls) for line in lines])
        elif file == MEDIA:
            yield from _beside([media_event(line, calls) for line in lines])
        else:
            for line in lines:
                event = _READERS[file.removesuffix(".jsonl")](line)
                yield replace(event, details=_details(line)) if whole else event
    except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError):
        return


def _metrics(
    call: str, lines: Sequence[Line], calls: Any, *, whole: bool
) -> Iterator[MetricsEvent]:
    values_of = _values_of_line if whole else numbers_of_line
    lanes = tuple(
        Lane(
            int(line["lane"]),
            dict(line["labels"]),
            values_of(line),
            tuple(line.get("lane_position", ())),
        )
        for line in lines
        if "lane" in line
    )
    if not lanes:
        return
    keys = dict.fromkeys(key for lane in lanes for key in lane.values)
    described = calls.get(call) if isinstance(calls, Mapping) else None
    meaning = Keys(described, of_episodes=EPISODE_COUNT in keys)
    yield MetricsEvent(
        call,
        int(lines[0]["step"]),
        env_step_of(lines[0]),
        time_of(lines[0]),
        lanes,
        {key: meaning[key] for key in keys},
        {str(line["over_lanes"]): numbers_of_line(line) for line in lines if "over_lanes" in line}
        if whole
        else {},
        num_lanes=max(lane.index for lane in lanes) + 1,
        total_updates=own_total({"calls": calls}, call),
    )


def _beside(of_lines: Sequence[MetricsEvent]) -> Iterator[MetricsEvent]:
    """Joins the events of some lines of arrays or media, which have one step: one for each call."""
    of_calls: dict[str, list[MetricsEvent]] = {}
    for event in of_lines:
        of_calls.setdefault(event.name, []).append(event)
    for events in of_calls.values():
        lanes = tuple(lane for event in events for lane in event.lanes)
        yield replace(events[0], lanes=lanes, num_lanes=max(event.num_lanes for event in events))


def array_event(line: Line, calls: Any = None) -> MetricsEvent:
    """The event of one line of arrays: one lane, with arrays and no other values.

    Args:
      line: the parsed line.
      calls: as for `events_from`.

    Raises:
      Exception: it is not such a line: one of those that `events_from` skips.
    """
    name = str(line["name"])
    described = calls.get(name) if isinstance(calls, Mapping) else None
    arrays = described.get("arrays") if isinstance(described, Mapping) else None
    return _of_lane(line, calls, arrays=restored(line["arrays"], line.get("nonfinite", {}), arrays))


def media_event(line: Line, calls: Any = None) -> MetricsEvent:
    """The event of one line of images and tables: one lane, with no other values.

    Images are `StoredImage`s; their files are not read.

    Args:
      line: the parsed line.
      calls: as for `events_from`.

    Raises:
      Exception: it is not such a line: one of those that `events_from` skips.
    """
    return _of_lane(line, calls, media=media_of(line))


def _of_lane(line: Line, calls: Any, **values: Any) -> MetricsEvent:
    name, position = str(line["name"]), tuple(line.get("lane_position", ()))
    lane = Lane(int(line["lane"]), dict(line["labels"]), {}, position, **values)
    step, env_step, time = int(line["step"]), env_step_of(line), time_of(line)
    own = own_total({"calls": calls}, name)
    return MetricsEvent(
        name, step, env_step, time, (lane,), {}, num_lanes=lane.index + 1, total_updates=own
    )


def time_of(line: Line) -> float:
    """Reads the time of a line, and checks that it is one."""
    seconds = float(line["timestamp"])
    datetime.fromtimestamp(seconds)  # raises an error for a number that is not a time
    return seconds


def env_step_of(line: Line) -> int | None:
    """Reads the environment steps of a line; None if it has none."""
    return int(line["env_step"]) if "env_step" in line else None


def _values(line: Line, part: str) -> dict[str, Any]:
    """The values of one part of a line, with the non-finite numbers restored."""
    nonfinite = line.get("nonfinite", {})
    return {
        key: float(nonfinite[key]) if value is None and key in nonfinite else value
        for key, value in line[part].items()
    }


def numbers_of_line(line: Line) -> dict[str, float]:
    """Returns the metrics of a line that are numbers, finite or not."""
    values = _values(line, "metrics")
    return {key: value for key, value in values.items() if isinstance(value, int | float)}


def _values_of_line(line: Line) -> dict[str, float | Histogram]:
    """The metrics of a line: numbers, finite or not, and histograms."""
    found: dict[str, float | Histogram] = {}
    for key, value in _values(line, "metrics").items():
        if isinstance(value, int | float):
            found[key] = value
        elif isinstance(value, Mapping):
            edges, counts = map(tuple, (value["edges"], value["counts"]))
            found[key] = Histogram(edges, counts, value["below"], value["above"])
    return found


def _details(line: Line) -> dict[str, Any]:
    """The arrays of a line's `details`."""
    return {key: guessed(value) for key, value in line.get("details", {}).items()}


def _episode(line: Line) -> EpisodeEvent:
    return EpisodeEvent(
        str(line["name"]),
        int(line["step"]),
        env_step_of(line),
        time_of(line),
        int(line["lane"]),
        dict(line["labels"]),
        _values(line, "episode"),
        {},
        tuple(line.get("lane_position", ())),
        sampled=line["name"] != EPISODE,
    )


def _step(line: Line) -> StepEvent:
    return StepEvent(
        int(line["step"]),
        time_of(line),
        int(line["episode"]),
        dict(line["labels"]),
        _values(line, "values"),
        {},
    )


def _task(line: Line) -> TaskEvent:
    return TaskEvent(int(line["step"]), time_of(line), _values(line, "task"), {})


def _evaluation(line: Line) -> EvaluationEvent:
    values = _values(line, "evaluation")
    return EvaluationEvent(int(line["step"]), time_of(line), values, {})


_READERS: Mapping[str, Callable[[Line], Event]] = {
    "episodes": _episode,
    "steps": _step,
    "tasks": _task,
    "evaluations": _evaluation,
}
