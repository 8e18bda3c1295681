"""The outcome of a run: its status, and the facts about its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jaxlog._host.arrived import ArrivedRecords
from jaxlog._host.facts import iso
from jaxlog._host.losses import account_facts
from jaxlog._host.progress import Progress
from jaxlog._host.redaction import redacted
from jaxlog._host.shared_run import SharedRun
from jaxlog._host.workers import Workers
from jaxlog._limits import as_utf8


def status_of(error: BaseException | None) -> str:
    """The status of a run that an error ended; `finished` for None."""
    match error:
        case None:
            return "finished"
        case KeyboardInterrupt():
            return "interrupted"
        case SystemExit():
            return "exited"
        case _:
            return "failed"


class Outcome:
    """The status and the last facts of a run, on which several processes may decide.

    Args:
      progress: how far the run is.
      workers: the threads of its sinks.
      arrived: its records.
      shared: the run as one of several processes sees it; None if it is of one process.
      total_updates: as in `RunInfo`.
      compile_seconds: returns the seconds that this process has compiled; None if it is not known.
    """

    def __init__(
        self,
        progress: Progress,
        workers: Workers,
        arrived: ArrivedRecords,
        shared: SharedRun | None,
        total_updates: int | None,
        compile_seconds: Callable[[], float | None],
    ) -> None:
        self._progress = progress
        self._workers = workers
        self._arrived = arrived
        self._shared = shared
        self._total_updates = total_updates
        self._compile_seconds = compile_seconds
        self._compiled_before = compile_seconds() or 0.0
        self._others = ""  # which other processes failed

    def status(self, status: str, error: BaseException | None, *, writes: bool) -> str:
        """The status of the run, whose other processes may have failed or be told to end.

        Args:
          status: that of this process.
          error: the one that ended it.
          writes: whether this process writes the run.
        """
        shared = self._shared
        if shared is None:
            return status
        shared.ended(status, error)
        if not writes:
            return status
        self._others = shared.last_words(error) or ""
        if status != "finished":
            return status
        if self._others:
            return "failed"
        total = self._total_updates
        done = total is not None and max(self._reached().values(), default=-1) >= total - 1
        return "terminated" if shared.preempted and not done else status

    def facts(self, status: str, error: BaseException | None) -> dict[str, Any]:
        """The facts that run.json gets at the end."""
        found: dict[str, Any] = {
            "status": status,
            "ended": iso(time.time()),
            "arrived": self._arrived.number,
            "replayed": self._arrived.replayed,
            "seconds": self._progress.seconds(time.time()),
            "sinks": [account_facts(account) for account in self._workers.accounts()],
        }
        if (compiled := self._compile_seconds()) is not None:
            found["compile_seconds"] = round(max(0.0, compiled - self._compiled_before), 3)
        found |= self._progress.facts(self._reached())
        if counts := self._progress.lane_counts | self._arrived.lane_counts:
            found["lane_counts"] = sorted(counts)
        words = [] if error is None else [as_utf8(f"{type(error).__name__}: {error}")]
        if words := [*filter(None, [self._others]), *words]:
            found["error"] = redacted("\n".join(words))
        elif self._shared is not None:
            found["error"] = None  # what was feared while the run was open
        return found

    def _reached(self) -> dict[str, int]:
        return self._progress.reached(self._workers.steps())
