"""The records of a file of another tracker, and where it is cut or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jaxlog._errors import ImportingError


class FileRecord(NamedTuple):
    """A record of a file.

    Attributes:
      place: the offset at which it begins, as messages name it.
      data: its bytes.
    """

    place: int
    data: bytes


class RecordFile:
    """The records of one file.

    Args:
      path: the file.

    Attributes:
      path: as given.
      cut: where the file ends within a record, in words; None if it does not, or before all records
        were read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut: str | None = None

    def _cut(self, place: int) -> None:
        self.cut = f"{self.path}: ends within the record at byte {place:,}, which is left out"

    def _damaged(self, place: int, what: str) -> ImportingError:
        return ImportingError(
            f"{self.path}: the record at byte {place:,} is damaged: {what}. Copy the file from its "
            f"source again; to take the records before it, cut the file there: truncate -s {place} "
            "COPY"
        )
