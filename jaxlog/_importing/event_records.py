"""Reads the records of TensorBoard's event files, and says where a file is cut or damaged.

TensorBoard's own loader takes both for the end of the file.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxlog import _run_files
from jaxlog._errors import ImportingError
from jaxlog._importing.record_file import FileRecord, RecordFile

LARGEST = 2**31 - 1
"""The most bytes of a record: those of a protobuf message."""
HEAD, _END = 12, 4
"""The bytes before and after the event of a record: its length with a checksum; its checksum."""


class EventRecords(RecordFile):
    """The records of an event file; the data of each is an event, encoded."""

    def __iter__(self) -> Iterator[FileRecord]:
        """Yields the whole records.

        Raises:
          ImportingError: the file is none of TensorBoard's, or a record is damaged.
          OSError: it cannot be read.
        """
        with self.path.open("rb") as file:
            place = 0
            while head := file.read(HEAD):
                if len(head) < HEAD:
                    self._cut(place)
                    return
                if not self._is_checked(head[:8], head[8:]):
                    raise self._wrong(place, "the checksum of its length")
                (size,) = struct.unpack("<Q", head[:8])
                data = file.read(min(size, LARGEST))
                end = file.read(_END)
                if len(data) < size or len(end) < _END:
                    self._cut(place)
                    return
                if not self._is_checked(data, end):
                    raise self._wrong(place, "its checksum")
                yield FileRecord(place, data)
                place += HEAD + size + _END

    def _wrong(self, place: int, what: str) -> ImportingError:
        if not place:
            return ImportingError(
                f"{self.path}: is no event file of TensorBoard: it does not begin with a record"
            )
        return self._damaged(place, f"{what} is wrong")

    def _is_checked(self, data: bytes, checksum: bytes) -> bool:
        return struct.unpack("<I", checksum)[0] == _masked(_crc32c()(data))


def is_event_file(path: Path) -> bool:
    """True if a file begins as an event file does."""
    try:
        with _run_files.open_file(path) as file:
            head = file.read(HEAD)
        return len(head) == HEAD and struct.unpack("<I", head[8:])[0] == _masked(
            _crc32c()(head[:8])
        )
    except (OSError, ImportError):
        return False


def _masked(checksum: int) -> int:
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _crc32c() -> Callable[[bytes], int]:
    return importlib.import_module("crc32c").crc32c
