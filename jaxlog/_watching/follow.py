"""Follows the files of a run: reads the lines that are new since the last look."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

from jaxlog._format.lines import call_of
from jaxlog._format.named_files import named_files
from jaxlog._reading.columnar_lines import is_columnar, is_over_lanes
from jaxlog._reading.finding import event_files
from jaxlog._watching import lines


class LineGroup(NamedTuple):
    """The lines of one event.

    Attributes:
      timestamp: the time the event was logged, in seconds since 1970.
      path: the file of the lines.
      lines: the lines, without their line ends.
      end: the offset after the last of them.
      may_grow: True if more lines of the event may follow.
    """

    timestamp: float
    path: Path
    lines: Sequence[bytes]
    end: int
    may_grow: bool = False


class _Position(NamedTuple):
    """The part of a file that has been read.

    Attributes:
      start: the first bytes of the file; a file of that name with other bytes is a new one.
      read: the number of bytes that have been read, up to the end of a line.
      state: the size and the time of writing at the last look; None before the first look.
    """

    start: bytes = b""
    read: int = 0
    state: tuple[int, int] | None = None


class Follower:
    """Reads each line of a run once, also if files are added, grow, are cut back or replaced.

    A look at files that have not changed costs a call of `stat` for each.

    Args:
      directory: the directory of the run.
      number: the number of last events that the first look returns; None for all of them.
      read: for `number=None`, the offsets up to which files have been read before, by name.
    """

    def __init__(
        self, directory: Path, number: int | None, read: Mapping[str, int] | None = None
    ) -> None:
        self._directory = directory
        self._positions: dict[Path, _Position] = {}
        self._names: set[Path] = set()
        self._columns: list[Path] = []
        if number is None:
            self._positions = {
                directory / name: _Position(read=offset) for name, offset in (read or {}).items()
            }
            return
        # The last events of the run are among the last events of each file.
        beginning: list[tuple[float, int, Path]] = []
        files = self._files()
        for path in files:
            self._positions[path] = _Position(lines.beginning(path), lines.last(path, 0))
            if is_over_lanes(path):
                continue  # its rows belong to events of another file
            found = islice(lines.events_backwards(path), number)
            beginning += [(timestamp, start, path) for timestamp, start in found]
        beginning.sort()
        chosen = beginning[max(0, len(beginning) - number) :]
        for _, start, path in chosen:
            position = self._positions[path]
            self._positions[path] = position._replace(read=min(position.read, start))
        for path in filter(is_over_lanes, files if chosen else ()):
            for timestamp, start in lines.events_backwards(path):
                if timestamp < chosen[0][0]:
                    break
                self._positions[path] = self._positions[path]._replace(read=start)

    def look(self, *, ended: bool = False) -> Iterator[LineGroup]:
        """Yields the new events, in the order they were logged.

        Each lane of a step has its own line, and a look may come before all of them are written.
        So the last event of a file waits until another event follows, or until the file has not
        grown between two looks. Events of other files that are not older wait with it.

        Args:
          ended: True if the run will write no more lines.
        """
        # At equal times, metrics come before their arrays and episodes.
        files = sorted(self._files(), key=lambda path: call_of(path.name) is None)
        self._positions = {path: self._positions.get(path, _Position()) for path in files}
        new = [self._new(path, ended=ended) for path in files]
        for group in heapq.merge(*new, key=lambda group: group.timestamp):
            if group.may_grow:
                return
            self._positions[group.path] = self._positions[group.path]._replace(read=group.end)
            yield group

    def read(self) -> dict[str, int]:
        """The offset up to which each file has been read, by its name."""
        return {path.name: position.read for path, position in self._positions.items()}

    def _files(self) -> list[Path]:
        """The files in which each event is once; opens them only if there are new ones."""
        named = named_files(self._directory)
        found = named.regular_lines()
        names = {*found, *named.columns}
        if names != self._names:
            self._names = names
            self._columns = [path for path in event_files(self._directory) if is_columnar(path)]
        return [*found, *self._columns]

    def _new(self, path: Path, *, ended: bool) -> Iterator[LineGroup]:
        position = self._positions[path]
        try:
            now = path.stat()
            state = now.st_size, now.st_mtime_ns
            start = position.start if state == position.state else lines.beginning(path)
        except FileNotFoundError:  # removed since the directory was listed
            return
        same = start.startswith(position.start[: len(start)])
        # A shorter file was cut back: the run was resumed from an earlier state.
        read = min(position.read, lines.size(path, now.st_size)) if same else 0
        self._positions[path] = _Position(start, read, state)
        if lines.size(path, now.st_size) == read:
            return
        last: LineGroup | None = None
        for _, found in groupby(
            lines.forwards(path, read), lambda found: lines.head(path, found[1])
        ):
            if last is not None:
                yield last
            starts, own = zip(*found, strict=True)
            end = lines.end(path, starts[-1], own[-1])
            last = LineGroup(lines.timestamp(own[0]), path, own, end)
        if last is not None:
            settled = ended or state == position.state or lines.is_of_one_line(path)
            settled = settled or is_columnar(path)  # a batch has all lanes of its events
            yield last._replace(may_grow=not settled)
