"""Opens the files of a run: regular files of its directory, bounded in size and nesting.

A run's directory may come from anywhere. A link in it could lead to any file of the reader, reading
a pipe could block forever, and a sparse file can have more bytes than any memory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from jaxlog._store import known

StrPath = str | os.PathLike[str]

LONGEST = 2**26
"""The most bytes of a line, and of run.json."""
LARGEST = 2**34
"""The most bytes of lines that are read from one file, without its holes."""
DEEPEST = 64
"""The most levels of lists and objects in a line; jaxlog writes half as many."""

DRAFT = ".draft"
"""The ending of the names of files that are still being written."""

_BLOCK = 2**20
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_NESTING = bytes(set(range(256)) - set(b"[]{}\n"))
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_MANY_BRACKETS = re.compile(rb"[^\n]{%d}" % (DEEPEST + 1))
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotReadError(OSError):
    """A file of a run is not read. The text says which file, and why."""


def is_regular(path: StrPath) -> bool:
    """True if there is a regular file of this name, and not a link to one.

    Raises:
      OSError: the directory may not be searched.
    """
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def why_not(path: Path, most: int | None = None) -> str | None:
    """The reason why a file of a run is not read; None if it is read, or missing.

    Args:
      path: the file.
      most: the most bytes it may have; None for any number.
    """
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(found.st_mode):  # a directory of the user, not a file that is left out
        return None
    if not stat.S_ISREG(found.st_mode):
        return (
            f"{path}: is {_kind(found)}, expected a regular file, since a run is read only from "
            "its own directory; left out: put the file itself there"
        )
    if most is not None and found.st_size > most:
        return f"{path}: got {found.st_size:,} bytes, expected at most {most:,}; left out"
    return None


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file for reading; never blocks, and never follows a link.

    Raises:
      FileNotFoundError: it is not there.
      NotReadError: it is a link, a directory, a pipe or a device.
      OSError: it cannot be opened.
    """
    return _opened(path, None)


def open_below(directory: Path, inside: str) -> BinaryIO:
    """Opens a regular file below a directory; no folder between them may be a link.

    Args:
      directory: may itself be reached by a link.
      inside: the path below it, with `/` between folders.

    Raises:
      OSError: as `open_file`; or a folder is a link.
    """
    known.bring_file(directory, inside)
    *folders, name = inside.split("/")
    if os.open not in os.supports_dir_fd:
        for depth in range(1, len(folders) + 1):
            if directory.joinpath(*folders[:depth]).is_symlink():
                raise NotReadError(errno.ELOOP, os.strerror(errno.ELOOP), str(directory / inside))
        return _opened(directory / inside, None)
    at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        return _opened(Path(name), at)
    finally:
        os.close(at)


def _opened(path: StrPath, at: int | None) -> BinaryIO:
    descriptor, _ = _descriptor(path, at)
    return os.fdopen(descriptor, "rb")


def _descriptor(path: StrPath, at: int | None) -> tuple[int, os.stat_result]:
    # Checked before, since opening a device can have effects, and after, since it may have changed.
    before = os.stat(path, dir_fd=at, follow_symlinks=False)
    if not stat.S_ISREG(before.st_mode):
        raise _not_regular(path, before)
    # O_NONBLOCK: opening a pipe does not wait for its other end.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    try:
        opened = os.open(path, flags, dir_fd=at)
    except OSError as error:
        raise (_not_regular(path, None) if error.errno == errno.ELOOP else error) from None
    try:
        after = os.fstat(opened)
        if not stat.S_ISREG(after.st_mode):
            raise _not_regular(path, after)
        return opened, after
    except BaseException:
        os.close(opened)
        raise


def _not_regular(path: StrPath, found: os.stat_result | None) -> NotReadError:
    kind = _KINDS[stat.S_IFLNK] if found is None else _kind(found)
    return NotReadError(
        f"{path}: is {kind}, expected a regular file, since a run is read only from its own "
        "directory; put the file itself there"
    )


def _kind(found: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(found.st_mode), "no file")


