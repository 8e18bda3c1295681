"""The columnar files of a call: appends rows in batches, and begins a new file for new columns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from jaxlog._format.segment import Segment
from jaxlog.sinks.arrow_columns import (
    ArrowColumns,
    ArrowSchema,
    ArrowType,
    Name,
    batch_of,
    has_negative,
    in_order,
    layout_of,
    schema_of,
    shared_type,
    types_of,
)
from jaxlog.sinks.growing import GrowingFile

MOST_ROWS = 2**16
"""From this number of rows on, the next rows begin a batch, also between two flushes."""


class CallColumns:
    """Appends the rows of one call to its last file.

    A file has all columns of the files before it, so that a call that logs different metrics in
    turn does not begin a file each time; rows have null in the columns that they lack.

    Args:
      first: the name of the first file.
      file_of: returns the file of a name.
      run_id: the id of the run.
      compression: of the columns, as in the settings.

    Attributes:
      pending: the number of records that are not in a file yet.
    """

    def __init__(
        self, first: Segment, file_of: Callable[[str], GrowingFile], run_id: str, compression: str
    ) -> None:
        self.pending = 0
        self._segment = first
        self._file_of = file_of
        self._run_id = run_id
        self._options = pa.ipc.IpcWriteOptions(
            compression=None if compression == "none" else compression
        )
        self._types: dict[Name, ArrowType] = {}
        self._schema: ArrowSchema | None = None
        self._has_schema = False  # the file has it, or was given it
        self._batches: list[Any] = []
        self._rows = 0

    def resume(self, path: Path, segment: Segment) -> None:
        """Takes a file into account that an earlier session wrote, and appends to the last one."""
        # A file that was damaged, or that another version of jaxlog wrote, stays as it is.
        self._segment, self._schema, self._types = segment, None, {}
        self._has_schema = True
        with contextlib.suppress(pa.ArrowException, KeyError, OSError, TypeError, ValueError):
            with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
                schema = stream.schema
            types = types_of(schema)
            if schema.equals(schema_of(types, layout_of(segment.kind), self._run_id), True):
                self._schema, self._types = schema, types

    def prepare(self, columns: ArrowColumns, num_records: int) -> Callable[[], None]:
        """Prepares rows for the batch that the next flush writes.

        Whatever can fail happens here. The function that it returns adds the rows, and cannot fail.
        It has to be called before the next call of a method.
        """
        types, schema = self._types, self._schema
        if any(types.get(name) != column.type for name, column in columns.items()):
            types = dict(types)
            for name, column in columns.items():
                known = types.get(name, column.type)
                types[name] = shared_type(known, column.type, negative=has_negative(column))
        is_new = types != self._types
        if is_new:
            types = in_order(types)
            schema = schema_of(types, layout_of(self._segment.kind), self._run_id)
        batch = batch_of(columns, types, schema)
        if is_new or self._rows >= MOST_ROWS:
            self.finish_batch()

        def add() -> None:
            if is_new:
                self._types = types
                self._begin_file(schema)
            self._batches.append(batch)
            self._rows += batch.num_rows
            self.pending += num_records

        return add

    def finish_batch(self) -> None:
        """Gives the rows so far to the file, as one batch."""
        if not self._rows:
            return
        assert self._schema is not None
        table = pa.Table.from_batches(self._batches, self._schema)
        (batch,) = table.combine_chunks().to_batches()
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, self._schema, options=self._options) as stream:
            stream.write_batch(batch)
        # Without the end of the stream, after which no reader looks for more batches.
        data = memoryview(out.getvalue())[: -len(_END)]
        if self._has_schema:
            data = data[self._schema.serialize().size :]
        self._file_of(self._segment.name).add(data, self.pending)
        self._has_schema = True
        self._batches.clear()
        self._rows = self.pending = 0

    def _begin_file(self, schema: ArrowSchema) -> None:
        if self._has_schema:
            self._segment = self._segment._replace(number=self._segment.number + 1)
        self._schema, self._has_schema = schema, False


_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
