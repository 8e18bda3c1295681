"""The runs that the page shows, followed by several threads at once."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxlog._page.asked import AbsentError, Asked
from jaxlog._watching.run_list import RunList
from jaxlog._watching.run_row import RunRow

PERIOD = 1.0
"""The seconds between two looks at the files, at least."""
READING = 0.2
"""The seconds that one look reads at most, so that answers do not wait."""
SHARE = 0.005
"""The part of a core that looks take in the long run, once everything was read. Finding new runs
takes as much besides."""


class FollowedRun(NamedTuple):
    """A run, as an answer needs it.

    Attributes:
      id: names it in addresses.
      row: its state.
      stamp: differs whenever the run has changed, or more of its trend was read.
      logged: differs whenever the run or its files have changed.
    """

    id: str
    row: RunRow
    stamp: int
    logged: int


class FollowedRuns:
    """Follows the runs of a directory.

    Rows are read and changed only by who holds `lock`.

    Args:
      directory: the directory of a run, or a directory of runs; it may not exist yet.
      only: some runs below it; None for all.

    Attributes:
      directory: the same.
      has_all: True if all runs of the directory are followed.
      lock: held while rows are read or changed.
      salt: a text of this process: the versions of another one mean something else.
    """

    def __init__(self, directory: Path, only: Sequence[Path] | None = None) -> None:
        self.directory = directory
        self.has_all = only is None
        self.lock = threading.RLock()
        self._list = RunList(directory, only)
        self._next = 0.0
        self._has_read = False  # the trends of all runs, once
        self._any = 0  # the last version at which any run may have changed
        self._stalled: frozenset[str] = frozenset()
        self._runs: dict[str, FollowedRun] = {}
        self._is_frozen = False
        self.salt = secrets.token_hex(4)

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._list.version

    @property
    def unlooked(self) -> int:
        """The number of runs that were found and not yet looked at."""
        return self._list.unlooked

    @property
    def horizon(self) -> str:
        """The least id of a run that was not looked at; empty if there is none."""
        with self.lock:
            if not self.unlooked:
                return ""
            ids = (run.id for run in self.runs() if not run.row.run.status)
            return min(ids, default="")

    @property
    def unread(self) -> int:
        """The number of runs whose trend was not yet read to the end."""
        return self._list.unread

    @property
    def title(self) -> str:
        """The name of the directory, as a short text."""
        return self.directory.resolve().name or str(self.directory)

    def look(self, *, all_of_it: bool = False) -> None:
        """Reads what is new, unless it was just read.

        Args:
          all_of_it: True to read everything, however long it takes.
        """
        with self.lock:
            if self._is_frozen or (time.monotonic() < self._next and not all_of_it):
                return
            began, finding = time.thread_time(), self._list.finding
            self._list.look(None if all_of_it else READING)
            took = time.thread_time() - began - (self._list.finding - finding)
            # While something is unread, the answers that wait for the lock take turns with looks.
            pause = (
                took / 4 if self._list.unlooked or not self._has_read else max(PERIOD, took / SHARE)
            )
            self._next = time.monotonic() + pause
            rows = self._list.rows
            self._has_read = self._has_read or not self._list.unread
            now = time.time()
            stalled = frozenset(row.id for row in rows if row.is_stalled(now))
            if stalled != self._stalled:
                self._stalled = stalled
                self._list.version += 1
                self._any = self._list.version
            changes = self._list.changes
            followed = (
                FollowedRun(row.id, row, changes.get(row.path, 0), row.logged) for row in rows
            )
            self._runs = {run.id: run for run in followed}

    def freeze(self) -> None:
        """Reads everything, and then no more: what is shown stays as it is now."""
        self.look(all_of_it=True)
        self._is_frozen = True

    @property
    def pause(self) -> float:
        """The seconds until the next look."""
        return max(0.0, self._next - time.monotonic())

    def changed_since(self, version: int) -> list[str] | None:
        """The ids of the runs that changed after a version; None if any may have."""
        with self.lock:
            if version < self._any:
                return None
            found = self._list.changes
            return [row.id for row in self._list.rows if found.get(row.path, 0) > version]

    def runs(self) -> list[FollowedRun]:
        """All runs, the newest first."""
        with self.lock:
            return list(self._runs.values())

    def matching(self, asked: Asked) -> list[FollowedRun]:
        """The runs that match `where` in its order, without those not looked at and those `off`.

        Raises:
          AskedError: the filter cannot be read.
        """
        chosen, off, now = asked.where(), set(asked.listed("off")), time.time()
        with self.lock:
            known = [run for run in self.runs() if run.row.run.status and run.id not in off]
            return chosen.select(known, lambda run, name: run.row.value_of(name, now))

    def run(self, one: str) -> FollowedRun:
        """The run of an id.

        Raises:
          AbsentError: there is no such run.
        """
        with self.lock:
            found = self._runs.get(one)
        if found is None:
            raise AbsentError(f"run: got {one!r:.40}, which is no run, or is one that was removed")
        return found

    def state_of(self, runs: Sequence[FollowedRun]) -> str:
        """A text that differs whenever one of some runs has changed, or they are others."""
        text = repr((self.salt, [(run.id, run.logged) for run in runs]))
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
