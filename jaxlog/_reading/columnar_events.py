"""Finds the events of a columnar file, and reads those of many lanes without making lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlog._format.arrow_stream import SCHEMA, messages
from jaxlog._format.columns import Columns
from jaxlog._format.events import MetricsEvent
from jaxlog._format.from_many_lines import UnlikeError, event_of_columns, joined
from jaxlog._format.lane import ReadOnlyDict
from jaxlog._format.shortest import shortest
from jaxlog._reading.batches import FileSchema, file_schema, read_batch
from jaxlog._reading.columnar_lines import CHUNK, ROWS, lines_of
from jaxlog._run_files import open_file

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = (
    "double",
    "float",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
"""Arrow's types whose values are one after the other in a buffer."""

_Head = tuple[float | None, int | None]
"""The time and the step, which the rows of an event share."""


class _Part(NamedTuple):
    """The rows of an event in one batch.

    Attributes:
      start: the offset of the first of them.
      rows: the rows.
    """

    start: int
    rows: pa.RecordBatch


@dataclass(frozen=True)
class EventRows:
    """The rows of an event.

    Attributes:
      path: their file.
      schema: the columns of the file.
      parts: the rows, in each batch that has some.
    """

    path: Path
    schema: FileSchema
    parts: Sequence[_Part]

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return sum(part.rows.num_rows for part in self.parts)

    def lines(self) -> Iterator[bytes]:
        """Yields a line for each row."""
        for part in self.parts:
            for start in range(0, part.rows.num_rows, CHUNK):
                for _, line in lines_of(self.path, part.rows, self.schema, start):
                    yield line

    def event(self, call: str, calls: Any = None) -> MetricsEvent | None:
        """Makes an event of the rows, the same as of their lines.

        Args:
          call: the name of the call.
          calls: the value of `calls` in run.json.

        Returns:
          The event; None if a column has a type that only lines can hold.
        """
        first = self.parts[0].rows.slice(0, 1)
        named = zip(self.schema.names, first.columns, strict=True)
        own = {key: column[0].as_py() for (part, key), column in named if not part}
        own = {key: value for key, value in own.items() if value is not None}
        try:
            columns = joined([self._columns(part.rows) for part in self.parts])
            return event_of_columns(call, own, columns, calls)
        except (UnlikeError, ArithmeticError, KeyError, TypeError, ValueError):
            return None

    def _columns(self, rows: pa.RecordBatch) -> Columns:
        columns = dict(zip(self.schema.names, rows.columns, strict=True))
        lanes, has_lane = _numbers(columns["", "lane"])
        if has_lane is not None:
            raise UnlikeError
        values: dict[str, np.ndarray] = {}
        present: dict[str, np.ndarray] = {}
        first_of: dict[str, int] = {}
        labels: dict[str, np.ndarray] = {}
        for (part, key), column in columns.items():
            if column.null_count == len(column):
                continue
            if part == "labels":
                labels[key] = np.empty(len(column), object)
                labels[key][:] = column.to_pylist()
            elif part == "metrics" and str(column.type) in _NUMBERS:
                found, has = _numbers(column)
                values[key] = shortest(found) if found.dtype == np.float32 else found
                first_of[key] = 0 if has is None else int(has.argmax())
                if has is not None:
                    present[key] = has
            elif part == "metrics" and str(column.type) not in ("string", "large_string"):
                raise UnlikeError
        ordered = sorted(values, key=lambda key: first_of[key])  # as the lines would have them
        return Columns(
            lanes.astype(np.int64),
            ReadOnlyDict(labels),
            ReadOnlyDict({key: values[key] for key in ordered}),
            ReadOnlyDict(present),
            positions=_positions(columns),
        )


def forwards(path: Path, start: int = 0) -> Iterator[EventRows]:
    """Yields the rows of each event of a file, from the offset of one on."""
    begin, first = divmod(start, ROWS)
    last: _Head | None = None
    parts: list[_Part] = []
    with open_file(path) as file:
        schema = file_schema(path, file)
        if schema is None:
            return
        for message in messages(file, begin):
            batch = None if message.kind == SCHEMA else read_batch(file, message, schema)
            if batch is None:
                continue
            skipped = first if message.start == begin else 0
            for head, row, stop in _stretches(batch, schema):
                if stop <= skipped:
                    continue
                row = max(row, skipped)
                if parts and head != last:
                    yield EventRows(path, schema, parts)
                    parts = []
                last = head
                parts.append(_Part(message.start * ROWS + row, batch.slice(row, stop - row)))
    if parts:
        yield EventRows(path, schema, parts)


def backwards(path: Path) -> Iterator[tuple[float, int]]:
    """Yields the time and the offset of each event of a file, the last first."""
    last: _Head | None = None
    offset = 0
    with open_file(path) as file:
        schema = file_schema(path, file)
        if schema is None:
            return
        for message in reversed(list(messages(file))):
            batch = None if message.kind == SCHEMA else read_batch(file, message, schema)
            if batch is None:
                continue
            for head, row, _ in reversed(_stretches(batch, schema)):
                if last is not None and head != last:
                    yield last[0] or 0.0, offset
                last, offset = head, message.start * ROWS + row
    if last is not None:
        yield last[0] or 0.0, offset


def _stretches(batch: pa.RecordBatch, schema: FileSchema) -> list[tuple[_Head, int, int]]:
    """Lists the stretches of rows of the same event: its time and step, and their range."""
    if not batch.num_rows:
        return []
    columns = [batch.column(schema.names.index(("", name))) for name in ("timestamp", "step")]
    new = np.zeros(batch.num_rows, np.bool_)
    new[0] = True
    for column in columns:
        found, has = _numbers(column)
        new[1:] |= found[1:] != found[:-1]
        if has is not None:
            new[1:] |= has[1:] != has[:-1]
    starts = np.flatnonzero(new).tolist()
    ends = [*starts[1:], batch.num_rows]
    return [
        ((columns[0][start].as_py(), columns[1][start].as_py()), start, end)
        for start, end in zip(starts, ends, strict=True)
    ]


def _numbers(column: pa.Array) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the numbers of a column, and which of them are not null; None if all are.

    Raises:
      UnlikeError: it has no numbers.
    """
    from jaxlog.sinks.arrow_columns import to_numpy  # pyarrow is there

    if str(column.type) not in _NUMBERS:
        raise UnlikeError
    found, has = to_numpy(column)
    if not column.null_count or has is None:
        return found, None
    return np.where(has, found, np.zeros(1, found.dtype)), has


def _positions(columns: Mapping[tuple[str, str], pa.Array]) -> np.ndarray | None:
    column = columns.get(("", "lane_position"))
    if column is None or column.null_count == len(column):
        return None
    rows = column.to_pylist()
    if len({len(row) for row in rows if row is not None}) > 1 or None in rows:
        raise UnlikeError
    return np.array(rows, np.int64)
