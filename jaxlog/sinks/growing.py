"""Files that are appended to in whole pieces: a flush writes all pieces, or none.

A sink may have a file for each lane, but a process may open only a few files (256 by default on
macOS). The files of a sink therefore share an `OpenFiles`, which keeps the last few open and
reopens others when they are written.
"""

from __future__ import annotations

import contextlib
import errno
import os
from io import FileIO
from pathlib import Path

MAX_OPEN = 16
"""The number of files that a sink keeps open."""


def cut(path: Path, size: int) -> None:
    """Truncates a file to its first `size` bytes; deletes it if `size` is 0."""
    if not size:
        path.unlink()
    elif path.stat().st_size > size:
        os.truncate(path, size)


class OpenFiles:
    """Keeps the files that were written last open, and closes the others."""

    def __init__(self) -> None:
        self._files: dict[GrowingFile, FileIO] = {}  # the most recently used last

    def open(self, owner: GrowingFile, path: Path, *, new: bool) -> FileIO:
        """Returns the file of an owner, open for appending; creates it only if `new`.

        Raises:
          OSError: it cannot be opened.
        """
        file = self._files.pop(owner, None)
        if file is None:
            while len(self._files) >= MAX_OPEN:
                self.close(next(iter(self._files)))
            try:
                file = _appending(path, new)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._files:
                    raise
                for other in list(self._files):  # the rest of the process has too many open files
                    self.close(other)
                file = _appending(path, new)
        self._files[owner] = file
        return file

    def close(self, owner: GrowingFile) -> None:
        """Closes the file of an owner, if it is open."""
        file = self._files.pop(owner, None)
        if file is not None:
            file.close()


def _appending(path: Path, new: bool) -> FileIO:
    """Opens a file, but does not follow a link of its name; readers do not follow links either."""
    chosen = (os.O_CREAT if new else 0) | getattr(os, "O_NOFOLLOW", 0)  # Windows has none
    return FileIO(
        path, "ab", opener=lambda path, flags: os.open(path, flags & ~os.O_CREAT | chosen, 0o666)
    )


class GrowingFile:
    """A file of whole pieces, which the first flush with a piece creates.

    A flush passes the pieces to the operating system: they survive the end of the process, but not
    a power failure.

    Args:
      path: the path of the file.
      files: the open files of the sink.

    Attributes:
      pending: the number of records that wait for a flush.
    """

    def __init__(self, path: Path, files: OpenFiles) -> None:
        self.pending = 0
        self._path = path
        self._files = files
        self._pieces: list[bytes | memoryview] = []
        self._identity: tuple[int, int] | None = None  # device and inode at the first flush
        self._size = 0  # the bytes of whole pieces
        self._torn = False

    def add(self, piece: bytes | memoryview, num_records: int = 0) -> None:
        """Buffers a piece until the next flush; `num_records` is the number of its records."""
        self._pieces.append(piece)
        self.pending += num_records

    def flush(self) -> None:
        """Writes all buffered pieces; if it raises, the next flush writes the same pieces.

        Raises:
          FileNotFoundError: the file was removed since the first flush.
        """
        if not self._pieces:
            return
        file = self._open()
        if self._torn:
            self._take_back(file)
        first, *others = self._pieces
        data = memoryview(b"".join(self._pieces) if others else first)
        done = 0
        try:
            while done < len(data):
                done += file.write(data[done:])
        except BaseException:
            self._torn = True
            with contextlib.suppress(OSError):  # it is tried again before the next write
                self._take_back(file)
            raise
        self._size += len(data)
        self._pieces.clear()
        self.pending = 0

    def _open(self) -> FileIO:
        begins = self._identity is None
        with contextlib.suppress(FileNotFoundError):
            file = self._files.open(self, self._path, new=begins)
            status = os.fstat(file.fileno())
            if begins:
                self._size = status.st_size
                self._identity = status.st_dev, status.st_ino
            if status.st_nlink and self._identity == (status.st_dev, status.st_ino):
                return file
            self._files.close(self)
        raise FileNotFoundError(
            f"{self._path}: was removed while the run is open, with all that was in it"
        )

    def _take_back(self, file: FileIO) -> None:
        """Removes the part of a piece that a failed write left."""
        file.truncate(self._size)
        self._torn = False

    def close(self) -> None:
        """Flushes and closes the file."""
        try:
            self.flush()
        finally:
            self._files.close(self)
