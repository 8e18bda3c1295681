"""Reads the last event of each call of a run that has ended, from the ends of its files."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from jaxlog import _run_files
from jaxlog._format.events import MetricsEvent
from jaxlog._format.from_lines import events_from, numbers_of_line
from jaxlog._format.keys import Keys
from jaxlog._format.lines import METRICS, START
from jaxlog._format.names import CATEGORIES, EPISODE_COUNT
from jaxlog._format.segment import segment_of
from jaxlog._watching.run_row import category_of, stem_of
from jaxlog.sinks.console.values import over_lanes

_BLOCK = 2**14
"""The number of bytes that are read at the end of a file."""


class LastEvent(NamedTuple):
    """The last event of a call.

    Attributes:
      call: the name of the call.
      step: its step.
      values: the value of each key over its lanes.
      candidates: the rank of each key that can be the main metric; the lowest is preferred.
      stems: those keys by their names without the statistic.
    """

    call: str
    step: int
    values: Mapping[str, float]
    candidates: Mapping[str, int]
    stems: Mapping[str, str]


def last_events(directory: Path, facts: Mapping[str, Any]) -> list[LastEvent] | None:
    """Returns the last event of each call; None if a file has to be read in another way.

    That is so for columnar files, events of more lines than a block has, incomplete last lines, and
    runs without metrics.
    """
    calls = facts.get("calls")
    found: list[LastEvent] = []
    names = os.listdir(directory)  # noqa: PTH208  faster
    for name in sorted(names, key=lambda name: name.partition(".")[0]):
        if segment_of(name) is not None:
            return None
        if name.endswith(METRICS):
            call = name.removesuffix(METRICS)
            lines = _last_lines(os.path.join(directory, name))  # noqa: PTH118  faster
            event = None if lines is None else _last_event(call, lines, calls)
            if event is None:
                return None
            found.append(event)
    return found or None


def _last_lines(path: str) -> list[bytes] | None:
    """The lines of the last event of a file; None if they are not all in its last block."""
    data, start = _run_files.read_end(path, _BLOCK)
    lines = data.split(b"\n")
    if start:
        del lines[0]  # it may be the end of a line
    if not lines or lines.pop() or not lines:
        return None
    last = lines[-1]
    head = b",".join(last.split(b",", 2)[:2]) + b","
    first = len(lines) - 1
    while first and lines[first - 1].startswith(head):
        first -= 1
    if (first == 0 and start > 0) or not last.startswith(START):
        return None
    return lines[first:]


def _last_event(call: str, lines: Sequence[bytes], calls: Any) -> LastEvent | None:
    parsed = [_run_files.loads(line) for line in lines]
    if len(parsed) == 1:  # over one lane, each statistic is the value itself
        values = {key: float(value) for key, value in numbers_of_line(parsed[0]).items()}
        step = int(parsed[0]["step"])
    else:
        event = next(events_from(f"{call}{METRICS}", parsed, calls), None)
        if not isinstance(event, MetricsEvent):
            return None
        values = {key: value.middle for key, value in over_lanes(event).items()}
        step = event.step
    described = calls.get(call) if isinstance(calls, Mapping) else None
    return LastEvent(call, step, values, *_meaning(orjson.dumps(described), tuple(values)))


@functools.lru_cache(4096)
def _meaning(described: bytes, names: tuple[str, ...]) -> tuple[Mapping[str, int], dict[str, str]]:
    """Finds the keys that can be the main metric, with their ranks, and the stems of these."""
    keys = Keys(orjson.loads(described), of_episodes=EPISODE_COUNT in names)
    candidates: dict[str, int] = {}
    stems: dict[str, str] = {}
    for name in names:
        category = category_of(keys[name], name)
        if category is not None:
            candidates[name] = CATEGORIES.index(category)
            if stem := stem_of(name):
                stems.setdefault(stem, name)
    return candidates, stems
