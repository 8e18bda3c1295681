"""Reads the records of TensorBoard's event files, and says where a file is cut or damaged.

TensorBoard's own loader takes both for the end of the file.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from jaxlog import _run_files
from jaxlog._errors import ImportingError

LARGEST = 2**31 - 1
"""The most bytes of a record: those of a protobuf message."""


class EventRecord(NamedTuple):
    """A record of an event file.

    Attributes:
      place: the offset of its event.
      data: the event, encoded.
    """

    place: int
    data: bytes


class EventRecords:
    """The records of one file.

    Args:
      path: the file.

    Attributes:
      cut: where the file ends within a record, in words; None if it does not, or before all records
        were read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut: str | None = None

    def __iter__(self) -> Iterator[EventRecord]:
        """Yields the whole records.

        Raises:
          ImportingError: the file is none of TensorBoard's, or a record is damaged.
          OSError: it cannot be read.
        """
        with self.path.open("rb") as file:
            place = 0
            while head := file.read(12):
                if len(head) < 12:
                    self._cut(place)
                    return
                if not self._is_checked(head[:8], head[8:]):
                    raise self._damaged(place, "the checksum of its length")
                (size,) = struct.unpack("<Q", head[:8])
                data = file.read(min(size, LARGEST))
                end = file.read(4)
                if len(data) < size or len(end) < 4:
                    self._cut(place)
                    return
                if not self._is_checked(data, end):
                    raise self._damaged(place, "its checksum")
                yield EventRecord(place + 12, data)
                place += 16 + size

    def _cut(self, place: int) -> None:
        self.cut = f"{self.path}: ends within the record at byte {place:,}, which is left out"

    def _damaged(self, place: int, what: str) -> ImportingError:
        if not place:
            return ImportingError(
                f"{self.path}: is no event file of TensorBoard: it does not begin with a record"
            )
        return ImportingError(
            f"{self.path}: the record at byte {place:,} is damaged: {what} is wrong. Copy the file "
            "from its source again; to take the records before it, cut the file there: "
            f"truncate -s {place} COPY"
        )

    def _is_checked(self, data: bytes, checksum: bytes) -> bool:
        return struct.unpack("<I", checksum)[0] == _masked(_crc32c()(data))


def is_event_file(path: Path) -> bool:
    """True if a file begins as an event file does."""
    try:
        with _run_files.open_file(path) as file:
            head = file.read(12)
        return len(head) == 12 and struct.unpack("<I", head[8:])[0] == _masked(_crc32c()(head[:8]))
    except (OSError, ImportError):
        return False


def _masked(checksum: int) -> int:
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _crc32c() -> Callable[[bytes], int]:
    return importlib.import_module("crc32c").crc32c
