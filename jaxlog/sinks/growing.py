"""Files that grow: what is flushed is in them, and of a write that failed nothing is.

A sink may have one for each lane, and a process may open few files (256, by default, on macOS). So
a sink's files share an `OpenFiles`, which keeps the last few open, and opens others when they grow.
"""

from __future__ import annotations

import contextlib
import errno
import os
from io import FileIO
from pathlib import Path

MAX_OPEN = 16
"""How many files a sink keeps open."""


def cut(path: Path, size: int) -> None:
    """Leaves the first bytes of a file; no file where none is left."""
    if not size:
        path.unlink()
    elif path.stat().st_size > size:
        os.truncate(path, size)


class OpenFiles:
    """Keeps the files that have grown last open, and no more than a few."""

    def __init__(self) -> None:
        self._files: dict[GrowingFile, FileIO] = {}  # the last used last

    def open(self, owner: GrowingFile, path: Path, *, new: bool) -> FileIO:
        """The file of an owner, open for writing at its end; only a new one may be made.

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
                for other in list(self._files):  # others have opened too many
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
    """A file, and not what a link of its name leads to: readers do not follow links either."""
    chosen = (os.O_CREAT if new else 0) | getattr(os, "O_NOFOLLOW", 0)  # Windows has none
    return FileIO(
        path, "ab", opener=lambda path, flags: os.open(path, flags & ~os.O_CREAT | chosen, 0o666)
    )


class GrowingFile:
    """A file of whole pieces. It is there from the first flush of something on.

    A flush hands them to the operating system: they outlive the process, but not a power cut.

    Args:
      path: of the file.
      files: those of the sink.

    Attributes:
      pending: how many records wait for a flush.
    """

    def __init__(self, path: Path, files: OpenFiles) -> None:
        self.pending = 0
        self._path = path
        self._files = files
        self._pieces: list[bytes] = []
        self._identity: tuple[int, int] | None = None  # of the file that was written first
        self._size = 0  # up to here there are whole pieces
        self._torn = False

    def add(self, piece: bytes, num_records: int = 0) -> None:
        """Keeps a piece, which has some records, until the next flush."""
        self._pieces.append(piece)
        self.pending += num_records

    def flush(self) -> None:
        """Writes what was added; after one that raised, the next tries the same again.

        Raises:
          FileNotFoundError: the file was removed meanwhile.
        """
        if not self._pieces:
            return
        file = self._open()
        if self._torn:
            self._take_back(file)
        data = memoryview(b"".join(self._pieces))
        done = 0
        try:
            while done < len(data):
                done += file.write(data[done:])
        except BaseException:
            self._torn = True
            with contextlib.suppress(OSError):  # then it is tried before the next write
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
            f"{self._path}: was removed while the run is open, and what was in it"
        )

    def _take_back(self, file: FileIO) -> None:
        """Cuts off what a failed write left."""
        file.truncate(self._size)
        self._torn = False

    def close(self) -> None:
        """Flushes and closes it."""
        try:
            self.flush()
        finally:
            self._files.close(self)
