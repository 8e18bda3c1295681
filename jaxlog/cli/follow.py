"""Follows the files of a run: the lines that are new since the last look."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

from jaxlog.cli import lines
from jaxlog.sinks.jsonl import line_files


class Group(NamedTuple):
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


class _Place(NamedTuple):
    """How far one file is read.

    Attributes:
      file: which one it was: another of its name is another.
      read: the bytes that are read, up to the end of a line.
      size: how long it was at the last look.
    """

    file: tuple[int, int]
    read: int
    size: int


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
            file = _identity(path.stat())
            self._places[path] = _Place(file, lines.last(path, 0), -1)
            found = islice(lines.events_backwards(path), number)
            beginning += [(timestamp, start, path) for timestamp, start in found]
        beginning.sort()
        for _, start, path in beginning[max(0, len(beginning) - number) :]:
            place = self._places[path]
            self._places[path] = place._replace(read=min(place.read, start))

    def look(self, *, ended: bool = False) -> Iterator[Group]:
        """What is new, in the order it was logged.

        The lanes of a step have a line each, and a look may fall between them: the last event of a
        file, and what is not older, waits until another follows, or the file has not grown from
        one look to the next.

        Args:
          ended: whether nothing more will come.
        """
        # Of one time, metrics come before the episodes they are of.
        files = sorted(line_files(self._directory), key=lines.is_of_one_line)
        new = [self._new(path, ended=ended) for path in files]
        for group in heapq.merge(*new, key=lambda group: group.timestamp):
            if group.may_grow:
                return
            self._places[group.path] = self._places[group.path]._replace(read=group.end)
            yield group

    def _new(self, path: Path, *, ended: bool) -> Iterator[Group]:
        try:
            now = path.stat()
        except FileNotFoundError:  # it was there a moment ago
            return
        place = self._places.get(path)
        if place is None or place.file != _identity(now):
            place = _Place(_identity(now), 0, -1)
        # Cut back: the run went on from where it was before.
        read = min(place.read, now.st_size)
        self._places[path] = _Place(place.file, read, now.st_size)
        if now.st_size == read:
            return
        last: Group | None = None
        for _, found in groupby(
            lines.forwards(path, read), lambda found: lines.head(path, found[1])
        ):
            if last is not None:
                yield last
            starts, own = zip(*found, strict=True)
            end = starts[-1] + len(own[-1]) + 1
            last = Group(lines.timestamp(own[0]), path, own, end)
        if last is not None:
            settled = ended or now.st_size == place.size or lines.is_of_one_line(path)
            yield last._replace(may_grow=not settled)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
