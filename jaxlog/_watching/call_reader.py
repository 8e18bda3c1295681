"""Reads the last event of a call and its trend from files that grow: each look only what is new."""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._format.arrow_stream import Message
from jaxlog._format.events import Event
from jaxlog._format.lines import call_of
from jaxlog._reading import columnar_events, columnar_lines
from jaxlog._reading.columnar_lines import ROWS, is_columnar
from jaxlog._watching import lines
from jaxlog._watching.trend_points import EventLines, TrendPoint, WholeFile, point_of, point_of_line
from jaxlog.sinks.console.trend import Thinned

MOST_POINTS = 48
"""The maximum number of points of a trend; there are half as many at least, in a long run."""

BEFORE = 2**12
"""The number of bytes that are read before a point, which are more than a usual line has."""

WHOLE = 2**18
"""The bytes up to which a file of lines is read as a whole, when its trend is read first."""


class _Place(NamedTuple):
    """The place of the last event in the files.

    Attributes:
      file: its file.
      start: the offset of its first line.
      head: the part of its first line by which it is recognized.
      state: the size and the time of writing of the file.
      settled: False if more lines of the event may follow.
    """

    file: Path
    start: int
    head: bytes
    state: tuple[int, int]
    settled: bool


class _Start(NamedTuple):
    """Where the next point is looked for.

    Attributes:
      offset: the offset at which its event begins, or before it.
      begin: the offset from which the file is read, to see if the line at `offset` is the first one
        of its event.
    """

    offset: int
    begin: int