def read_small(path: StrPath, most: int = LONGEST) -> bytes:
    """Reads a whole file that should be small, such as run.json.

    Raises:
      NotReadError: it has more than `most` bytes.
      OSError: as `open_file`.
    """
    data, size = _read(path, 0, most + 1)
    if max(size, len(data)) > most:
        raise NotReadError(f"{path}: got {max(size, len(data)):,} bytes, expected at most {most:,}")
    return data


def read_end(path: StrPath, most: int) -> tuple[bytes, int]:
    """Reads the last bytes of a file.

    Args:
      path: the file.
      most: how many bytes are read at most.

    Returns:
      The bytes, and the offset of the first of them.

    Raises:
      OSError: as `open_file`.
    """
    data, size = _read(path, -most, most)
    return data, max(0, size - most)


def _read(path: StrPath, start: int, most: int) -> tuple[bytes, int]:
    """Reads a part of a file without a buffer, and returns it with the size of the file.

    Args:
      path: the file.
      start: the offset; if it is negative, from the end.
      most: how many bytes are read at most.
    """
    descriptor, found = _descriptor(path, None)
    try:
        left = size = found.st_size
        if start < 0 and size + start > 0:
            left = -start
            os.lseek(descriptor, size + start, os.SEEK_SET)
        pieces: list[bytes] = []
        while most > 0:
            wanted = min(most, max(left, 0) + 1)  # one more than there was: less is the end
            piece = os.read(descriptor, wanted)
            pieces.append(piece)
            most, left = most - len(piece), left - len(piece)
            if not piece or (left <= 0 and len(piece) < wanted):
                break
    finally:
        os.close(descriptor)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces), size


def read_small_below(directory: Path, inside: str, most: int = LONGEST) -> bytes:
    """Reads a whole small file below a directory.

    Raises:
      NotReadError: it has more than `most` bytes.
      OSError: as `open_below`.
    """
    path = directory / inside
    with open_below(directory, inside) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most + 1) if size <= most else b""
    if max(size, len(data)) > most:
        raise NotReadError(f"{path}: got {max(size, len(data)):,} bytes, expected at most {most:,}")
    return data


def read_lines(path: Path) -> bytes:
    """Reads a file of lines; a hole in it becomes one NUL byte, which no valid line has.

    Raises:
      NotReadError: it has more than `LARGEST` bytes.
      OSError: as `open_file`.
    """
    pieces: list[bytes] = []
    size = 0
    with open_file(path) as file:
        end = 0
        for start, stop in extents(file):
            size += stop - start
            if size > LARGEST:
                raise NotReadError(
                    f"{path}: got more than {LARGEST:,} bytes of lines, expected at most as many; "
                    "read it in parts, with polars.scan_ndjson"
                )
            if start > end:
                pieces.append(b"\0")
            file.seek(start)
            pieces.append(file.read(stop - start))
            end = stop
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def count_lines(path: Path) -> int:
    """The number of lines in a file, without an incomplete last line."""
    number, last = 0, b""
    with open_file(path) as file:
        for start, stop in extents(file):
            file.seek(start)
            while start < stop and (block := file.read(min(_BLOCK, stop - start))):
                number += block.count(b"\n")
                start += len(block)
                # The bytes after the last line end, as many as a line may have.
                ended = block.rfind(b"\n")
                last = (last + block if ended < 0 else block[ended + 1 :])[: LONGEST + 1]
    return number + is_whole(last)


