"""A run's directory: who holds it, what is known of the run, and from where it can go on."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import orjson

from jaxlog import _run_files
from jaxlog._format.nonfinite import with_nonfinite, without_nonfinite

try:
    import fcntl
except ImportError:  # no POSIX: nothing tells whether a run is live
    fcntl = None

IfExists = Literal["error", "resume", "replace"]

RUN_FILE = "run.json"
"""The file that makes a directory a run's."""
MARKS_FILE = "marks.jsonl"
"""How long the files were each time a state was taken, by its number."""


class Directory:
    """The directory of one run, held against all others until `release`.

    Args:
      path: made if it is not there; `leave` removes it again, where it is empty.
      if_exists: what to do where it has a run already.

    Attributes:
      path: as given.
      previous: what run.json says of the run that is to go on; None for a new one.

    Raises:
      FileExistsError: it has a run already, and `if_exists` is `error`; or that run is still open.
      OSError: it cannot be made or written.
      ValueError: its run.json does not tell of a run, and the run is to go on.
    """

    def __init__(self, path: Path, if_exists: IfExists) -> None:
        self.path = path
        self.previous: dict[str, Any] | None = None
        self._lock: int | None = None
        self._made = [above for above in (path, *path.parents) if not os.path.lexists(above)]
        try:
            _make(path)
            self._lock = _lock(path)
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
                "this one, or give open if_exists='resume' to go on with that run, or 'replace' to "
                "write over it"
            )
        if if_exists == "replace":
            return
        try:
            found = _run_files.loads(_run_files.read_small(file))
            int(found["id"], 16)
            with_nonfinite(found, found.get("nonfinite"))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(
                f"{file}: does not tell of a run, so that it cannot go on; mend it, or give open "
                "if_exists='replace'"
            ) from None
        self.previous = found

    def begin(self, facts: Mapping[str, Any], mark: int | None) -> None:
        """Makes it the directory of a run that begins or goes on; if it raises, nothing is changed.

        Args:
          facts: what run.json is to say.
          mark: from which it goes on; None, where it goes on at its end, or begins.
        """
        try:
            before = _run_files.read_small(self.path / RUN_FILE)
        except (FileNotFoundError, _run_files.NotReadError):
            before = None
        for draft in _run_files.drafts_of(self.path / RUN_FILE):  # of a process that was killed
            with contextlib.suppress(OSError):
                draft.unlink()
        self.save(facts)
        try:
            if self.previous is None:
                (self.path / MARKS_FILE).unlink(missing_ok=True)
            elif mark is not None:
                self.add_mark({"resumed": mark})
        except BaseException:
            if before is None:
                (self.path / RUN_FILE).unlink()
            else:
                self._write(before)
            raise

    def save(self, facts: Mapping[str, Any]) -> None:
        """Writes run.json: all of it, or nothing."""
        self._check()
        finite, nonfinite = without_nonfinite(dict(facts))
        if nonfinite:
            finite["nonfinite"] = nonfinite
        else:
            finite.pop("nonfinite", None)
        self._write(orjson.dumps(finite, option=orjson.OPT_INDENT_2))

    def _write(self, data: bytes) -> None:
        with _run_files.replacing(self.path / RUN_FILE) as file:
            file.write(data)

    def forget(self) -> None:
        """Makes it a directory without a run; what sinks wrote is theirs to remove."""
        for name in (RUN_FILE, MARKS_FILE):
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).unlink()

    def add_mark(self, mark: Mapping[str, Any]) -> None:
        """Keeps what `marks` is to find again, also after the process was killed.

        Args:
          mark: with a number, `mark`; or `resumed`, the number of the mark from which the run goes
            on: what was marked after it is gone.
        """
        self._check()
        with _appended(self.path / MARKS_FILE) as file:
            size = file.seek(0, os.SEEK_END)
            line = orjson.dumps(mark, option=orjson.OPT_APPEND_NEWLINE)
            if size:
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line  # behind a torn one
            try:
                if file.write(line) < len(line):
                    raise OSError(f"{MARKS_FILE}: could not be written whole")
            except BaseException:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise

    def marks(self) -> tuple[dict[int, dict[str, Any]], int]:
        """The marks from which the run can go on, by number, and the highest number ever given."""
        try:
            lines = _run_files.read_lines(self.path / MARKS_FILE).split(b"\n")
        except FileNotFoundError:
            return {}, 0
        found: dict[int, dict[str, Any]] = {}
        highest = 0
        for line in lines:
            try:
                mark = _run_files.loads(line)
            except ValueError:  # torn, by a kill
                continue
            if "resumed" in mark:
                found = {number: m for number, m in found.items() if number <= mark["resumed"]}
            else:
                found[mark["mark"]] = mark
                highest = max(highest, mark["mark"])
        return found, highest

    def leave(self) -> None:
        """Lets others have it, as it was: where it was made for the run, it is removed."""
        self.release()
        for made in self._made:
            try:
                made.rmdir()
            except OSError:  # somebody has put something there
                return

    def release(self) -> None:
        """Lets others have it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _check(self) -> None:
        """Whether it is still the directory that was locked, and not another of its name."""
        if self._lock is not None:
            held, found = os.fstat(self._lock), self.path.stat()
            if (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino):
                raise FileNotFoundError(f"{self.path}: was removed while the run is open")


def is_held(path: Path) -> bool | None:
    """Whether a run is open in a directory; None where nothing tells.

    Raises:
      OSError: the directory cannot be opened.
    """
    if fcntl is None:
        return None
    try:
        # Shared: two that ask at a time do not take each other for a run.
        held = _locked(path, fcntl.LOCK_SH)
    except BlockingIOError:
        return True
    if held is None:
        return None
    os.close(held)
    return False


def _appended(path: Path) -> FileIO:
    """A file to read and to append to; never through a link.

    Raises:
      OSError: it cannot be opened, or is a link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return FileIO(os.open(path, flags, 0o666), "r+b")


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
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
    """Locks a directory until the process ends, or what is returned is closed.

    Raises:
      FileExistsError: it is locked: a run is open in it.
    """
    if fcntl is None:
        return None
    try:
        return _locked(path, fcntl.LOCK_EX)
    except BlockingIOError:
        raise FileExistsError(
            f"{path}: has a run that is open, of {_holder(path)}; choose another directory, or end "
            "that run first"
        ) from None


def _locked(path: Path, kind: int) -> int | None:
    """A directory that is opened and locked; None on a file system without locks."""
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


def _holder(path: Path) -> str:
    try:
        facts = _run_files.loads(_run_files.read_small(path / RUN_FILE))
        pid, host = facts["pid"], facts["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
    if host != socket.gethostname():
        return f"process {pid} on {host}"
    return "this process" if pid == os.getpid() else f"process {pid}"
