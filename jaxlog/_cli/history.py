"""What a run's files say last: its last events, how far it came, and what was not finite."""

from __future__ import annotations

import contextlib
import functools
import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from jaxlog._cli import lines, runs
from jaxlog._format.events import Event, MetricsEvent
from jaxlog._format.health import Tally
from jaxlog._format.lines import METRICS
from jaxlog._reading.finding import run_files
from jaxlog.sinks.console.history import LENGTH

READ = 2 * LENGTH
"""So many events of each file are read: a trend has LENGTH of them, and some of the last may have
come late and belong further up."""

MOST_LINES = 1000
"""Of a file no more are read to find its last step, however many lanes it has."""


def last_events(files: Sequence[Path], calls: Any = None) -> Iterator[Event]:
    """The last events of each file, in the order they came.

    Args:
      files: those with the run's lines.
      calls: what run.json has under `calls`.
    """
    last = (_last(path, calls) for path in files)
    return heapq.merge(*last, key=lambda event: event.timestamp)


def _last(path: Path, calls: Any) -> Iterator[Event]:
    found = lines.forwards(path, lines.last(path, READ))
    return lines.events(path, (line for _, line in found), calls)


def tally(run: runs.ObservedRun, files: Sequence[Path]) -> Tally | None:
    """What was not finite in a run's lines; None where run.json says it.

    That of a run which was killed is up to a second behind, and that of jaxlog 0.1 does not say.
    """
    if "health" in run.facts and run.status != "killed":
        return None
    found = Tally()
    for path in files:
        if path.name.endswith(METRICS):
            every = (line for _, line in lines.forwards(path))
            for event in lines.events(path, every, run.facts.get("calls")):
                if isinstance(event, MetricsEvent):
                    found.add(event)
    return found


def last_place(run: runs.ObservedRun) -> tuple[int | None, float | None]:
    """The updates, or the steps of a single environment, that are done; and when the last was."""
    found: list[tuple[int, float]] = []
    try:
        for path in run_files(run.path):
            last = (line for _, line in islice(lines.backwards(path), MOST_LINES))
            by_event = groupby(last, lambda line, path=path: lines.head(path, line))
            # Several, since the last may have come late.
            for _, group in islice(by_event, READ):
                found += _place(next(group))
    except OSError:  # somebody else's: that there is such a run is all that can be told
        return None, None
    done = max((step + 1 for step, _ in found), default=None)
    return done, max((timestamp for _, timestamp in found), default=None)


def _place(line: bytes) -> Iterator[tuple[int, float]]:
    """The step of a line, and when it was logged; nothing of a line that is none of jaxlog's."""
    with contextlib.suppress(IndexError, ValueError):
        yield int(line.split(b",", 2)[1].removeprefix(b'"step":')), lines.timestamp(line)


def logged_before(files: Sequence[Path], history: Sequence[Event]) -> Callable[[str, int], bool]:
    """Whether a call logged a step before its last events.

    Args:
      files: those with the run's lines.
      history: its last events, as `last_events` gives them.
    """

    @functools.cache
    def steps_before(name: str) -> set[bytes]:
        """The steps of the last events that the lines before them have, too."""
        steps = {b'"step":%d' % event.step for event in history if _is_of(event, name)}
        found: set[bytes] = set()
        for path in files:
            if path.name == name + METRICS:
                end = lines.last(path, READ)
                for start, line in lines.forwards(path):
                    if start >= end:
                        break
                    found.update(line.split(b",", 2)[1:2])
        return found & steps

    return lambda name, step: b'"step":%d' % step in steps_before(name)


def _is_of(event: Event, name: str) -> bool:
    return isinstance(event, MetricsEvent) and event.name == name
