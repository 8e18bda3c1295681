"""Reads the batches of columnar files with pyarrow, and says what is wrong with a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxlog._caller import warn_caller
from jaxlog._format.arrow_stream import SCHEMA, Message, messages
from jaxlog._format.columnar import FORMAT, KEY, MARK, PART, RUN_ID
from jaxlog._run_files import LARGEST, NotReadError, open_file

if TYPE_CHECKING:
    import pyarrow as pa

Name = tuple[str, str]
"""The part of a line that a column belongs to (empty for a field of jaxlog's own), and its key."""


class Batches(NamedTuple):
    """The whole batches of a file.

    Attributes:
      names: the part and the key of each column.
      batches: each with the offsets at which it begins and ends.
    """

    names: tuple[Name, ...]
    batches: tuple[tuple[Message, pa.RecordBatch], ...]


NONE = Batches((), ())


def batches_of(path: Path, run_id: str | None = None, start: int = 0) -> Batches:
    """Reads a columnar file; a last batch that is cut is left out, as if it was not there yet.

    Args:
      path: the file.
      run_id: the id of the run, from run.json; None if it is not known.
      start: the offset of a batch, before which none is read.

    Raises:
      ModuleNotFoundError: pyarrow is not installed.
      OSError: the file cannot be opened.

    Warns:
      UserWarning: something in the file cannot be read, and is left out.
    """
    pa = _pyarrow(path)
    with open_file(path) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise NotReadError(
            f"{path}: got more than {LARGEST:,} bytes of columns, expected at most as many"
        )
    found = list(messages(io.BytesIO(data)))
    if not found or found[0].kind != SCHEMA:
        return NONE
    buffer = pa.py_buffer(data)
    try:
        schema = pa.ipc.read_schema(buffer[: found[0].end])
        names = tuple(
            ((field.metadata or {}).get(PART, b"").decode(), field.metadata[KEY].decode())
            for field in schema
        )
        metadata = dict(schema.metadata)
        version = int(metadata[MARK])
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        warn_caller(f"{path}: got a schema that jaxlog did not write ({error}); left out")
        return NONE
    if version > FORMAT:
        warn_caller(
            f"{path}: has the format {version}, and this jaxlog reads up to {FORMAT}; left out: "
            "update jaxlog (pip install -U jaxlog)"
        )
        return NONE
    own = metadata.get(RUN_ID, b"").decode(errors="replace")
    if run_id and own and own != run_id:
        warn_caller(
            f"{path}: has the columns of the run {own!r:.40}, expected those of {run_id!r:.40}, "
            "whose run.json is beside it; left out"
        )
        return NONE
    batches: list[tuple[Message, pa.RecordBatch]] = []
    broken = 0
    for message in found[1:]:
        if message.start < start:
            continue
        try:
            batch = pa.ipc.read_record_batch(buffer[message.start : message.end], schema)
            batch.validate(full=True)
            batches.append((message, batch))
        except (pa.ArrowException, OSError, ValueError):
            broken += 1
    if broken or _is_damaged(data, found[-1].end):
        what = f"{broken} batches are damaged" if broken else "is damaged after its last batch"
        warn_caller(
            f"{path}: {what}; left out, and {sum(b.num_rows for _, b in batches):,} rows are read"
        )
    return Batches(names, tuple(batches))


def _is_damaged(data: bytes, end: int) -> bool:
    """True if the bytes after the last whole message are not the beginning of another one."""
    rest = data[end : end + 4]
    return rest != b"\xff\xff\xff\xff"[: len(rest)]


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
