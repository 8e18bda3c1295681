"""From the lines of a run's files back to the events they were written of, but for `details`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import orjson

from jaxlog._format.keys import Keys
from jaxlog.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    Lane,
    MetricsEvent,
    StepEvent,
    TaskEvent,
)
from jaxlog.host.single import EPISODE
from jaxlog.names import EPISODE_COUNT
from jaxlog.sinks.jsonl import METRICS, START

BLOCK = 2**16
"""The bytes that are read at a time, from a file's end towards its beginning."""


def count(path: Path) -> int:
    """How many whole lines a file has."""
    with path.open("rb", buffering=0) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))


def backwards(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file, the last first, each with the place at which it begins."""
    with path.open("rb", buffering=0) as file:
        start = file.seek(0, 2)
        rest: list[bytes] = []  # of a line that begins further up, the last piece first
        end: int | None = None  # of that line; None before the last whole line was found
        while start:
            size = min(BLOCK, start)
            start -= size
            file.seek(start)
            block = file.read(size)
            stop = len(block)
            while (found := block.rfind(b"\n", 0, stop)) >= 0:
                if end is not None:
                    line = b"".join([block[found + 1 : stop], *reversed(rest)])
                    yield start + found + 1, line
                rest, end, stop = [], start + found + 1, found
            if end is not None:
                rest.append(block[:stop])
        if end is not None:
            yield 0, b"".join(reversed(rest))


def forwards(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file from a place on, each with the place at which it begins."""
    with path.open("rb") as file:
        if start:
            file.seek(start - 1)
            start += len(file.readline()) - 1  # nothing, at the beginning of a line
        for line in file:
            if line.endswith(b"\n"):
                yield start, line[:-1]
            start += len(line)


def events_backwards(path: Path) -> Iterator[tuple[float, int]]:
    """The events of a file, the last first: the time of each, and the place at which it begins."""
    for _, group in groupby(backwards(path), lambda found: head(path, found[1])):
        *_, (start, line) = group
        yield timestamp(line), start


def last(path: Path, number: int) -> int:
    """The place at which the last so many events of a file begin; the end of the last, for none."""
    if number > 0:
        *_, start = [0, *(start for _, start in islice(events_backwards(path), number))]
        return start
    return next((start + len(line) + 1 for start, line in backwards(path)), 0)


def timestamp(line: bytes) -> float:
    """When a line was logged, without all of it being read; 0 where it does not say."""
    try:
        return float(line.removeprefix(START).split(b",", 1)[0])
    except ValueError:
        return 0.0


def is_of_one_line(path: Path) -> bool:
    """Whether each event of a file is one line: those of metrics have a line for each lane."""
    return _call(path) is None


def head(path: Path, line: bytes) -> bytes:
    """What the lines of one event have in common: those of all its lanes, and of no other's."""
    # The timestamp and the step, which come first.
    return line if is_of_one_line(path) else b",".join(line.split(b",", 2)[:2])


def events(path: Path, lines: Iterable[bytes], calls: Any = None) -> Iterator[Event]:
    """The events of some lines of a file; what is no line of jaxlog's is left out.

    Args:
      path: of the file.
      lines: of it.
      calls: what run.json has under `calls`: what each key means.
    """
    call = _call(path)
    for _, group in groupby(lines, lambda line: head(path, line)):
        found = [line for line in map(read, group) if line is not None]
        try:
            if call is not None:
                yield from _metrics(call, found, calls)
            else:
                for line in found:
                    yield _READERS[path.stem](line)
        except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError):
            continue


def _call(path: Path) -> str | None:
    """The call whose lines are in a file; None of a file of another kind."""
    return path.name.removesuffix(METRICS) if path.name.endswith(METRICS) else None


def read(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None where it is broken."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _metrics(call: str, lines: list[dict[str, Any]], calls: Any) -> Iterator[MetricsEvent]:
    lanes = tuple(
        Lane(
            int(line["lane"]),
            dict(line["labels"]),
            _numbers(_values(line, "metrics")),
            tuple(line.get("lane_position", ())),
        )
        for line in lines
        if "lane" in line
    )
    if not lanes:
        return
    keys = dict.fromkeys(key for lane in lanes for key in lane.metrics)
    described = calls.get(call) if isinstance(calls, Mapping) else None
    meaning = Keys(described, of_episodes=EPISODE_COUNT in keys)
    yield MetricsEvent(
        call,
        int(lines[0]["step"]),
        _env_step(lines[0]),
        _time(lines[0]),
        lanes,
        {key: meaning[key] for key in keys},
        num_lanes=max(lane.index for lane in lanes) + 1,
    )


def _time(line: Mapping[str, Any]) -> float:
    seconds = float(line["timestamp"])
    datetime.fromtimestamp(seconds)  # what is no time, it refuses
    return seconds


def _env_step(line: Mapping[str, Any]) -> int | None:
    return int(line["env_step"]) if "env_step" in line else None


def _values(line: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The values of a line, with the numbers that JSON does not have."""
    nonfinite = line.get("nonfinite", {})
    return {
        key: float(nonfinite[key]) if value is None and key in nonfinite else value
        for key, value in line[part].items()
    }


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in values.items() if isinstance(value, int | float)}


def _episode(line: Mapping[str, Any]) -> EpisodeEvent:
    return EpisodeEvent(
        str(line["name"]),
        int(line["step"]),
        _env_step(line),
        _time(line),
        int(line["lane"]),
        dict(line["labels"]),
        _values(line, "episode"),
        {},
        tuple(line.get("lane_position", ())),
        sampled=line["name"] != EPISODE,
    )


def _step(line: Mapping[str, Any]) -> StepEvent:
    return StepEvent(
        int(line["step"]),
        _time(line),
        int(line["episode"]),
        dict(line["labels"]),
        _values(line, "values"),
        {},
    )


def _task(line: Mapping[str, Any]) -> TaskEvent:
    return TaskEvent(int(line["step"]), _time(line), _values(line, "task"), {})


def _evaluation(line: Mapping[str, Any]) -> EvaluationEvent:
    values = _values(line, "evaluation")
    return EvaluationEvent(int(line["step"]), _time(line), values, {})


_READERS = {"episodes": _episode, "steps": _step, "tasks": _task, "evaluations": _evaluation}
