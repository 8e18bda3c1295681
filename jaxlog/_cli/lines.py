"""The whole lines of a run's files, from either end, and the events that they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from jaxlog._format.events import Event
from jaxlog._format.from_lines import events_from
from jaxlog._format.lines import START, call_of
from jaxlog._run_files import LONGEST, count_lines, is_whole, lines_from, loads, open_file

BLOCK = 2**16
"""The bytes that are read at a time, from a file's end towards its beginning."""


def count(path: Path) -> int:
    """How many whole lines a file has."""
    return count_lines(path)


def backwards(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file, the last first, each with the place at which it begins.

    The last may lack its end, where it is whole all the same.
    """
    with open_file(path) as file:
        start = file.seek(0, 2)
        rest: list[bytes] = []  # of a line that begins further up, the last piece first
        behind = start  # the end of that line
        ended = False  # whether that line is: not yet before the last end of a line was found
        while start:
            size = min(BLOCK, start)
            start -= size
            file.seek(start)
            block = file.read(size)
            stop = len(block)
            while (found := block.rfind(b"\n", 0, stop)) >= 0:
                line = b"".join([block[found + 1 : stop], *reversed(rest)])
                if ended or is_whole(line):
                    yield start + found + 1, line
                rest, ended, stop = [], True, found
                behind = start + found
            if behind - start > LONGEST:  # no line is as long
                return
            rest.append(block[:stop])
        line = b"".join(reversed(rest))
        if ended or is_whole(line):
            yield 0, line


def forwards(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file from a place on, each with the place at which it begins.

    The last may lack its end, where it is whole all the same.
    """
    with open_file(path) as file:
        found = lines_from(file, max(0, start - 1))
        if start:
            next(found, None)  # nothing but its end, at the beginning of a line
        for place, line in found:
            if line.endswith(b"\n"):
                yield place, line[:-1]
            elif is_whole(line):
                yield place, line


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
    return call_of(path.name) is None


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
    for _, group in groupby(lines, lambda line: head(path, line)):
        found = [line for line in map(read, group) if line is not None]
        yield from events_from(path.name, found, calls)


def read(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None where it is broken."""
    try:
        found = loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
