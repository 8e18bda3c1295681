"""A run's directory: who holds it, what is known of the run, and from where it can go on."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson

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
      path: made if it is not there.
      if_exists: what to do where it has a run already.

    Attributes:
      path: as given.
      previous: what run.json says of the run that is to go on; None for a new one.

    Raises:
      FileExistsError: it has a run already, and `if_exists` is `error`; or that run is still open.
      OSError: it cannot be made or written.
      ValueError: its run.json cannot be read, and the run is to go on.
    """

    def __init__(self, path: Path, if_exists: IfExists) -> None:
        self.path = path
        self.previous: dict[str, Any] | None = None
        _make(path)
        self._lock = _lock(path)
        try:
            self._enter(if_exists)
        except BaseException:
            self.release()
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
            self.forget()
            return
        try:
            found = orjson.loads(file.read_bytes())
            assert isinstance(found, dict)
        except (orjson.JSONDecodeError, AssertionError):
            raise ValueError(
                f"{file}: is no JSON object, so that the run cannot go on; mend it, or give open "
                "if_exists='replace'"
            ) from None
        self.previous = found

    def save(self, facts: Mapping[str, Any]) -> None:
        """Writes run.json: all of it, or nothing."""
        self._write(RUN_FILE, orjson.dumps(facts, option=orjson.OPT_INDENT_2))

    def forget(self) -> None:
        """Makes it a directory without a run; what sinks wrote is theirs to remove."""
        for name in (RUN_FILE, MARKS_FILE):
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).unlink()

    def add_mark(self, mark: Mapping[str, Any]) -> None:
        """Keeps what `marks` is to find again, also after the process was killed."""
        with (self.path / MARKS_FILE).open("ab") as file:
            file.write(orjson.dumps(mark, option=orjson.OPT_APPEND_NEWLINE))

    def marks(self) -> dict[int, dict[str, Any]]:
        """The marks by their numbers."""
        try:
            lines = (self.path / MARKS_FILE).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return {}
        return {mark["mark"]: mark for mark in map(orjson.loads, lines)}

    def keep_marks(self, last: int) -> None:
        """Drops the marks after one: what they speak of is dropped, too."""
        kept = [mark for number, mark in self.marks().items() if number <= last]
        text = b"".join(orjson.dumps(mark, option=orjson.OPT_APPEND_NEWLINE) for mark in kept)
        self._write(MARKS_FILE, text)

    def release(self) -> None:
        """Lets others have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self, name: str, text: bytes) -> None:
        draft = self.path / f".{name}.draft"
        try:
            draft.write_bytes(text)
            draft.replace(self.path / name)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise


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
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise FileExistsError(
            f"{path}: has a run that is open, of {_holder(path)}; choose another directory, or end "
            "that run first"
        ) from None
    except OSError:  # a file system without locks
        os.close(held)
        return None
    return held


def _holder(path: Path) -> str:
    try:
        facts = orjson.loads((path / RUN_FILE).read_bytes())
        pid, host = facts["pid"], facts["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
    if host != socket.gethostname():
        return f"process {pid} on {host}"
    return "this process" if pid == os.getpid() else f"process {pid}"
