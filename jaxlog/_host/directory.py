"""A run's directory: its lock, run.json, and the marks from which the run can be resumed."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import orjson

from jaxlog import _run_files
from jaxlog._format.nonfinite import with_nonfinite, without_nonfinite
from jaxlog._format.what_ran import FOLDER
from jaxlog._host import unlocked

try:
    import fcntl
except ImportError:  # no POSIX, and no locks
    fcntl = None

IfExists = Literal["error", "resume", "replace", "next"]

RUN_FILE = "run.json"
"""The file by which a directory is that of a run."""
MARKS_FILE = "marks.jsonl"
"""The file with a line for each state that was taken: a mark, with the sinks' positions."""


class Directory:
    """The directory of one run, locked against other runs until `release`.

    On a file system without locks, run.json stands for the lock as far as it can: it names the
    process that writes the run.

    Args:
      path: made if it does not exist; `leave` removes it again if it is empty.
      if_exists: what to do if it holds a run already. With `next`, another directory is used if it
        is not empty: `path-2`, or the number after the highest one that there is.

    Attributes:
      path: the directory that is used.
      previous: the facts in run.json of a run that is to be resumed; None for a new run.

    Raises:
      FileExistsError: it holds a run, and `if_exists` is `error`; or that run is still open.
      OSError: it cannot be made or written.
      ValueError: the run is to be resumed, and its run.json cannot be used.
    """

    def __init__(self, path: Path, if_exists: IfExists) -> None:
        self.previous: dict[str, Any] | None = None
        self._found: bytes | None = None
        self._lock: int | None = None
        self._is_made = False
        if if_exists != "next":
            self._open(path, if_exists)
            return
        for candidate in _numbered(path):
            # Whoever writes into a directory has locked it: so it is empty, or another's.
            try:
                self._open(candidate, "error")
            except OSError as error:
                in_use = isinstance(error, FileExistsError)
                if in_use or (isinstance(error, NotADirectoryError) and candidate.is_file()):
                    continue
                raise
            with contextlib.suppress(FileNotFoundError):  # removed before it was locked
                self._check()
                # Without locks, another process may be about to write into a directory that it
                # found empty, too; only one of them has made it.
                if self.is_mine and not any(candidate.iterdir()):
                    return
            self.release()

    @property
    def is_mine(self) -> bool:
        """True if no other process has it: it is locked, or this process has made it."""
        return self._lock is not None or self._is_made

    def _open(self, path: Path, if_exists: IfExists) -> None:
        self.path = path
        self._made = [above for above in (path, *path.parents) if not os.path.lexists(above)]
        try:
            self._is_made = _make(path)
            try:
                self._lock = _lock(path)
            except FileExistsError:
                self._made = []  # the run that has the lock needs them
                raise
            self._enter(if_exists)
        except BaseException:
            self.leave()
            raise

    def _enter(self, if_exists: IfExists) -> None:
        file = self.path / RUN_FILE
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(f"{self.path}: cannot be written; choose a directory that can be")
        if not file.exists():
            return
        if if_exists == "error":
            raise FileExistsError(
                f"{self.path}: holds a run already ({RUN_FILE}); choose another directory, delete "
                "this one, or give open if_exists='resume' to go on with that run, 'replace' to "
                "write over it, or 'next' for a directory with the next number"
            )
        self._found = unlocked.content(file)
        if self._lock is None:
            unlocked.check(file, self._found)
        if if_exists == "replace":
            return
        try:
            found = _run_files.loads(_run_files.read_small(file))
            int(found["id"], 16)
            with_nonfinite(found, found.get("nonfinite"))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(
                f"{file}: is not that of a run, so that the run cannot be resumed; mend it, or "
                "give open if_exists='replace'"
            ) from None
        self.previous = found

    def begin(self, facts: Mapping[str, Any], mark: int | None) -> None:
        """Makes it the directory of a run that begins or is resumed; all of it, or nothing.

        Args:
          facts: the facts for run.json.
          mark: the mark from which the run is resumed; None if it begins or goes on at its end.

        Raises:
          FileExistsError: another run has begun in it, on a file system without locks.
          OSError: it cannot be written.
        """
        file = self.path / RUN_FILE
        before = unlocked.content(file)
        if self._lock is None:
            unlocked.begin(file, self._found, _content(facts))
        else:
            for draft in _run_files.drafts_of(file):  # of a process that was killed
                with contextlib.suppress(OSError):
                    draft.unlink()
            self.save(facts)
        try:
            if self.previous is None:
                (self.path / MARKS_FILE).unlink(missing_ok=True)
                self.remove_program_files()
            elif mark is not None:
                self.add_mark({"resumed": mark})
        except BaseException:
            if before is None:
                (self.path / RUN_FILE).unlink()
            else:
                self._write(before)
            raise

    def save(self, facts: Mapping[str, Any]) -> None:
        """Writes run.json; if that fails, the file from before is still there."""
        self._check()
        self._write(_content(facts))

    def _write(self, data: bytes) -> None:
        with _run_files.replacing(self.path / RUN_FILE) as file:
            file.write(data)

    def forget(self) -> None:
        """Makes it a directory without a run; files of sinks stay."""
        for name in (RUN_FILE, MARKS_FILE):
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).unlink()
        self.remove_program_files()

    def remove_program_files(self) -> None:
        """Removes the files about the program that made a run."""
        folder = self.path / FOLDER
        with contextlib.suppress(OSError):
            patterns = ("packages*.txt", "code*.diff", "cells*.py")
            for path in [path for pattern in patterns for path in folder.glob(pattern)]:
                if _run_files.is_regular(path):
                    path.unlink()
            folder.rmdir()

    def add_mark(self, mark: Mapping[str, Any]) -> None:
        """Writes a mark, which `marks` finds even after the process was killed.

        Args:
          mark: has its number as `mark`; or, as `resumed`, the number of the mark from which the
            run is resumed, so that later marks no longer count.
        """
        self._check()
        with appended(self.path / MARKS_FILE) as file:
            size = file.seek(0, os.SEEK_END)
            line = orjson.dumps(mark, option=orjson.OPT_APPEND_NEWLINE)
            if size:
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line  # after an incomplete line
            try:
                if file.write(line) < len(line):
                    raise OSError(f"{MARKS_FILE}: could not be written whole")
            except BaseException:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise

    def marks(self) -> tuple[dict[int, dict[str, Any]], int]:
        """The marks from which the run can be resumed, by number, and the highest number used."""
        try:
            lines = _run_files.read_lines(self.path / MARKS_FILE).split(b"\n")
        except FileNotFoundError:
            return {}, 0
        found: dict[int, dict[str, Any]] = {}
        highest = 0
        for line in lines:
            try:
                mark = _run_files.loads(line)
            except ValueError:  # an incomplete line, of a process that was killed
                continue
            if "resumed" in mark:
                found = {number: m for number, m in found.items() if number <= mark["resumed"]}
            else:
                found[mark["mark"]] = mark
                highest = max(highest, mark["mark"])
        return found, highest

    def leave(self) -> None:
        """Releases it; removes the directories that were made for the run and are empty."""
        self.release()
        for made in self._made:
            try:
                made.rmdir()
            except OSError:  # something has been put there
                return

    def release(self) -> None:
        """Unlocks it for other runs."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _check(self) -> None:
        """Raises if the directory that was locked is gone, or another has its name."""
        if self._lock is not None:
            held, found = os.fstat(self._lock), self.path.stat()
            if (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino):
                raise FileNotFoundError(f"{self.path}: was removed while the run is open")


def _numbered(path: Path) -> Iterator[Path]:
    """Yields a path if nothing is there, and then those with numbers that no path beside it has."""
    name = re.compile(re.escape(path.name) + r"-([1-9][0-9]{0,8})")
    beside: list[str] = []
    with contextlib.suppress(OSError):  # its parent does not exist yet
        beside = [found.name for found in path.parent.iterdir()]
    used = [int(match[1]) for one in beside if (match := name.fullmatch(one))]
    if not used:
        yield path
    for number in itertools.count(max(used, default=1) + 1):
        yield path.with_name(f"{path.name}-{number}")


def _content(facts: Mapping[str, Any]) -> bytes:
    """The content of run.json."""
    finite, nonfinite = without_nonfinite(dict(facts))
    if nonfinite:
        finite["nonfinite"] = nonfinite
    else:
        finite.pop("nonfinite", None)
    return orjson.dumps(finite, option=orjson.OPT_INDENT_2)


def is_held(path: Path) -> bool | None:
    """True if a run is open in a directory; None if the file system has no locks.

    Raises:
      OSError: the directory cannot be opened.
    """
    if fcntl is None:
        return None
    try:
        # Shared: two processes that ask at once do not take each other for a run.
        held = _locked(path, fcntl.LOCK_SH)
    except BlockingIOError:
        return True
    if held is None:
        return None
    os.close(held)
    return False


def appended(path: Path) -> FileIO:
    """Opens a file to read and append; follows no link.

    Raises:
      OSError: it cannot be opened, or is a link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return FileIO(os.open(path, flags, 0o666), "r+b")


def _make(path: Path) -> bool:
    """Makes a directory; returns False if it is there already."""
    try:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            path.mkdir(exist_ok=True)  # raises if it is a file
            return False
        return True
    except FileExistsError:
        raise NotADirectoryError(
            f"{path}: is a file, and a run needs a directory; choose another path"
        ) from None
    except OSError as error:
        raise type(error)(
            f"{path}: this directory cannot be made: {error.strerror}; choose one that can be "
            "written"
        ) from None


def _lock(path: Path) -> int | None:
    """Locks a directory until the process ends or the returned descriptor is closed.

    Raises:
      FileExistsError: it is locked, since a run is open in it.
    """
    if fcntl is None:
        return None
    try:
        return _locked(path, fcntl.LOCK_EX)
    except BlockingIOError:
        raise unlocked.open_error(path / RUN_FILE) from None


def _locked(path: Path, kind: int) -> int | None:
    """Opens and locks a directory; None on a file system without locks."""
    assert fcntl is not None
    opened = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        raise
    except OSError:
        os.close(opened)
        return None
    return opened
