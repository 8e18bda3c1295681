"""run.json while a run is open: its facts, written when the run begins, learns more, and ends."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from typing import Any

from jaxlog._format.events import MetricsEvent
from jaxlog._format.run_file import FORMAT
from jaxlog._host.directory import RUN_FILE, Directory
from jaxlog._host.facts import iso
from jaxlog._host.logged import Logged
from jaxlog._host.outage import waited_out
from jaxlog._host.progress import LANE_LABELS, Progress
from jaxlog._say import log as _log


class RunJson:
    """Writes run.json.

    Args:
      directory: of the run, whose `previous` has the facts of a run that is resumed.
      facts: the facts that are known from the beginning.
      progress: of the run.
    """

    def __init__(self, directory: Directory, facts: Mapping[str, Any], progress: Progress) -> None:
        self._directory = directory
        self._facts = {"format": FORMAT, **facts}
        self._progress = progress
        self._logged = Logged(directory.previous or {})
        self._saving = threading.Lock()
        self._changed = False
        self._concluded = False
        self._begun = False

    @property
    def logged(self) -> dict[str, Any]:
        """The facts about logged values so far: `calls` and `health`."""
        return self._logged.facts()

    def cut(self, resumes: Mapping[str, int]) -> None:
        """Forgets what was not finite at steps that are logged again, as `Tally.cut` does."""
        self._logged.tally.cut(resumes)

    def begin(self, mark: int | None) -> None:
        """Makes the directory that of a run which begins or is resumed.

        Args:
          mark: the mark from which the run is resumed; None otherwise.
        """
        progress = self._progress
        if self._directory.previous is not None:
            self._facts |= {"sessions": progress.sessions, **progress.facts(progress.steps)}
        began = {"started": iso(progress.opened), "opened": progress.opened}
        if progress.seconds_before:
            began["seconds_before"] = progress.seconds_before
        begins = {"status": "running", **began, "pid": os.getpid()}
        self._directory.begin(self._facts | begins | self._logged.facts(), mark)
        self._facts |= begins
        self._begun = True

    def add(self, facts: Mapping[str, Any]) -> None:
        """Adds facts that became known after the run began; writes run.json if the run is open.

        If it cannot be written, the end tries again.
        """
        with self._saving:
            self._facts |= facts
        if self._begun and not self._concluded:
            with contextlib.suppress(OSError):
                self._save()

    def note(self, event: MetricsEvent) -> None:
        """Notes the keys and the health of an event."""
        self._changed |= self._logged.add(event)

    def note_lanes(self) -> None:
        """Notes that the run has new lanes or labels."""
        self._facts[LANE_LABELS] = self._progress.lanes.facts()
        self._changed = True

    def save_if_changed(self) -> None:
        """Writes run.json if something was noted; if it cannot be written, the end tries again."""
        if self._changed:
            self._changed = False
            with contextlib.suppress(OSError):
                self._save()

    def conclude(self, outcome: Mapping[str, Any]) -> None:
        """Writes run.json for the last time, with the outcome of the run."""
        if not self._begun:
            return  # the file is that of another run
        self._facts.pop(LANE_LABELS, None)
        self._facts |= outcome
        try:
            waited_out(lambda: self._save(last=True))
        except OSError as failed:
            _log.warning("jaxlog: %s could not be written: %s", RUN_FILE, failed)

    def forget(self) -> None:
        """Makes the directory one without a run."""
        if self._begun:
            with self._saving, contextlib.suppress(OSError):
                self._concluded = True
                self._directory.forget()

    def _save(self, *, last: bool = False) -> None:
        # Of two threads that save, the second has the later facts.
        with self._saving:
            if not self._concluded:
                self._directory.save(self._facts | self._logged.facts())
            self._concluded = self._concluded or last
