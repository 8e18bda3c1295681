"""Reads evenly spaced events of a run, for trends, without reading its files as a whole."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxlog._format.events import EpisodeEvent, EvaluationEvent, Event, MetricsEvent
from jaxlog._format.lines import BESIDE_METRICS, call_of
from jaxlog._reading import columnar_lines
from jaxlog._reading.columnar_lines import ROWS, is_columnar
from jaxlog._watching import lines
from jaxlog.sinks.console.line_values import Event as TableEvent

MOST, FEWEST = 128, 16
"""The number of events that are read of a call with few lanes, and with very many."""
MOST_LINES = 2**14
"""The number of lines that these events have at most, if there are more than `FEWEST`."""
SMALL = 2**17
"""The size in bytes up to which a file is read as a whole."""


def is_small(path: Path) -> bool:
    """True if all events of a file are read."""
    return path.name not in BESIDE_METRICS and path.stat().st_size <= SMALL


def spread_events(
    files: Sequence[Path], last: Sequence[Event], calls: Any = None
) -> dict[str, list[TableEvent]]:
    """Reads evenly spaced events of the calls whose files are not small.

    Args:
      files: the files with the run's lines.
      last: the last events of the run, which say how many lanes a call has.
      calls: the value of `calls` in run.json.

    Returns:
      The events by the name of their table (the call, or `evaluation`), in the order they were
      logged.
    """
    lanes = max([event.num_logged for event in last if isinstance(event, MetricsEvent)], default=1)
    most = min(MOST, max(FEWEST, MOST_LINES // max(1, lanes)))
    of_call: dict[str, list[Path]] = {}
    for path in files:
        if path.name not in BESIDE_METRICS:  # it has no numbers for a trend
            of_call.setdefault(call_of(path.name) or path.name, []).append(path)
    found: dict[str, list[TableEvent]] = {}
    for own in of_call.values():
        if not all(map(is_small, own)):
            total = sum(path.stat().st_size for path in own)
            for path in own:
                number = -(-most * path.stat().st_size // total)
                for event in _spread(path, number, calls):
                    name = _table_of(event)
                    if name is not None and isinstance(event, TableEvent):
                        found.setdefault(name, []).append(event)
    return found


def _table_of(event: Event) -> str | None:
    match event:
        case MetricsEvent() | EpisodeEvent(sampled=False):
            return event.name
        case EvaluationEvent():
            return "evaluation"
        case _:
            return None


def _spread(path: Path, most: int, calls: Any) -> Iterator[Event]:
    """Yields evenly spaced events of one file."""
    last: tuple[float, int] | None = None
    for start in _starts(path, most):
        # From the middle of an event its rest is read, which is left out.
        following = itertools.islice(lines.events_since(path, start, calls), int(start > 0), None)
        event = next(following, None)
        if event is not None and (event.timestamp, event.step) != last:
            last = event.timestamp, event.step
            yield event


def _starts(path: Path, most: int) -> Iterator[int]:
    """Yields evenly spaced offsets of a file."""
    if not is_columnar(path):
        size = path.stat().st_size
        yield from (i * size // most for i in range(most))
        return
    batches = columnar_lines.batches(path)
    ends = list(itertools.accumulate(batch.rows for batch in batches))
    for i in range(most if ends else 0):
        row = i * ends[-1] // most
        number = bisect.bisect_right(ends, row)
        yield batches[number].start * ROWS + row - (ends[number] - batches[number].rows)