class CallReader:
    """Reads one call of a run.

    Attributes:
      event: the last event; None if there is none.
    """

    def __init__(self) -> None:
        self.event: Event | None = None
        self._files: list[Path] = []
        self._place: _Place | None = None
        self._key: str | None = None
        self._restart()

    def _restart(self) -> None:
        self._points = Thinned[TrendPoint](MOST_POINTS)
        self._next: dict[Path, _Start] = {}  # where to look for the next point of each file
        self._batches: dict[Path, list[Message]] = {}  # of each columnar file

    def look(self, files: Sequence[Path], calls: Any, *, ended: bool) -> bool:
        """Reads the last event, and returns True if it is another than before.

        If the files were cut back or replaced, as when a run is resumed, the points are forgotten.

        Args:
          files: the files of the call, in their order.
          calls: the value of `calls` in run.json.
          ended: True if the run will write no more lines.
        """
        file = files[-1]
        status = file.stat()
        state = status.st_size, status.st_mtime_ns
        place = self._place
        if place is not None and file == place.file and state == place.state and place.settled:
            return False
        if list(files[: len(self._files)]) != self._files or not self._is_there(place):
            self._restart()
            place = None
        self._files = list(files)
        for one in filter(is_columnar, files):
            known = self._batches.setdefault(one, [])
            known += columnar_lines.batches(one, known[-1].end if known else 0)
        ended = ended or (place is not None and place.state == state)
        found, settled = _last_group(file, self._batches.get(file, ()), ended=ended)
        if not found:
            self.event, self._place = None, None
            return place is not None
        start, first = found[0]
        same = place is not None and place[:2] == (file, start) and place.settled
        self._place = _Place(file, start, lines.head(file, first), state, settled)
        if same:
            return False
        self.event = next(lines.events(file, (line for _, line in found), calls), None)
        return True

    def points(self, key: str, calls: Any, until: float) -> list[TrendPoint] | None:
        """Reads new points, and returns all points; None if the time was too short.

        The next call continues where this one stopped.

        Args:
          key: the key of the trend.
          calls: the value of `calls` in run.json.
          until: the time at which reading stops, by `time.monotonic`.
        """
        if key != self._key:
            self._key = key
            self._points, self._next = Thinned[TrendPoint](MOST_POINTS), {}
        if self._place is not None:
            before = 0
            for file in self._files:
                last = file == self._place.file
                end = self._place.start if last else lines.size(file, file.stat().st_size)
                if not self._read_points(file, before, end, calls, until):
                    return None
                before += _position(end, self._batches.get(file, ()))
        own = [point_of(self.event, key)] if self.event is not None else []
        return self._points.items() + own

    def _read_points(self, file: Path, before: int, end: int, calls: Any, until: float) -> bool:
        """Reads the points of one file; False if the time was too short.

        Args:
          file: the file.
          before: the number of bytes in the files before it.
          end: the offset up to which it is read.
          calls: the value of `calls` in run.json.
          until: when reading stops.
        """
        assert self._key is not None
        self._points.make_room(before + _position(end, self._batches.get(file, ())))
        if is_columnar(file) and not lines.is_of_one_line(file):
            for at, event in self._first_events(file, before, end, calls):
                self._points.add(at, point_of(event, self._key))
                if time.monotonic() > until:
                    return False
            return True
        for at, found in self._first_groups(file, before, end):
            point = point_of_line(file, found, self._key)
            if point is not None:
                self._points.add(at, point)
            else:
                for event in lines.events(file, (line for _, line in found), calls):
                    self._points.add(at, point_of(event, self._key))
            if time.monotonic() > until:
                return False
        return True

    def _first_events(
        self, file: Path, before: int, end: int, calls: Any
    ) -> Iterator[tuple[int, Event]]:
        """Yields the first event of each range of a columnar file that has no point."""
        batches = self._batches.get(file, ())
        start = self._next.get(file, _Start(0, 0))
        while start.offset < end:
            rows = columnar_events.forwards(file, start.begin)
            found = next((one for one in rows if one.parts[0].start >= start.offset), None)
            if found is None or found.parts[0].start >= end:
                break
            at = before + _position(found.parts[0].start, batches)
            width = self._points.width
            following = _start_at((at // width + 1) * width - before, batches)
            ended = found.parts[-1].start + found.parts[-1].rows.num_rows
            start = following if following.offset > ended else _Start(ended, ended)
            self._next[file] = start
            event = found.event(call_of(file.name) or "", calls)
            made = lines.events(file, found.lines(), calls) if event is None else [event]
            yield from ((at, one) for one in made)
        if start.offset < end:
            self._next[file] = _Start(end, end)

    def _first_groups(self, file: Path, before: int, end: int) -> Iterator[tuple[int, EventLines]]:
        """Yields the lines of the first event of each range without a point, with its position."""
        batches = self._batches.get(file, ())
        start = self._next.get(file, _Start(0, 0))
        is_whole = not start.offset and end <= WHOLE and not is_columnar(file)
        whole = WholeFile(file) if is_whole else None
        while start.offset < end:
            found = _first_group(file, start) if whole is None else whole.first(start.offset)
            if not found or found[0][0] >= end:
                break
            at = before + _position(found[0][0], batches)
            width = self._points.width
            following = _start_at((at // width + 1) * width - before, batches)
            ended = lines.end(file, *found[-1])
            start = following if following.offset > ended else _Start(ended, ended)
            self._next[file] = start
            yield at, found
        if start.offset < end:
            self._next[file] = _Start(end, end)

    def _is_there(self, place: _Place | None) -> bool:
        """True if the last event is still where it was."""
        if place is None:
            return False
        try:
            found = next(lines.forwards(place.file, place.start), None)
        except FileNotFoundError:
            return False
        return found is not None and (found[0], lines.head(place.file, found[1])) == (
            place.start,
            place.head,
        )


def _last_group(file: Path, batches: Sequence[Message], *, ended: bool) -> tuple[EventLines, bool]:
    """The lines of the last event, in their order; and False if more of them may follow.

    Each lane has its own line. If the last event has fewer than the one before it, others may
    follow, and the one before is returned.
    """
    if is_columnar(file):  # a batch has all lanes of its events
        if not batches:
            return [], True
        rows = columnar_lines.backwards(file, batches[-1].start * ROWS)
        return next(_groups(file, rows), []), True
    (newest, *older) = [*islice(_groups(file, lines.backwards(file)), 2)] or [[]]
    if older and len(newest) < len(older[0]) and not ended:
        return older[0], False
    return newest, True


def _groups(file: Path, backwards: Iterator[tuple[int, bytes]]) -> Iterator[EventLines]:
    head = lines.heads_of_lines(file)
    for _, group in groupby(backwards, lambda found: head(found[1])):
        yield list(group)[::-1]


def _first_group(file: Path, start: _Start) -> EventLines:
    """The lines of the first event that begins at an offset or after it."""
    head = lines.heads_of_lines(file)
    groups = groupby(lines.forwards(file, start.begin), lambda found: head(found[1]))
    known = start.begin in (0, start.offset)  # False while lines of the event may be before
    for _, group in groups:
        found = list(group)
        if known and found[0][0] >= start.offset:
            return found
        known = True
    return []


def _position(offset: int, batches: Sequence[Message]) -> int:
    """The place of a line in a file, in bytes; rows have equal parts of their batch.

    Args:
      offset: the offset of the line.
      batches: the batches of a columnar file; empty for a file with lines.
    """
    if not batches:
        return offset
    start, row = divmod(offset, ROWS)
    number = bisect.bisect_right(batches, start, key=lambda batch: batch.start) - 1
    if number < 0 or start >= batches[number].end:
        return start
    batch = batches[number]
    return start + row * (batch.end - start) // max(1, batch.rows)


def _start_at(position: int, batches: Sequence[Message]) -> _Start:
    """Where the first event at a position in bytes or after it is looked for."""
    if not batches:
        return _Start(position, max(0, position - BEFORE))
    number = bisect.bisect_right(batches, position, key=lambda batch: batch.start) - 1
    if number < 0:
        offset = batches[0].start * ROWS
        return _Start(offset, offset)
    batch = batches[number]
    row = -(-(position - batch.start) * batch.rows // (batch.end - batch.start))
    offset = batch.start * ROWS + row if row < batch.rows else batch.end * ROWS
    return _Start(offset, offset - 1 if 0 < row < batch.rows else offset)
