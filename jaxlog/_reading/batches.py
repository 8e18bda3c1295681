"""Reads the batches of columnar files with pyarrow, and says what is wrong with a file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from jaxlog._caller import warn_caller
from jaxlog._format.arrow_stream import SCHEMA, Message, messages
from jaxlog._format.columnar import FORMAT, KEY, MARK, PART, RUN_ID
from jaxlog._run_files import LARGEST, NotReadError, open_file
from jaxlog._text import counted

if TYPE_CHECKING:
    import pyarrow as pa

Name = tuple[str, str]
"""The part of a line that a column belongs to (empty for a field of jaxlog's own), and its key."""


class FileSchema(NamedTuple):
    """The columns of a file.

    Attributes:
      schema: as Arrow has it.
      names: the part and the key of each column.
    """

    schema: pa.Schema
    names: tuple[Name, ...]


class Batches(NamedTuple):
    """The whole batches of a file.

    Attributes:
      names: the part and the key of each column.
      batches: in the order of the file.
    """

    names: tuple[Name, ...]
    batches: tuple[pa.RecordBatch, ...]


NONE = Batches((), ())


def batches_of(path: Path, run_id: str | None = None) -> Batches:
    """Reads a columnar file; a last batch that is cut is left out, as if it was not there yet.

    Args:
      path: the file.
      run_id: the id of the run, from run.json; None if it is not known.

    Raises:
      ModuleNotFoundError: pyarrow is not installed.
      OSError: the file cannot be opened.

    Warns:
      UserWarning: something in the file cannot be read, and is left out.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise NotReadError(
                f"{path}: got {size:,} bytes of columns, expected at most {LARGEST:,}"
            )
        data = file.read()  # with a number of bytes it takes four times as long
    file = io.BytesIO(data)
    known = file_schema(path, file, run_id)
    if known is None:
        return NONE
    found = list(messages(file))
    read = [_read(data, message, known) for message in found if message.kind != SCHEMA]
    whole = tuple(batch for batch in read if batch is not None)
    end = found[-1].end
    rows = sum(batch.num_rows for batch in whole)
    _warn(path, len(read) - len(whole), data[end : end + 4], rows)
    return Batches(known.names, whole)


def some_batches_of(path: Path, most: int, run_id: str | None = None) -> Iterator[Batches]:
    """Reads a columnar file as `batches_of` does, a few batches at a time.

    Args:
      path: the file.
      most: the bytes after which a few are enough.
      run_id: as for `batches_of`.

    Raises:
      ModuleNotFoundError: pyarrow is not installed.
      OSError: the file cannot be opened.

    Warns:
      UserWarning: as `batches_of`, at the end.
    """
    with open_file(path) as file:
        known = file_schema(path, file, run_id)
        if known is None:
            return
        some: list[pa.RecordBatch] = []
        size, rows, broken, end = 0, 0, 0, 0
        for message in messages(file):
            end = message.end
            if message.kind == SCHEMA:
                continue
            batch = read_batch(file, message, known)
            if batch is None:
                broken += 1
                continue
            some.append(batch)
            rows += batch.num_rows
            size += message.end - message.start
            if size >= most:
                yield Batches(known.names, tuple(some))
                some, size = [], 0
        if some:
            yield Batches(known.names, tuple(some))
        file.seek(end)
        _warn(path, broken, file.read(4), rows)


def file_schema(path: Path, file: BinaryIO, run_id: str | None = None) -> FileSchema | None:
    """The columns of a file; None if it has none yet, or if it cannot be read.

    Args:
      path: the file.
      file: the same, open for reading.
      run_id: as for `batches_of`.

    Raises:
      ModuleNotFoundError: pyarrow is not installed.

    Warns:
      UserWarning: it cannot be read.
    """
    pa = _pyarrow(path)
    first = next(messages(file), None)
    if first is None or first.kind != SCHEMA:
        return None
    file.seek(0)
    data = file.read(first.end)
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(data))
        names = tuple(
            ((field.metadata or {}).get(PART, b"").decode(), field.metadata[KEY].decode())
            for field in schema
        )
        metadata = dict(schema.metadata)
        version = int(metadata[MARK])
        # Without the metadata of the columns. Its text may be damaged, as may be names in a type:
        # pyarrow raises an error for these, and polars does not expect them.
        plain = pa.schema([(field.name, field.type) for field in schema if str(field.type)])
    except (pa.ArrowException, KeyError, OSError, TypeError, ValueError) as error:
        warn_caller(f"{path}: got a schema that jaxlog did not write ({error}); left out")
        return None
    if version > FORMAT:
        warn_caller(
            f"{path}: has the format {version}, and this jaxlog reads up to {FORMAT}; left out: "
            "update jaxlog (pip install -U jaxlog)"
        )
        return None
    own = metadata.get(RUN_ID, b"").decode(errors="replace")
    if run_id and own and own != run_id:
        warn_caller(
            f"{path}: has the columns of the run {own!r:.40}, expected those of {run_id!r:.40}, "
            "whose run.json is beside it; left out"
        )
        return None
    return FileSchema(plain, names)


def read_batch(file: BinaryIO, message: Message, schema: FileSchema) -> pa.RecordBatch | None:
    """Reads one batch of a file; None if it is damaged."""
    file.seek(message.start)
    data = file.read(message.end - message.start)
    return _read(data, message._replace(start=0, end=len(data)), schema)


def _read(data: bytes, message: Message, schema: FileSchema) -> pa.RecordBatch | None:
    import pyarrow as pa
    import pyarrow.ipc

    try:
        buffer = pa.py_buffer(data)[message.start : message.end]
        batch = pyarrow.ipc.read_record_batch(buffer, schema.schema)
        batch.validate(full=True)  # nothing else keeps a damaged one from ending the process
    except (pa.ArrowException, OSError, ValueError):
        return None
    return batch


def _warn(path: Path, broken: int, rest: bytes, rows: int) -> None:
    """Warns about batches that are left out.

    Args:
      path: the file.
      broken: the number of those that are damaged.
      rest: the first bytes after the last whole message: at most four, the beginning of another.
      rows: the number of rows of the others.
    """
    if not broken and rest == b"\xff\xff\xff\xff"[: len(rest)]:
        return
    batches = counted(broken, "batch is", "batches are")
    what = f"{batches} damaged" if broken else "is damaged after its last batch"
    warn_caller(f"{path}: {what}; left out, and {counted(rows, 'row is', 'rows are')} read")


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: is columnar, and to read it needs {error.name}, which is not installed; "
            "pip install 'jaxlog[arrow]'",
            name=error.name,
        ) from error
    return pyarrow
