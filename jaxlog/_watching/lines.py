"""Reads the complete lines of a run's files, from either end, and the events they encode."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from jaxlog._format.events import Event
from jaxlog._format.from_lines import events_from
from jaxlog._format.from_many_lines import event_of_many
from jaxlog._format.lines import BESIDE_METRICS, START, call_of
from jaxlog._reading import columnar_events, columnar_lines
from jaxlog._reading.columnar_lines import is_columnar
from jaxlog._run_files import LONGEST, count_lines, is_whole, lines_from, loads, open_file

MANY = 256
"""The number of lines from which the lines of an event are read together, not one by one."""
_BEGINNING = 64
"""The number of first bytes by which a replaced file is recognized: they have the time of its first
line."""
BLOCK = 2**16
"""The number of bytes that are read at a time, from the end of a file to its beginning."""
_LARGE_BLOCK = 2**20
"""The same for the lines of an event with many lanes."""


def count(path: Path) -> int:
    """Counts the complete lines of a file, or its rows."""
    if is_columnar(path):
        return columnar_lines.count(path)
    return count_lines(path)


def backwards(path: Path, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yields the complete lines of a file, the last first, each with the offset of its first byte.

    The last line may lack its line end if it is a complete JSON object. The rows of a columnar file
    are lines, too, with offsets of their own.

    Args:
      path: the path of the file.
      end: the offset after the last of these lines; None for the end of the file. Only for a file
        of lines.
    """
    if is_columnar(path):
        yield from columnar_lines.backwards(path)
        return
    with open_file(path) as file:
        start = file.seek(0, 2) if end is None else end
        rest: list[bytes] = []  # the pieces of the line that begins before `start`, last one first
        line_end = start  # the offset at which that line ends
        has_end = False  # False only for a last line without a line end
        while start:
            size = min(BLOCK, start)
            start -= size
            file.seek(start)
            block = file.read(size)
            stop = len(block)
            while (found := block.rfind(b"\n", 0, stop)) >= 0:
                line = b"".join([block[found + 1 : stop], *reversed(rest)])
                if has_end or is_whole(line):
                    yield start + found + 1, line
                rest, has_end, stop = [], True, found
                line_end = start + found
            if line_end - start > LONGEST:  # no line of jaxlog is that long
                return
            rest.append(block[:stop])
        line = b"".join(reversed(rest))
        if has_end or is_whole(line):
            yield 0, line


