"""The rows of columnar files as lines: those that the sink jsonl would have written.

A row has an offset, as a line has: that of its batch in the file, times `ROWS`, plus its number in
the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlog._format.arrow_stream import SCHEMA, Message, messages
from jaxlog._format.lines import FIELDS, LANES, OVER_LANES, text_of
from jaxlog._format.segment import segment_of
from jaxlog._reading.batches import FileSchema, file_schema, read_batch
from jaxlog._run_files import open_file

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2**32
"""More rows than a batch has."""
CHUNK = 256
"""The rows that are converted at a time, since often only the last ones are needed."""


def is_columnar(path: Path) -> bool:
    """True if a file has columns, not lines."""
    return segment_of(path.name) is not None


def is_over_lanes(path: Path) -> bool:
    """True if the rows of a columnar file are statistics over lanes."""
    segment = segment_of(path.name)
    return segment is not None and segment.kind == "over_lanes"


def size(num_bytes: int) -> int:
    """The offset after the last row of a file of so many bytes."""
    return num_bytes * ROWS


def count(path: Path) -> int:
    """Counts the rows of a file, without reading them."""
    with open_file(path) as file:
        return sum(message.rows for message in messages(file))


def schema_bytes(path: Path) -> bytes:
    """The first message of a file, by which a file that replaces another is recognized."""
    with open_file(path) as file:
        end = next((message.end for message in messages(file)), 0)
        file.seek(0)
        return file.read(end)


def forwards(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yields the rows of a file from an offset on, as lines without line ends."""
    begin, first = divmod(start, ROWS)
    with open_file(path) as file:
        schema = file_schema(path, file)
        if schema is None:
            return
        for message in messages(file, begin):
            if message.kind != SCHEMA and (batch := read_batch(file, message, schema)):
                for row in range(first if message.start == begin else 0, batch.num_rows, CHUNK):
                    for number, line in lines_of(path, batch, schema, row):
                        yield message.start * ROWS + number, line


def batches(path: Path, start: int = 0) -> list[Message]:
    """Lists the batches of a file, without reading their rows.

    Args:
      path: the file.
      start: the first byte of a batch, or the end of one, from which on they are listed.
    """
    with open_file(path) as file:
        return [message for message in messages(file, start) if message.kind != SCHEMA]


def backwards(path: Path, begin: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yields the rows of a file as lines without line ends, the last first.

    Args:
      path: the file.
      begin: the offset of a batch, before which nothing is read.
    """
    with open_file(path) as file:
        schema = file_schema(path, file)
        if schema is None:
            return
        for message in reversed(list(messages(file, begin // ROWS))):
            if message.kind != SCHEMA and (batch := read_batch(file, message, schema)):
                for row in reversed(range(0, batch.num_rows, CHUNK)):
                    for number, line in reversed(list(lines_of(path, batch, schema, row))):
                        yield message.start * ROWS + number, line


def lines_of(
    path: Path, batch: pa.RecordBatch, schema: FileSchema, start: int
) -> Iterator[tuple[int, bytes]]:
    """The lines of some rows of a batch, each with the number of its row."""
    from jaxlog.sinks.arrow_columns import widened

    layout = OVER_LANES if is_over_lanes(path) else LANES
    rows = batch.slice(start, CHUNK)
    columns = {
        name: widened(column).to_pylist()
        for name, column in zip(schema.names, rows.columns, strict=True)
        if name[0] in layout.parts or (not name[0] and name[1] in layout.own)
    }
    for row in range(rows.num_rows):
        line: dict[str, Any] = {part: {} for part in layout.parts}
        own: dict[str, Any] = {}
        for (part, key), values in columns.items():
            if values[row] is not None:
                (line[part] if part else own)[key] = values[row]
        ordered = {name: own[name] for name in FIELDS if name in own}
        yield start + row, text_of(ordered | line, layout).rstrip(b"\n")
