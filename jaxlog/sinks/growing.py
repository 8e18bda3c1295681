"""A file that grows: what is flushed is in it, and of a write that failed nothing is."""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from pathlib import Path


def cut(path: Path, size: int) -> None:
    """Leaves the first bytes of a file; no file where none is left."""
    if not size:
        path.unlink()
    elif path.stat().st_size > size:
        os.truncate(path, size)


class GrowingFile:
    """A file of whole pieces. It is there from the first flush of something on.

    A flush hands them to the operating system: they outlive the process, but not a power cut.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._pending: list[bytes] = []
        self._size = 0  # up to here there are whole pieces
        self._torn = False

    def add(self, piece: bytes) -> None:
        """Keeps a piece until the next flush."""
        self._pending.append(piece)

    def flush(self) -> None:
        """Writes what was added; after one that raised, the next tries the same again.

        Raises:
          FileNotFoundError: the file was removed meanwhile.
        """
        if not self._pending:
            return
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
            self._size = self._file.tell()
        if not os.fstat(self._file.fileno()).st_nlink:
            raise FileNotFoundError(
                f"{self._path}: was removed while the run is open, and what was in it"
            )
        if self._torn:
            self._take_back(self._file)
        data = memoryview(b"".join(self._pending))
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:])
        except BaseException:
            self._torn = True
            with contextlib.suppress(OSError):  # then it is tried before the next write
                self._take_back(self._file)
            raise
        self._size += len(data)
        self._pending.clear()

    def _take_back(self, file: FileIO) -> None:
        """Cuts off what a failed write left."""
        file.truncate(self._size)
        self._torn = False

    def close(self) -> None:
        """Flushes and closes it."""
        try:
            self.flush()
        finally:
            if self._file is not None:
                self._file.close()
