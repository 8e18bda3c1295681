"""The base class of the parts of a run that work beside its sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxlog._format.events import Account, Event, RunInfo
from jaxlog._say import log as _log

END_SECONDS = 10.0
"""The seconds that all companions of a run may take at its end."""


@dataclass(frozen=True)
class RunAccess:
    """The access of a companion to its run.

    Attributes:
      info: the run's info.
      add_facts: adds entries to run.json; called on any thread.
      arrived: returns the number of records that have arrived.
      accounts: returns the records of each sink so far.
      hurry: writes everything that arrived; waits no longer than some seconds.
    """

    info: RunInfo
    add_facts: Callable[[Mapping[str, Any]], None]
    arrived: Callable[[], int]
    accounts: Callable[[], Sequence[Account]]
    hurry: Callable[[float], None] = lambda _: None


class Companion:
    """The base class of the parts of a run that work beside its sinks. Every method does nothing.

    An exception of a companion never reaches the training: it is logged, and the run goes on.
    """

    def begin(self, run: RunAccess) -> None:
        """Called once, on the thread that opens the run, after its sinks have opened."""

    def note(self, events: Sequence[Event]) -> None:
        """Called for new events, on the thread of a sink; must not wait for anything."""

    def note_loss(self, num_records: int) -> None:
        """Called when records were lost between the program and the sinks."""

    def marked(self) -> None:
        """Called after a state of the run was taken, on the thread that took it; may wait."""

    def end(self, status: str, error: BaseException | None, seconds: float) -> None:
        """Called once, after the sinks are closed and before the last run.json is written.

        Args:
          status: as in `RunInfo.status`.
          error: the error that ended the run.
          seconds: how long it may take.
        """

    def closed(self) -> None:
        """Called last, after run.json is written and everything was said about the run."""

    def abandon(self) -> None:
        """Called in the child of a fork, which must not touch what is the parent's."""


class Companions:
    """The companions of one run. No method raises.

    Args:
      companions: in the order in which they begin; they end in the other order.
      run: the run's name, for messages.
    """

    def __init__(self, companions: Sequence[Companion], run: str) -> None:
        self._all = tuple(companions)
        self._run = run
        self._begun: list[Companion] = []

    def begin(self, access: RunAccess) -> None:
        """Begins each of them."""
        for one in self._all:
            if self._try(one, lambda one=one: one.begin(access)):
                self._begun.append(one)

    def note(self, events: Sequence[Event]) -> None:
        """Passes new events on."""
        for one in list(self._begun):
            self._try(one, lambda one=one: one.note(events))

    def note_loss(self, num_records: int) -> None:
        """Passes a loss on."""
        for one in list(self._begun):
            self._try(one, lambda one=one: one.note_loss(num_records))

    def marked(self) -> None:
        """Tells each of them that a state was taken."""
        for one in list(self._begun):
            self._try(one, one.marked)

    def end(self, status: str, error: BaseException | None, seconds: float) -> None:
        """Ends each of them, within some seconds in all."""
        until = time.monotonic() + seconds
        for one in self._begun[::-1]:
            left = max(0.0, until - time.monotonic())
            self._try(one, lambda one=one, left=left: one.end(status, error, left))

    def closed(self) -> None:
        """Tells each of them that the run is closed."""
        for one in self._begun[::-1]:
            self._try(one, one.closed)
        self._begun = []

    def abandon(self) -> None:
        """Gives each of them up, in the child of a fork."""
        for one in list(self._begun):
            self._try(one, one.abandon)
        self._begun = []

    def _try(self, one: Companion, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:
            _log.warning(
                "jaxlog: run %s: %s failed; the run goes on without it",
                self._run,
                type(one).__name__,
                exc_info=error,
            )
            if one in self._begun:
                self._begun.remove(one)
            return False
        return True
