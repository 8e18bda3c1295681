"""Watches the other processes of a run while it is open, in the process that writes."""

from __future__ import annotations

import threading
import time
from typing import Any

from jaxlog._host.companion import Companion, RunAccess
from jaxlog._host.facts import iso
from jaxlog._host.shared_run import SILENCE, SharedRun
from jaxlog._say import log as _log

PERIOD = 1.0
"""The seconds between two looks."""
FLUSHED_WITHIN = 10.0
"""Seconds in which everything must be written after a preemption notice."""


class ProcessWatch(Companion):
    """Notes in run.json which processes there are, and says at once if one of them fails.

    On a preemption notice, in whichever process, it has everything written: JAX's preemption
    service keeps SIGTERM for itself, so that no other part of jaxlog hears of it.

    Args:
      shared: the run, as this process sees it.
    """

    def __init__(self, shared: SharedRun) -> None:
        self._shared = shared
        self._run: RunAccess | None = None
        self._ends = threading.Event()
        self._known: list[dict[str, Any]] = []
        self._said: set[str] = set()
        self._error = ""
        self._preempted = False
        self._thread = threading.Thread(target=self._work, name="jaxlog-processes", daemon=True)

    def begin(self, run: RunAccess) -> None:
        """Starts to look."""
        self._run = run
        self._thread.start()

    def end(self, status: str, error: BaseException | None, seconds: float) -> None:  # noqa: ARG002
        """Looks a last time."""
        self._ends.set()
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self._look()

    def abandon(self) -> None:
        """Ends in the child of a fork, where the thread does not run."""
        self._ends.set()

    def _work(self) -> None:
        while not self._ends.wait(PERIOD):
            try:
                self._look()
            except Exception as error:  # the service has ended
                _log.warning(
                    "jaxlog: the other processes of the run are no longer watched", exc_info=error
                )
                return

    def _look(self) -> None:
        run = self._run
        assert run is not None
        known = self._shared.processes()
        if known and known != self._known:
            self._known = known
            run.add_facts({"processes": known})
        failed = list(map(str, self._shared.failed(known)))
        silent = self._shared.silent(known)
        silent = [f"{one} has been silent for {SILENCE:.0f} s" for one in silent]
        for words in failed + silent:
            if words not in self._said:
                self._said.add(words)
                _log.warning(
                    "jaxlog: run %s: %s. Programs that run on its devices too wait for it, until "
                    "JAX ends all processes.",
                    run.info.name,
                    words,
                )
        # JAX ends this process by SIGABRT, without a chance to write anything then.
        if (words := "; ".join(failed + silent)) != self._error:
            self._error = words
            run.add_facts({"error": words or None})
        if not self._preempted and self._shared.preempted:
            self._preempted = True
            run.add_facts({"preempted": iso(time.time())})
            run.hurry(FLUSHED_WITHIN)
            _log.warning(
                "jaxlog: run %s: a process was told to end (SIGTERM), which JAX's preemption "
                "service keeps to itself; all records so far are written. Leave the loop where "
                "jax.experimental.multihost_utils.reached_preemption_sync_point(step) is True.",
                run.info.name,
            )
