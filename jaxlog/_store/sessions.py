"""The sessions of a stored run: who writes it, and which files it has.

Each time that a run is opened, it gets a session with the next number, and an object with that
number in its name. The object can be created only once, so that of two machines that open a run at
once one is refused. Its holder alone writes it again: with the table of files whenever these have
changed, and often enough that others see that it lives. The object with the highest number counts.
A machine that was taken for dead and goes on writes an object that nobody reads any more.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from jaxlog import _run_files
from jaxlog._host.facts import iso
from jaxlog._store.objects import ObjectStore, StoredEntry, StoreError
from jaxlog._store.table import (
    StoredFile,
    StoredFiles,
    applied,
    changes_of,
    parts_facts,
    parts_of,
    table_facts,
)
from jaxlog._store.table_objects import NONE, TableObjects, extended, read_objects

FORMAT = 2
"""The field `format` of the objects of sessions: 1 without objects of the table."""
_NAME = re.compile(r"session-(\d{4,9})\.json")
_LEAST_SECONDS = 5.0
_LOOKS = 3
"""The times that an object is read which another machine may be writing."""


class SessionLostError(StoreError):
    """Another machine has taken up the run."""


class NoSessionError(StoreError):
    """An object with the name of a session is not one."""


@dataclass(frozen=True)
class SessionRecord:
    """The object of a session, as it was read.

    Attributes:
      number: its number.
      tag: as in `StoredEntry`; empty if it was read without a listing.
      holder: who has it: `token`, `host` and `pid`.
      seconds: how long it counts as live after it was written.
      written: when it was written by its holder's clock, in seconds since 1970.
      ended: whether its holder has left it.
      files: the table of files.
      beat: how often it was written.
      objects: the objects that have the table, but what changed since.
    """

    number: int
    tag: str
    holder: Mapping[str, Any]
    seconds: float
    written: float
    ended: bool
    files: StoredFiles
    beat: int
    objects: TableObjects = NONE

    @property
    def described(self) -> str:
        """Its holder, for messages."""
        return f"process {self.holder.get('pid')} on {self.holder.get('host')}"


def session_name(number: int) -> str:
    """The name of the object of a session.

    >>> session_name(2)
    'session-0002.json'
    """
    return f"session-{number:04d}.json"


def newest(entries: list[StoredEntry]) -> tuple[int, str]:
    """The number and the tag of the newest session among the entries of a run; 0 for none."""
    found = [(int(m[1]), one.tag) for one in entries if (m := _NAME.fullmatch(one.name))]
    return max(found, default=(0, ""))


def read_session(
    store: ObjectStore, number: int, tag: str = "", read: TableObjects = NONE
) -> SessionRecord:
    """Reads the object of a session, and those of its table that were not read before.

    Raises:
      FileNotFoundError: it is not there.
      StoreError: it cannot be read, or is not that of a session.
    """
    for look in range(_LOOKS):
        data = store.get(session_name(number))
        try:
            found = _run_files.loads(data)
            if type(found["format"]) is not int or found["format"] > FORMAT:
                raise NoSessionError(
                    f"{store.address}: has format {found['format']!r:.20}, and this jaxlog reads "
                    f"up to {FORMAT}: update jaxlog (pip install -U jaxlog)"
                )
            objects = read_objects(store, parts_of(found.get("objects", ())), read)
            return SessionRecord(
                number,
                tag,
                dict(found["holder"]),
                float(found["seconds"]),
                float(found["written"]),
                bool(found["ended"]),
                applied(objects.files, changes_of(found["files"])),
                int(found["beat"]),
                objects,
            )
        except FileNotFoundError as error:  # the session was written again since, with others
            if look + 1 == _LOOKS:
                raise StoreError(
                    f"{store.address}: an object of the list of files is missing: {error}"
                ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if look + 1 == _LOOKS:
                raise NoSessionError(
                    f"{store.address}: is not the object of a session: {session_name(number)} "
                    f"({error}); if this is no run, choose another address"
                ) from None
        time.sleep(0.2)
    raise AssertionError


class HeldSession:
    """The session of a run that this process has opened.

    Args:
      store: the objects of the run.
      number: its number.
      seconds: how long it counts as live after it was written.
      files: the table of the session before, which is valid until the first `publish`.
      objects: the objects that have most of that table.

    Attributes:
      store: as given.
      number: as given.
      seconds: as given.
      token: names this session among all.
      files: the table that was published last.
      objects: the objects that have most of it; others of before may be deleted.
    """

    def __init__(
        self,
        store: ObjectStore,
        number: int,
        seconds: float,
        files: StoredFiles,
        objects: TableObjects = NONE,
    ) -> None:
        self.store = store
        self.number = number
        self.seconds = seconds
        self.token = secrets.token_hex(6)
        self.files: StoredFiles = dict(files)
        self.objects = objects
        self._beat = 0
        self._written = 0.0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Creates the object of the session; False if another machine has done it before."""
        self._written = time.monotonic()
        return self.store.create(session_name(self.number), self._data(ended=False))

    def publish(self, files: Mapping[str, StoredFile], *, ended: bool = False) -> None:
        """Replaces the table of files, which readers then see.

        Raises:
          SessionLostError: another machine has taken up the run.
          StoreError: it cannot be written.
        """
        self._check()
        # A run that has ended is in one object.
        objects = NONE if ended else self._extended(files)
        before = self.files, self.objects
        self.files, self.objects = dict(files), objects
        try:
            self._write(ended=ended)
        except BaseException:
            self.files, self.objects = before
            raise

    def beat(self, *, at_once: bool = False) -> None:
        """Shows that this process lives, if the last time is a while ago.

        Raises:
          SessionLostError: another machine has taken up the run.
          StoreError: it cannot be written.
        """
        if at_once or time.monotonic() - self._written >= self.seconds / 3:
            self._check()
            self._write(ended=False)

    def leave(self) -> None:
        """Ends the session with the files that it has."""
        with contextlib.suppress(OSError):
            self._check()
            self._write(ended=True)

    def withdraw(self) -> None:
        """Deletes the object of a session that had no files and is the first."""
        self.store.delete([session_name(self.number)])

    def _check(self) -> None:
        try:  # one request; to ask whether it exists takes s3fs two
            other = read_session(self.store, self.number + 1)
        except FileNotFoundError:
            return
        raise SessionLostError(
            f"{self.store.address}: was taken up by {other.described}, since this process was not "
            f"heard of for {self.seconds:g} s"
        )

    def _extended(self, files: StoredFiles) -> TableObjects:
        unique = f"{self.number:04d}/table-{self.token}-{self._beat:x}"
        return extended(self.store, self.objects, files, unique)

    def _write(self, *, ended: bool) -> None:
        with self._lock:
            self._beat += 1
            started = time.monotonic()
            self.store.put(session_name(self.number), self._data(ended=ended))
            self._written = started

    def _data(self, *, ended: bool) -> bytes:
        now = time.time()
        facts = {
            "format": FORMAT if self.objects.parts else 1,
            "session": self.number,
            "holder": {"token": self.token, "host": socket.gethostname(), "pid": os.getpid()},
            "seconds": self.seconds,
            "written": now,
            "time": iso(now),
            "beat": self._beat,
            "ended": ended,
            "files": table_facts(self.objects.changes(self.files)),
        }
        if self.objects.parts:
            facts["objects"] = parts_facts(self.objects.parts)
        return orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)


def lease_seconds(mirror_seconds: float) -> float:
    """The seconds for which a session counts as live after it was written.

    >>> lease_seconds(10.0), lease_seconds(0.5)
    (30.0, 5.0)
    """
    return max(_LEAST_SECONDS, 3.0 * mirror_seconds)
