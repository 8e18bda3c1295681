"""The runs below a directory, followed: they appear, go on, are resumed, and are removed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxlog._reading.finding import below, is_run
from jaxlog._watching.run_row import RunRow

PAUSE = 10
"""Runs are looked for again after so many times the time that it takes."""


class RunList:
    """Follows runs. It only reads, and each look reads only what is new.

    Args:
      directory: the directory of a run, or a directory of runs.
      only: some runs below it; None for all.

    Attributes:
      version: a number that grows with every change that a look finds.
    """

    def __init__(self, directory: Path, only: Sequence[Path] | None = None) -> None:
        self._directory = directory
        self._only = only
        self._rows: dict[Path, RunRow] = {}
        self._looked: dict[Path, float] = {}  # 0 for a run that is new
        self._changes: dict[Path, int] = {}
        self._found: Sequence[Path] = ()
        self._find_again = 0.0
        self.version = 0

    @property
    def rows(self) -> Sequence[RunRow]:
        """The runs, the newest first."""
        return sorted(self._rows.values(), key=lambda row: row.run.started or 0.0, reverse=True)

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
        """Finds the runs, and reads what is new; those first that were not read for longest.

        Of a run that is new, only its state and its last values are read in its first look, so that
        all runs have these soon; the next looks read the trends.

        Args:
          seconds: the time after which it stops, so that a screen stays alive while thousands of
            runs are read for the first time; the next look continues. None to read everything.
        """
        found = self._find(at_once=seconds is None)
        until = float("inf") if seconds is None else time.monotonic() + seconds
        self._rows = {
            path: self._rows.get(path) or RunRow(path, self._name(path)) for path in found
        }
        self._looked = {path: self._looked.get(path, 0.0) for path in found}
        self.version += self._changes.keys() != self._rows.keys()
        self._changes = {path: self._changes.get(path, self.version) for path in found}
        for path in sorted(found, key=lambda path: self._looked[path]):
            row, is_first = self._rows[path], not self._looked[path]
            before = row.stamp
            row.look(0.0 if is_first and seconds is not None else until)
            if row.stamp != before:
                self.version += 1
                self._changes[path] = self.version
            self._looked[path] = time.monotonic()
            if self._looked[path] > until:
                break

    def _find(self, *, at_once: bool) -> Sequence[Path]:
        """Finds the runs; those found before, if it takes long and was done a short time ago."""
        if self._only is not None:
            return self._only
        now = time.monotonic()
        if at_once or now >= self._find_again:
            is_one = is_run(self._directory)
            self._found = [self._directory] if is_one else below(self._directory)
            self._find_again = now + PAUSE * (time.monotonic() - now)
        return self._found

    def _name(self, path: Path) -> str:
        if path == self._directory:
            return path.resolve().name
        return str(path.relative_to(self._directory))
