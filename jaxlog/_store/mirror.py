"""Mirrors the directory of an open run into a store, on a thread of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from jaxlog._host.companion import Companion, RunAccess
from jaxlog._host.directory import RUN_FILE
from jaxlog._say import log as _log
from jaxlog._store.sessions import HeldSession, SessionLostError
from jaxlog._store.snapshot import seen, snapshot
from jaxlog._store.table import DATA
from jaxlog._store.uploads import Uploads
from jaxlog._text import counted

LONGEST_WAIT = 60.0
"""The most seconds between two attempts while the store is away."""
AT_END = 60.0
"""The seconds without progress after which the end of a run gives the store up."""
WHEN_TERMINATED = 20.0
"""The seconds that the upload may take if SIGTERM ends the process: those that machines which are
taken away are given, without those that the sinks need."""
KEPT = 60.0
"""The seconds for which parts that were replaced are kept for readers with an older table."""
_TRIES = 5


class DirectoryLostError(OSError):
    """The directory of an open run was deleted."""


class RunMirror(Companion):
    """Mirrors one run.

    Args:
      session: of the run in the store.
      directory: of the run on this machine.
      seconds: between two uploads.
      replaces: whether the files that the store has are those of a run that is replaced.
      uploaded: called when the run is closed and all of it is in the store.

    Attributes:
      session: as given.
    """

    def __init__(
        self,
        session: HeldSession,
        directory: Path,
        seconds: float,
        *,
        replaces: bool = False,
        uploaded: Callable[[], None] = lambda: None,
    ) -> None:
        self.session = session
        self._directory = directory
        self._seconds = seconds
        self._when_uploaded = uploaded
        before = {} if replaces else session.files
        self._uploads = Uploads(
            session.store, directory, session.number, session.token, before, session.beat
        )
        if replaces:
            now = time.monotonic()
            parts = (part for one in session.files.values() for part in one.parts)
            self._uploads.obsolete |= {part.name: now for part in parts}
        self._run = directory.name
        self._thread = threading.Thread(target=self._work, name="jaxlog mirror", daemon=True)
        self._state = threading.Condition()
        self._asked = 0
        self._done = 0
        self._failures = 0
        self._failure: BaseException | None = None
        self._closing = False
        self._given_up = False
        self._lost = False
        self._published = False
        self._is_clean = session.number == 1
        self._status = ""

    def begin(self, run: RunAccess) -> None:
        """Begins to upload."""
        self._run = run.info.name
        self._asked = 1  # so that the run is in the store at once
        self._thread.start()

    def marked(self) -> None:
        """Waits until the state is in the store, unless the store is away."""
        if self._lost or self._failures or not self._thread.is_alive():
            return  # while the store is away, the training does not wait for it
        if not self._wait(self._ask(), max(self._seconds, 10.0)):
            _log.warning(
                "jaxlog: run %s: the state that was taken is not yet in %s. Until it is, the run "
                "cannot be resumed from this state on another machine.",
                self._run,
                self.session.store.address,
            )

    def end(self, status: str, error: BaseException | None, seconds: float) -> None:  # noqa: ARG002
        """Notes how the run ends; what is uploaded last has the outcome, too."""
        self._status = status

    def closed(self) -> None:
        """Uploads all of the run, and says what could not be uploaded."""
        if self._lost:
            return
        self._closing = True
        asked = self._ask()
        try:
            whole = self._finish(asked)
        except BaseException:  # Ctrl-C
            self._given_up = True
            self._say_missing()
            raise
        if whole:
            self._when_uploaded()
        elif not self._lost:
            self._given_up = True
            self._say_missing()

    def abandon(self) -> None:
        """Uploads nothing more, in the child of a fork."""
        self._given_up = True

    @property
    def num_files(self) -> int:
        """The files of the run."""
        return len(self._uploads.files)

    @property
    def num_bytes(self) -> int:
        """The bytes that were uploaded."""
        return self._uploads.num_bytes

    def upload(self) -> None:
        """Uploads all of the directory on this thread, and ends the session.

        Raises:
          OSError: the store cannot be written, or the directory cannot be read.
        """
        self._sync(final=True)

    def _ask(self) -> int:
        with self._state:
            self._asked += 1
            self._state.notify_all()
            return self._asked

    def _wait(self, asked: int, seconds: float) -> bool:
        """Waits until an upload that began after a request is done; False if it failed."""
        with self._state:
            failures = self._failures
            self._state.wait_for(
                lambda: self._done >= asked or self._failures > failures or self._lost, seconds
            )
            return self._done >= asked

    def _finish(self, asked: int) -> bool:
        terminated = self._status == "terminated"
        until = time.monotonic() + (WHEN_TERMINATED if terminated else AT_END)
        uploaded = self._uploads.num_bytes
        while self._thread.is_alive() and time.monotonic() < until:
            with self._state:
                if self._state.wait_for(lambda: self._done >= asked or self._lost, 0.25):
                    break
            if self._uploads.num_bytes > uploaded and not terminated:
                uploaded = self._uploads.num_bytes
                until = time.monotonic() + AT_END
        return self._done >= asked

    def _work(self) -> None:
        while not self._given_up:
            with self._state:
                if self._failures:
                    longest = 2.0 if self._closing else LONGEST_WAIT
                    wait = min(longest, 0.5 * 2 ** min(self._failures, 10))
                    self._state.wait_for(lambda: self._given_up, wait * random.uniform(0.75, 1.25))
                else:
                    self._state.wait_for(lambda: self._asked > self._done, self._seconds)
                asked, closing = self._asked, self._closing
            try:
                self._sync(final=closing)
            except DirectoryLostError:
                _log.error(
                    "jaxlog: run %s: is no longer mirrored: its directory %s was deleted while it "
                    "is open. %s keeps what was uploaded before.",
                    self._run,
                    self._directory,
                    self.session.store.address,
                )
                self._lost = True
                self.session.leave()
            except SessionLostError as error:
                _log.error(
                    "jaxlog: run %s: is no longer mirrored: %s. It goes on in %s only.",
                    self._run,
                    error,
                    self._directory,
                )
                self._lost = True
            except Exception as error:
                self._failed(error)
                continue
            with self._state:
                if self._failures and not self._lost:
                    _log.warning("jaxlog: run %s: the store is back", self._run)
                self._failures = 0
                if not self._lost:
                    self._done = asked
                self._state.notify_all()
            if closing or self._lost:
                return

    def _failed(self, error: Exception) -> None:
        with self._state:
            self._failures += 1
            first, self._failure = self._failures == 1, error
            self._state.notify_all()
        if first:
            _log.warning(
                "jaxlog: run %s: is not mirrored at present, and is kept in %s: %s. It is tried "
                "again, and the training goes on.",
                self._run,
                self._directory,
                error,
            )

    def _sync(self, *, final: bool) -> None:
        """Uploads what is new, and then the table that names it."""
        uploads, session = self._uploads, self.session
        for _ in range(_TRIES):
            local = snapshot(self._directory)
            if RUN_FILE not in local:  # else all files would be taken for removed
                raise DirectoryLostError(f"{self._directory}: has no {RUN_FILE} any more")
            uploads.update(local, final=final)
            if final and uploads.forget_lost():  # deleted in the store by somebody else
                uploads.update(local, final=True)
            if seen(self._directory / RUN_FILE) == local.get(RUN_FILE):
                break  # else run.json may count more than what was uploaded
        if uploads.files != session.files or final or not self._published:
            self._publish(final=final)
        else:
            session.beat()
        if not self._is_clean:
            self._find_orphans()
            self._is_clean = True
        before = time.monotonic() - (0.0 if final else KEPT)
        old = [name for name, since in uploads.obsolete.items() if since <= before]
        session.store.delete(old)
        for name in old:
            del uploads.obsolete[name]

    def _publish(self, *, final: bool) -> None:
        uploads, session = self._uploads, self.session
        before = session.objects.parts
        try:
            session.publish(uploads.files, ended=final)
        except BaseException:
            self._is_clean = False  # an object of the table may be there that none names
            raise
        now = time.monotonic()
        uploads.obsolete |= {p.name: now for p in before if p not in session.objects.parts}
        self._published = True

    def _find_orphans(self) -> None:
        """Finds parts that no table has, since a process was killed before it wrote one."""
        uploads = self._uploads
        named = {part.name for one in uploads.files.values() for part in one.parts}
        named |= {part.name for part in self.session.objects.parts}
        now = time.monotonic()
        for name in self.session.store.find(DATA):
            if name not in named:
                uploads.obsolete.setdefault(name, now)

    def _say_missing(self) -> None:
        try:
            missing = self._uploads.missing(snapshot(self._directory))
        except OSError:
            missing = {}
        size = sum(missing.values())
        words = f"({counted(size, 'byte')})"
        _log.error(
            "jaxlog: run %s: %s not in %s: %s. They are in %s. To upload them when the store is "
            "back: jaxlog upload %s %s",
            self._run,
            counted(len(missing), f"file {words} is", f"files {words} are"),
            self.session.store.address,
            self._failure or "there was no time left",
            self._directory,
            self._directory,
            self.session.store.address,
        )