def lines_from(file: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """The lines of an open file from an offset on, each with its offset and with its line end.

    The last line may have no end. A line longer than `LONGEST` is left out.

    Args:
      file: as `open_file` returns it.
      start: the offset, at which a line begins.
    """
    file.seek(start)
    while line := file.readline(LONGEST):
        if line.endswith(b"\n") or len(line) < LONGEST:
            yield start, line
            start += len(line)
            continue
        start = _behind(file, start + len(line))
        file.seek(start)


def _behind(file: BinaryIO, place: int) -> int:
    """The offset after the next line end; the end of the file if there is none."""
    stop = place
    for start, stop in extents(file, place):
        file.seek(start)
        while start < stop and (block := file.read(min(_BLOCK, stop - start))):
            if (found := block.find(b"\n")) >= 0:
                return start + found + 1
            start += len(block)
    return max(stop, os.fstat(file.fileno()).st_size)


def extents(file: BinaryIO, start: int = 0) -> Iterator[tuple[int, int]]:
    """The ranges of a file that have data: all of it, without its holes.

    Args:
      file: as `open_file` returns it.
      start: the offset from which on they are wanted.
    """
    found = os.fstat(file.fileno())
    end = found.st_size
    if getattr(found, "st_blocks", end) * 512 >= end or not hasattr(os, "SEEK_DATA"):
        if start < end:
            yield start, end
        return
    while start < end:
        before = os.lseek(file.fileno(), 0, os.SEEK_CUR)  # the offset that `file` relies on
        try:
            start = os.lseek(file.fileno(), start, os.SEEK_DATA)
            stop = min(os.lseek(file.fileno(), start, os.SEEK_HOLE), end)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                return
            stop = end  # the file system does not report holes
        finally:
            os.lseek(file.fileno(), before, os.SEEK_SET)
        if stop <= start:  # the file was cut in the meantime
            return
        yield start, stop
        start = stop


def loads(data: bytes) -> Any:
    """Parses JSON.

    Raises:
      ValueError: it is not JSON, or is nested more than `DEEPEST` deep.

    >>> loads(b'{"a": [1]}')
    {'a': [1]}
    """
    value = orjson.loads(data)
    if _is_too_deep(data):
        raise ValueError(f"got JSON nested more than {DEEPEST} deep, expected at most as deep")
    return value


def is_whole(line: bytes) -> bool:
    """True if the bytes after the last line end are a whole line, without its own line end.

    A part of a JSON object is never a whole one, since only the last brace ends it.

    >>> is_whole(b'{"step": 1}'), is_whole(b'{"step": 1')
    (True, False)
    """
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return False
    try:
        return isinstance(loads(line), dict)
    except ValueError:
        return False


def has_too_deep(data: bytes) -> bool:
    """True if any line of JSON is nested more than `DEEPEST` deep."""
    brackets = data.translate(_BRACKETS, _NOT_NESTING)
    if not _MANY_BRACKETS.search(brackets):
        return False  # the most frequent case, without a look at each line
    each = enumerate(brackets.split(b"\n"))
    suspects = [place for place, line in each if line.count(b"[") > DEEPEST]
    lines = data.split(b"\n") if suspects else []
    return any(_is_too_deep(lines[place]) for place in suspects)


def _is_too_deep(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return False  # also if some of them are in texts
    brackets = _STRING.sub(b"", line).translate(_BRACKETS, _NOT_NESTING + b"\n")
    for _ in range(DEEPEST):
        brackets = brackets.replace(b"[]", b"")  # removes the innermost level
    return bool(brackets)


def replacement(path: Path) -> tuple[Path, BinaryIO]:
    """Makes a new file beside another, to be written and then renamed to it.

    The name is random and must not exist, so that nobody can have put a link there.

    Returns:
      The new file's path, and the file, opened for writing.

    Raises:
      OSError: it cannot be made.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}{DRAFT}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return draft, os.fdopen(os.open(draft, flags, 0o666), "wb")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a new file that takes the place of `path` when the block ends without an exception.

    Until then, and after an exception, `path` stays as it was. A link in its place is replaced, not
    followed.

    Raises:
      OSError: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = Path(directory, "run.json")
    ...     with replacing(path) as file:
    ...         _ = file.write(b"{}")
    ...     path.read_text()
    '{}'
    """
    draft, file = replacement(path)
    try:
        with file:
            yield file
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def drafts_of(path: Path) -> list[Path]:
    """The files of `replacement` beside a file that processes left when they were killed."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}{re.escape(DRAFT)}")
    with contextlib.suppress(OSError):
        return [found for found in path.parent.iterdir() if name.fullmatch(found.name)]
    return []
