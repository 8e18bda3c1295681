"""Reads the end of a run's files: its last events, its progress, the values not finite."""

from __future__ import annotations

import contextlib
import functools
import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from jaxlog._format.events import Event, MetricsEvent
from jaxlog._format.health import Tally
from jaxlog._format.lines import BESIDE_METRICS, call_of
from jaxlog._format.run_file import counts_updates_of_run
from jaxlog._reading.finding import event_files
from jaxlog._watching import lines
from jaxlog._watching.observed_run import ObservedRun
from jaxlog._watching.spread import is_small
from jaxlog.sinks.console.history import LENGTH

READ = 2 * LENGTH
"""The number of last events that are read of each file: some of the last may have arrived late and
belong before the others."""

READ_LONG = 4
"""The number of last events that are read of a file with arrays or media, whose lines are long."""

MOST_LINES = 1000
"""The most lines that are read of a file to find its last step, however many lanes it has."""


def last_events(files: Sequence[Path], calls: Any = None) -> Iterator[Event]:
    """Reads the last events of all files, in the order they were logged; of small files, all.

    Args:
      files: the files with the run's lines.
      calls: the value of `calls` in run.json.
    """
    last = (_last(path, calls) for path in files)
    return heapq.merge(*last, key=lambda event: event.timestamp)


def _last(path: Path, calls: Any) -> Iterator[Event]:
    return lines.events_since(path, _start(path), calls)


def _start(path: Path) -> int:
    """The offset from which the events of a file are read."""
    if is_small(path):
        return 0
    return lines.last(path, READ_LONG if path.name in BESIDE_METRICS else READ)


def tally(run: ObservedRun, files: Sequence[Path]) -> Tally | None:
    """Counts the values that are not finite in a run's lines; None if run.json has the counts.

    All lines are read if the run was killed, since its run.json may be a second old, and if jaxlog
    0.1 wrote it, which did not count.
    """
    if "health" in run.facts and run.status != "killed":
        return None
    found = Tally()
    for path in files:
        if call_of(path.name) is not None:
            for event in lines.events_since(path, 0, run.facts.get("calls")):
                if isinstance(event, MetricsEvent):
                    found.add(event)
    return found


def progress(run: ObservedRun) -> tuple[int | None, float | None]:
    """Returns the number of updates done (or steps of a single environment) and the last time.

    Each is None if the run has no lines. The time is in seconds since 1970.
    """
    found: list[tuple[int, float]] = []
    try:
        for path in event_files(run.path):
            if path.name in BESIDE_METRICS:  # its long lines have the steps of the metrics
                continue
            call = call_of(path.name)
            counts = call is None or counts_updates_of_run(run.facts, call)
            last = (line for _, line in islice(lines.backwards(path), MOST_LINES))
            by_event = groupby(last, lambda line, path=path: lines.head(path, line))
            # Several events, since the last line may have arrived late.
            for _, group in islice(by_event, READ):
                for step, timestamp in _step_and_time(next(group)):
                    found.append((step if counts else -1, timestamp))
    except (OSError, ModuleNotFoundError):  # files that cannot be read; the run is listed anyway
        return None, None
    done = max((step + 1 for step, _ in found), default=0)
    return done or None, max((timestamp for _, timestamp in found), default=None)


def _step_and_time(line: bytes) -> Iterator[tuple[int, float]]:
    """Yields the step of a line and the time it was logged; nothing for a line not of jaxlog."""
    with contextlib.suppress(IndexError, ValueError):
        yield int(line.split(b",", 2)[1].removeprefix(b'"step":')), lines.timestamp(line)


def logged_before(files: Sequence[Path], history: Sequence[Event]) -> Callable[[str, int], bool]:
    """Returns a function that says if a call logged a step before its last events.

    It reads all lines of a call the first time it is asked about that call, and keeps only those of
    its steps that are among the last events.

    Args:
      files: the files with the run's lines.
      history: its last events, from `last_events`.

    Returns:
      A function of a call's name and a step.
    """

    @functools.cache
    def steps_before(name: str) -> set[bytes]:
        """Returns the steps of the last events that also have a line before these events."""
        steps = {b'"step":%d' % event.step for event in history if _is_of(event, name)}
        found: set[bytes] = set()
        for path in files:
            if call_of(path.name) == name:
                end = _start(path)
                for start, head in lines.heads(path):
                    if start >= end:
                        break
                    found.update(steps.intersection(head.split(b",", 2)[1:2]))
        return found

    return lambda name, step: b'"step":%d' % step in steps_before(name)


def _is_of(event: Event, name: str) -> bool:
    return isinstance(event, MetricsEvent) and event.name == name
