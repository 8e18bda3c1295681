"""The runs below a directory, followed: they appear, go on, are resumed, and are removed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxlog._host.directory import RUN_FILE
from jaxlog._reading.finding import below, is_run
from jaxlog._watching.run_row import NO_TREND, RunRow

PAUSE = 100
"""Runs are looked for again after so many times the time that it takes."""
FIRST = 60
"""The number of newest runs that are read before the others: those that a screen shows at first."""
ENDED = 200
"""The runs that have ended, and were read, of which each look sees whether they go on."""


class RunList:
    """Follows runs. It only reads, and each look reads only what is new.

    Args:
      directory: the directory of a run, or a directory of runs.
      only: some runs below it; None for all.

    Attributes:
      version: a number that grows with every change that a look finds.
      finding: the seconds that were spent on finding runs.
    """

    def __init__(self, directory: Path, only: Sequence[Path] | None = None) -> None:
        self._directory = directory
        self._only = only
        self._rows: dict[Path, RunRow] = {}
        self._looked: dict[Path, float] = {}  # 0 for a run that is new
        self._changes: dict[Path, int] = {}
        self._found: Sequence[Path] = ()
        self._find_again = 0.0
        self._front: frozenset[Path] = frozenset()  # of runs that are new, the newest
        self._turn = False
        self.version = 0
        self.finding = 0.0

    @property
    def rows(self) -> Sequence[RunRow]:
        """The runs, the newest first."""
        return sorted(self._rows.values(), key=lambda row: row.started, reverse=True)

    @property
    def unread(self) -> int:
        """The number of runs whose files were not yet read to the end."""
        return sum(not row.read for row in self._rows.values())

    @property
    def unlooked(self) -> int:
        """The number of runs that were found and not yet looked at."""
        return sum(not looked for looked in self._looked.values())

    @property
    def changes(self) -> Mapping[Path, int]:
        """The version at which each run was last new or changed."""
        return self._changes

    def look(self, seconds: float | None = None) -> None:
        """Finds the runs, and reads what is new.

        Of a run that is new, only its state and its last values are read in its first look, so that
        all runs have these soon; the next looks read the trends. The newest runs are read first, as
        a screen shows them, and the others in the order of their ids, which is one of no meaning:
        what is read of many runs is spread over all of them. Then live runs are read in each look,
        and some of the others, those first that were not looked at for longest.

        Args:
          seconds: the time after which it stops, so that a screen stays alive while thousands of
            runs are read for the first time; the next look continues. None to read everything.
        """
        found = self._find(at_once=seconds is None)
        until = float("inf") if seconds is None else time.monotonic() + seconds
        if found is not self._found:
            self._found = found
            self._rows = {
                path: self._rows.get(path) or RunRow(path, self._name(path)) for path in found
            }
            self._looked = {path: self._looked.get(path, 0.0) for path in found}
            self.version += self._changes.keys() != self._rows.keys()
            self._changes = {path: self._changes.get(path, self.version) for path in found}
            new = [path for path in found if not self._looked[path]]
            self._front = frozenset(sorted(new, key=_written)[-FIRST:])
        order = list(self._rows) if seconds is None else self._order()
        for path in order:
            row, is_first = self._rows[path], not self._looked[path]
            before = row.stamp
            row.look(NO_TREND if is_first and seconds is not None else until)
            if row.stamp != before:
                self.version += 1
                self._changes[path] = self.version
            self._looked[path] = time.monotonic()
            if self._looked[path] > until:
                break

    def _order(self) -> list[Path]:
        """The order in which runs are looked at."""
        new = [path for path, looked in self._looked.items() if not looked]
        if new:
            return sorted(new, key=lambda path: (path not in self._front, self._rows[path].id))
        live = [path for path, row in self._rows.items() if row.run.may_log_more]
        live.sort(key=lambda path: self._looked[path])
        behind = [row for row in self.rows if not row.read]
        behind[FIRST:] = sorted(behind[FIRST:], key=lambda row: row.id)
        unread = [row.path for row in behind]
        ended = [p for p, row in self._rows.items() if row.read and not row.run.may_log_more]
        ended.sort(key=lambda path: self._looked[path])
        self._turn = not self._turn  # a look may end before it comes to the second part
        first, second = (live, unread) if self._turn else (unread, live)
        return list(dict.fromkeys([*first, *second, *ended[:ENDED]]))

    def _find(self, *, at_once: bool) -> Sequence[Path]:
        """Finds the runs; those found before, if it takes long and was done a short time ago."""
        if self._only is not None:
            return self._only
        now = time.monotonic()
        if not at_once and now < self._find_again:
            return self._found
        found = [self._directory] if is_run(self._directory) else below(self._directory)
        took = time.monotonic() - now
        self.finding += took
        self._find_again = now + PAUSE * took
        return self._found if found == self._found else found

    def _name(self, path: Path) -> str:
        if path == self._directory:
            return path.resolve().name
        return str(path.relative_to(self._directory))


def _written(path: Path) -> float:
    """When the state of a run was written last, in seconds since 1970."""
    try:
        return (path / RUN_FILE).stat().st_mtime
    except OSError:
        return 0.0
