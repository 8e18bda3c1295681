"""Reads the rows of a call from files that grow, in bounded memory: each time only what is new."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl

from jaxlog._format.arrow_stream import SCHEMA, messages
from jaxlog._format.lines import call_of
from jaxlog._format.segment import segment_of
from jaxlog._page.parsed_lines import Parsed, ParsedLines
from jaxlog._page.plain_lines import PlainLines, plain_lines
from jaxlog._reading.batches import Batches, file_schema, read_batch
from jaxlog._reading.columnar import ColumnarRows, rows_of_batches
from jaxlog._reading.columnar_lines import is_columnar, is_over_lanes
from jaxlog._reading.columns import TableFrame, flat
from jaxlog._reading.finding import event_files
from jaxlog._reading.layouts import LANES
from jaxlog._reading.lines import read_metrics_of
from jaxlog._run_files import LONGEST, extents, is_whole, open_file

BLOCK = 2**22
"""The bytes of lines that are parsed at a time."""
MOST_NOTES = 4
"""The most notes of one file."""
MOST_PARSED = 48 * 2**20
"""The bytes of parsed lines that are kept."""
_PARSED = ParsedLines(MOST_PARSED)
_TAIL = 64
"""The bytes before a place by which the file is recognized."""

Wanted = Callable[[Sequence[str], Sequence[str]], Collection[str] | None]
"""Chooses the columns of a columnar file, from all and from those that are labels; None for all."""


class _Place(NamedTuple):
    """The place up to which a file was read.

    Attributes:
      file: the file.
      inode: its number, which another file has not.
      offset: the offset after what was read.
      tail: the bytes before it.
    """

    file: Path
    inode: int
    offset: int
    tail: bytes


class RowStream:
    """The rows of one call of a run.

    Args:
      path: the directory of the run.
      call: the name of the call.
      wanted: chooses the columns of columnar files, since it costs to convert the others.

    Attributes:
      notes: what could not be read, in sentences.
    """

    def __init__(self, path: Path, call: str, wanted: Wanted) -> None:
        self._path, self._call, self._wanted = path, call, wanted
        self._places: list[_Place] = []
        self.notes: list[str] = []

    @property
    def is_continued(self) -> bool:
        """True if the files still have what was read; False if they were cut back or replaced."""
        if not self._places:
            return True
        files = _files(self._path, self._call)
        if files[: len(self._places)] != [place.file for place in self._places]:
            return False
        return all(map(_is_there, self._places))

    def tables(self) -> Iterator[TableFrame]:
        """Yields the new rows, some thousands at a time, with the columns that are wanted.

        Raises:
          ModuleNotFoundError: pyarrow is needed.
          OSError: a file was removed, or cannot be read.
        """
        for rows in self.rows():
            yield self.table_of(rows) if isinstance(rows, PlainLines) else rows

    def table_of(self, rows: PlainLines) -> TableFrame:
        """Rows as a table, with the columns that are wanted."""
        columns = list({**rows.fields, **rows.labels, **rows.metrics})
        wanted = self._wanted(columns, tuple(rows.labels))
        frame = rows.frame(columns if wanted is None else [*wanted])
        return TableFrame(frame, tuple(name for name in rows.labels if name in frame.columns))

    def rows(self) -> Iterator[TableFrame | PlainLines]:
        """Yields the new rows, some thousands at a time, as they were parsed.

        Raises:
          ModuleNotFoundError: pyarrow is needed.
          OSError: a file was removed, or cannot be read.
        """
        for number, file in enumerate(_files(self._path, self._call)):
            begin = self._places[number].offset if number < len(self._places) else 0
            read = self._batches if is_columnar(file) else self._lines
            for rows, place in read(file, begin):
                self._places[number:] = [place]
                if isinstance(rows, PlainLines) or len(rows.frame):
                    yield rows

    def _lines(self, file: Path, begin: int) -> Iterator[tuple[TableFrame | PlainLines, _Place]]:
        with open_file(file) as opened:
            inode = os.fstat(opened.fileno()).st_ino
            for data, end in _whole_lines(opened, begin):
                rows: TableFrame | PlainLines | None = plain_lines(data)
                if rows is None:
                    parse = partial(_parsed, file, data)
                    # What is added to a file that grows is read once.
                    found = parse() if begin else _PARSED.of(file, data, parse)
                    self._note(found.notes)
                    rows = found.table
                yield rows, _Place(file, inode, end, data[-_TAIL:])

    def _batches(self, file: Path, begin: int) -> Iterator[tuple[TableFrame, _Place]]:
        with open_file(file) as opened:
            inode = os.fstat(opened.fileno()).st_ino
            with self._heard():
                schema = file_schema(file, opened)
            if schema is None:
                return
            for message in messages(opened, begin):
                batch = None
                if message.kind != SCHEMA:
                    batch = read_batch(opened, message, schema)
                table = TableFrame(pl.DataFrame())
                if batch is not None and batch.num_rows:
                    found = Batches(schema.names, (batch,))
                    with self._heard():
                        rows = ColumnarRows([rows_of_batches(file, found, LANES)], LANES)
                    columns = self._wanted(list(rows.schema), rows.labels)
                    table = TableFrame(rows.frame(columns), rows.labels)
                opened.seek(max(0, message.end - _TAIL))
                tail = opened.read(min(_TAIL, message.end))
                yield table, _Place(file, inode, message.end, tail)

    @contextlib.contextmanager
    def _heard(self) -> Iterator[None]:
        """Keeps warnings as notes."""
        with _notes() as notes:
            yield
        self._note(notes)

    def _note(self, notes: Sequence[str]) -> None:
        self.notes += notes
        if len(self.notes) > MOST_NOTES:
            self.notes[MOST_NOTES - 1 :] = ["more of the lines cannot be read"]


def _parsed(file: Path, data: bytes) -> Parsed:
    with _notes() as notes:
        table = flat(read_metrics_of(file, data), LANES)
    return Parsed(table, notes)


@contextlib.contextmanager
def _notes() -> Iterator[list[str]]:
    """Yields a list that has the texts of warnings after it."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield notes
    notes += [str(warning.message) for warning in caught]


def _files(path: Path, call: str) -> list[Path]:
    found = [file for file in event_files(path) if call_of(file.name) == call]
    found = [file for file in found if not is_over_lanes(file)]
    return sorted(found, key=lambda file: segment_of(file.name) or (file.name, "", -1))


def _is_there(place: _Place) -> bool:
    try:
        with open_file(place.file) as opened:
            status = os.fstat(opened.fileno())
            if status.st_ino != place.inode or status.st_size < place.offset:
                return False
            opened.seek(place.offset - len(place.tail))
            return opened.read(len(place.tail)) == place.tail
    except OSError:
        return False


def _whole_lines(opened: BinaryIO, begin: int) -> Iterator[tuple[bytes, int]]:
    """Yields whole lines, about BLOCK bytes at a time, with the offset after them.

    A hole in the file becomes one NUL byte, which no valid line has.
    """
    rest, at = b"", begin
    for start, stop in extents(opened, begin):
        rest += b"\0" if start > at else b""
        at = start
        while at < stop:
            opened.seek(at)
            block = opened.read(min(BLOCK, stop - at))
            if not block:  # it was cut in the meantime
                return
            at += len(block)
            cut = block.rfind(b"\n") + 1
            if cut:
                yield rest + block[:cut], at - len(block) + cut
                rest = block[cut:]
            elif len(rest) + len(block) <= LONGEST:
                rest += block
            else:  # no line is that long
                rest = b"\0"
    if is_whole(rest):  # an editor has removed the last line end
        yield rest + b"\n", at
