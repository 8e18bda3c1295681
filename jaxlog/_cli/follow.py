"""Follows the files of a run: the lines that are new since the last look."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

from jaxlog._cli import lines
from jaxlog._run_files import open_file
from jaxlog.sinks.jsonl import line_files


class LineGroup(NamedTuple):
    """The lines of one event.

    Attributes:
      timestamp: when it was logged, in seconds since 1970.
      path: the file they are in.
      lines: without their ends.
      end: the place behind them.
      may_grow: whether more of its lines may come.
    """

    timestamp: float
    path: Path
    lines: Sequence[bytes]
    end: int
    may_grow: bool = False


_START = 64
"""So many bytes tell files of one name from each other: they have the time of the first line."""


class _Place(NamedTuple):
    """How far one file is read.

    Attributes:
      start: how it began: a file of its name that begins otherwise is another.
      read: the bytes that are read, up to the end of a line.
      state: how long it was at the last look, and when it was written; None before the first.
    """

    start: bytes = b""
    read: int = 0
    state: tuple[int, int] | None = None


class Follower:
    """The lines of a run, once each, however its files come, grow, are cut back or replaced.

    A look at files that have not changed costs a call of `stat` for each.

    Args:
      directory: the run's.
      number: how many of the last events there are to begin with.
    """

    def __init__(self, directory: Path, number: int) -> None:
        self._directory = directory
        self._places: dict[Path, _Place] = {}
        # The last of all are among the last of each file.
        beginning: list[tuple[float, int, Path]] = []
        for path in line_files(directory):
            self._places[path] = _Place(_start(path), lines.last(path, 0))
            found = islice(lines.events_backwards(path), number)
            beginning += [(timestamp, start, path) for timestamp, start in found]
        beginning.sort()
        for _, start, path in beginning[max(0, len(beginning) - number) :]:
            place = self._places[path]
            self._places[path] = place._replace(read=min(place.read, start))

    def look(self, *, ended: bool = False) -> Iterator[LineGroup]:
        """What is new, in the order it was logged.

        The lanes of a step have a line each, and a look may fall between them: the last event of a
        file, and what is not older, waits until another follows, or the file has not grown from
        one look to the next.

        Args:
          ended: whether nothing more will come.
        """
        # Of one time, metrics come before the episodes they are of.
        files = sorted(line_files(self._directory), key=lines.is_of_one_line)
        self._places = {path: self._places.get(path, _Place()) for path in files}
        new = [self._new(path, ended=ended) for path in files]
        for group in heapq.merge(*new, key=lambda group: group.timestamp):
            if group.may_grow:
                return
            self._places[group.path] = self._places[group.path]._replace(read=group.end)
            yield group

    def _new(self, path: Path, *, ended: bool) -> Iterator[LineGroup]:
        place = self._places[path]
        try:
            now = path.stat()
            state = now.st_size, now.st_mtime_ns
            start = place.start if state == place.state else _start(path)
        except FileNotFoundError:  # it was there a moment ago
            return
        same = start.startswith(place.start[: len(start)])
        # Cut back: the run went on from where it was before.
        read = min(place.read, now.st_size) if same else 0
        self._places[path] = _Place(start, read, state)
        if now.st_size == read:
            return
        last: LineGroup | None = None
        for _, found in groupby(
            lines.forwards(path, read), lambda found: lines.head(path, found[1])
        ):
            if last is not None:
                yield last
            starts, own = zip(*found, strict=True)
            end = starts[-1] + len(own[-1]) + 1
            last = LineGroup(lines.timestamp(own[0]), path, own, end)
        if last is not None:
            settled = ended or state == place.state or lines.is_of_one_line(path)
            yield last._replace(may_grow=not settled)


def _start(path: Path) -> bytes:
    with open_file(path) as file:
        return file.read(_START)
