"""Reads the records of W&B's offline files, and says where a file is cut or damaged.

W&B's Python package writes and reads them by a program of its own, and has no function for it. A
file is a log in the form of LevelDB: blocks of 32 KiB with chunks, each with a checksum; a record
is one chunk, or several that follow each other. https://github.com/google/leveldb, doc/log_format
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from jaxlog import _run_files
from jaxlog._errors import ImportingError
from jaxlog._importing.record_file import FileRecord, RecordFile

START = b":W&B"
"""The first bytes of a file; a number and a version follow."""
_HEAD = 7
_BLOCK = 2**15
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class WandbRecords(RecordFile):
    """The records of an offline file."""

    def __iter__(self) -> Iterator[FileRecord]:
        """Yields the whole records.

        Raises:
          ImportingError: the file is none of W&B's, or a record is damaged.
          OSError: it cannot be read.
        """
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if not _is_own(head := file.read(_HEAD)):
                if size < _HEAD and START.startswith(head[: len(START)]):
                    self.cut = f"{self.path}: ends within its head; it has no record"
                    return
                raise ImportingError(f"{self.path}: is no offline file of W&B: it begins otherwise")
            place, begun, parts = _HEAD, _HEAD, []
            while place < size:
                rest = _BLOCK - place % _BLOCK
                if rest < _HEAD:
                    place += rest
                    file.seek(place)
                    continue
                chunk = file.read(_HEAD)
                if len(chunk) < _HEAD:
                    break
                checksum, length, kind = struct.unpack("<IHB", chunk)
                if not kind and not length and not checksum:  # the rest of a block is empty
                    if any(file.read(rest - _HEAD)):
                        raise self._damaged(place, "a chunk has no kind")
                    place += rest
                    continue
                if length > rest - _HEAD or not _WHOLE <= kind <= _LAST:
                    raise self._damaged(place, "the head of a chunk is none")
                data = file.read(length)
                if len(data) < length:
                    break
                if checksum != zlib.crc32(data, zlib.crc32(bytes([kind]))):
                    raise self._damaged(place, "its checksum is wrong")
                if (kind in (_WHOLE, _FIRST)) == bool(parts):
                    raise self._damaged(place, "a chunk of another record is missing")
                begun = begun if parts else place
                parts.append(data)
                place += _HEAD + length
                if kind in (_WHOLE, _LAST):
                    yield FileRecord(begun, b"".join(parts))
                    parts = []
            if place < size or parts:
                self._cut(begun if parts else place)


def _is_own(head: bytes) -> bool:
    return len(head) == _HEAD and head.startswith(START)


def is_wandb_file(path: Path) -> bool:
    """True if a file begins as an offline file of W&B does."""
    try:
        with _run_files.open_file(path) as file:
            return file.read(len(START)) == START
    except OSError:
        return False