def forwards(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yields the complete lines of a file from an offset on, each with that of its first byte.

    The last line may lack its line end if it is a complete JSON object. The rows of a columnar file
    are lines, too, with offsets of their own.
    """
    if is_columnar(path):
        yield from columnar_lines.forwards(path, start)
        return
    with open_file(path) as file:
        found = lines_from(file, max(0, start - 1))
        if start:
            next(found, None)  # the rest of the line before, or only its line end
        for offset, line in found:
            if line.endswith(b"\n"):
                yield offset, line[:-1]
            elif is_whole(line):
                yield offset, line


def events_backwards(path: Path) -> Iterator[tuple[float, int]]:
    """Yields the time and the offset of each event of a file, the last first."""
    if is_columnar(path) and not is_of_one_line(path):
        yield from columnar_events.backwards(path)
        return
    end: int | None = None  # of the lines that are left
    key = heads_of_lines(path)
    while end != 0:
        for _, group in groupby(backwards(path, end), lambda found: key(found[1])):
            start, line = 0, b""
            for number, (start, line) in enumerate(group):  # noqa: B007
                if number == MANY:
                    break
            else:
                yield timestamp(line), start
                continue
            end = _first_of_event(path, start, line)
            yield timestamp(line), end
            break
        else:
            return


def _first_of_event(path: Path, start: int, line: bytes) -> int:
    """Returns the offset of the first line of an event with many, without splitting its lines.

    Args:
      path: the path of the file.
      start: the offset of one of the lines of the event.
      line: this line.
    """
    own = head(path, line) + b","
    if not line.startswith(own):
        return start
    other = re.compile(b"\n(?!" + re.escape(own) + b")")
    with open_file(path) as file:
        size = _LARGE_BLOCK
        while start:
            begin = max(0, start - size)
            file.seek(begin)
            # With the head of the line at `start`, so that the pattern skips the line end before.
            block = file.read(start - begin + len(own))
            *_, last = (-1, *(found.start() for found in other.finditer(block)))
            if last >= 0 or (not begin and not block.startswith(own)):
                return begin + block.index(b"\n", last + 1) + 1
            first = block.find(b"\n", 0, start - begin - 1) if begin else -1
            start = begin + first + 1 if first >= 0 or not begin else start
            size *= 1 if first >= 0 else 2
    return 0


def last(path: Path, number: int) -> int:
    """Returns the offset at which the last `number` events of a file begin; for 0, their end."""
    if number > 0:
        *_, start = [0, *(start for _, start in islice(events_backwards(path), number))]
        return start
    return next((end(path, start, line) for start, line in backwards(path)), 0)


def end(path: Path, start: int, line: bytes) -> int:
    """Returns the offset after a line."""
    return start + 1 if is_columnar(path) else start + len(line) + 1


def size(path: Path, num_bytes: int) -> int:
    """Returns the offset at which a file of so many bytes ends."""
    return columnar_lines.size(num_bytes) if is_columnar(path) else num_bytes


def beginning(path: Path) -> bytes:
    """Returns the first bytes of a file: those of a file that replaces it are different."""
    if is_columnar(path):  # the schema has the id of the run
        return columnar_lines.schema_bytes(path)
    with open_file(path) as file:
        return file.read(_BEGINNING)


def timestamp(line: bytes) -> float:
    """Reads the time of a line without parsing the rest; 0 if it has none."""
    try:
        return float(line.removeprefix(START).split(b",", 1)[0])
    except ValueError:
        return 0.0


def is_of_one_line(path: Path) -> bool:
    """True if each event of a file is one line; metrics, arrays and media have a line per lane."""
    return call_of(path.name) is None and path.name not in BESIDE_METRICS


def head(path: Path, line: bytes) -> bytes:
    """Returns the part of a line that is the same in all lines of its event, and in no other."""
    # The timestamp and the step are the first two fields.
    return line if is_of_one_line(path) else b",".join(line.split(b",", 2)[:2])


def heads(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the offset and the head of each line; of each event if the file is columnar."""
    if is_columnar(path) and not is_of_one_line(path):
        for rows in columnar_events.forwards(path):
            yield rows.parts[0].start, head(path, next(rows.lines()))
        return
    key = heads_of_lines(path)
    yield from ((start, key(line)) for start, line in forwards(path))


def heads_of_lines(path: Path) -> Callable[[bytes], bytes]:
    """Returns `head` for lines in their order: those of an event are not split, but for one."""
    if is_of_one_line(path):
        return lambda line: line
    last = b"\n"

    def head_of(line: bytes) -> bytes:
        nonlocal last
        if not line.startswith(last):
            last = head(path, line) + b","
        return last

    return head_of


def events(path: Path, lines: Iterable[bytes], calls: Any = None) -> Iterator[Event]:
    """Yields the events of some lines of a file; lines that jaxlog did not write are left out.

    Args:
      path: the path of the file.
      lines: some of its lines.
      calls: the value of `calls` in run.json, which has the meaning of each key.
    """
    call = call_of(path.name)
    for _, group in groupby(lines, heads_of_lines(path)):
        own = list(group)
        if call is not None and len(own) >= MANY:
            event = event_of_many(call, own, calls)
            if event is not None:
                yield event
                continue
        found = [line for line in map(read, own) if line is not None]
        yield from events_from(path.name, found, calls)


def events_since(path: Path, start: int, calls: Any = None) -> Iterator[Event]:
    """Yields the events of a file from an offset on.

    Args:
      path: the path of the file.
      start: the offset of the first line of an event.
      calls: as for `events`.
    """
    if not is_columnar(path) or is_of_one_line(path):
        yield from events(path, (line for _, line in forwards(path, start)), calls)
        return
    call = call_of(path.name) or ""
    for columns in columnar_events.forwards(path, start):
        event = columns.event(call, calls) if columns.num_rows >= MANY else None
        if event is None:
            yield from events(path, columns.lines(), calls)
        else:
            yield event


def read(line: bytes) -> dict[str, Any] | None:
    """Parses a line; None if it is not a JSON object."""
    try:
        found = loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
