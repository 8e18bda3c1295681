"""Finds the whole messages of an Arrow IPC stream, without reading the values.

A message is `ff ff ff ff`, the length of its metadata (int32), the metadata (a FlatBuffer), and a
body, whose length the metadata have. Arrow's own readers raise an error for a message that is cut,
and none for a stream that is cut between two messages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from jaxlog._format.columnar import MARK

SCHEMA, BATCH = 1, 3
"""The kinds of message that jaxlog writes, as Arrow numbers them."""
_START = b"\xff\xff\xff\xff"
_LONGEST = 2**26
"""The most bytes of a message's metadata."""


class Message(NamedTuple):
    """A whole message of a stream.

    Attributes:
      start: the offset of its first byte.
      end: the offset after its last byte.
      kind: `SCHEMA` or `BATCH`.
      rows: the number of rows of a batch.
    """

    start: int
    end: int
    kind: int
    rows: int


def messages(file: BinaryIO, start: int = 0) -> Iterator[Message]:
    """Yields the whole messages of a file, up to the first that is cut or damaged.

    Args:
      file: open for reading, and not written by anybody but the sink that appends to it.
      start: the offset of a message.
    """
    size = file.seek(0, 2)
    while True:
        file.seek(start)
        head = file.read(8)
        if len(head) < 8 or not head.startswith(_START):
            return
        (length,) = struct.unpack_from("<i", head, 4)
        if not 0 < length <= _LONGEST:
            return
        metadata = file.read(length)
        try:
            kind, body, rows = _parsed(metadata)
        except (struct.error, IndexError):
            return
        end = start + 8 + length + body
        if len(metadata) < length or body < 0 or end > size:
            return
        yield Message(start, end, kind, rows)
        start = end


def begins_like_own(file: BinaryIO) -> bool:
    """True if a file is a stream that jaxlog wrote, or if it ends before that can be known."""
    file.seek(0)
    head = file.read(8)
    if len(head) < 8:
        return head[:4] == _START[: len(head)]
    (length,) = struct.unpack_from("<i", head, 4)
    if not head.startswith(_START) or not 0 < length <= _LONGEST:
        return False
    metadata = file.read(length)
    return len(metadata) < length or MARK in metadata


def _parsed(metadata: bytes) -> tuple[int, int, int]:
    """The kind of a message, the length of its body, and the number of its rows."""
    (root,) = struct.unpack_from("<I", metadata)
    kind_at, header_at, body_at = (_field(metadata, root, number) for number in (1, 2, 3))
    kind = metadata[kind_at] if kind_at else 0
    body = struct.unpack_from("<q", metadata, body_at)[0] if body_at else 0
    rows = 0
    if kind == BATCH and header_at:
        header = header_at + struct.unpack_from("<I", metadata, header_at)[0]
        rows_at = _field(metadata, header, 0)
        rows = struct.unpack_from("<q", metadata, rows_at)[0] if rows_at else 0
    return kind, body, rows


def _field(data: bytes, table: int, number: int) -> int:
    """The offset of a field of a FlatBuffer's table; 0 if it has its default."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, vtable)
    at = 4 + 2 * number
    if at + 2 > size:
        return 0
    offset = struct.unpack_from("<H", data, vtable + at)[0]
    return table + offset if offset else 0
