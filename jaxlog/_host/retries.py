"""Decides whether, and when, a call of a sink that failed is made again."""

from __future__ import annotations

import collections
from dataclasses import dataclass

from jaxlog._host.outage import is_outage

RETRY_DELAYS = (0.05, 0.5)
"""Seconds to wait before a sink is called again after its first failures."""
OUTAGE_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Further delays during an outage, such as a full disk, and for flushes."""
SHORT_OUTAGE = 3
"""The number of further delays that are waited for while a run opens or closes, so that the program
waits, too."""
PATIENCE = 30.0
"""Seconds that a run may wait in total before it calls a sink again with one event."""
MAX_FAILURES = 3
"""The number of failures for good in a row after which a sink is switched off."""

REPORT_POSITION = "report its position"


@dataclass(frozen=True)
class Wait:
    """A pause before a sink is called again.

    Attributes:
      seconds: its length.
      short: whether it is waited for while the run closes, too.
      in_outage: whether the ordinary retries have failed already.
    """

    seconds: float
    short: bool
    in_outage: bool


class RetryPolicy:
    """The retries of one sink of a run.

    A call that fails in an outage (of the disk, of descriptors, of a network) is repeated for half
    a minute, any other call three times. A call that writes one event is repeated only while
    `PATIENCE` lasts, since an event that fails now and then must not hold up the others. `close` is
    called once.
    """

    def __init__(self) -> None:
        self._patience = PATIENCE
        self._failures_in_a_row: collections.Counter[str] = collections.Counter()
        self._gave_up = False  # in an outage, while the run closed

    def begin(self, action: str, *, patient: bool = False) -> Attempts:
        """Begins the attempts of one call.

        Args:
          action: what the sink is to do; `write`, or a text that begins with it, for one event.
          patient: whether the call is repeated for half a minute whatever it raises.
        """
        return Attempts(self, action, patient=patient)

    def is_exhausted(self, action: str) -> bool:
        """True if an action failed for good so often in a row that its sink is switched off."""
        return self._failures_in_a_row[action] >= MAX_FAILURES

    def next_wait(
        self, action: str, number: int, error: BaseException, *, patient: bool, closing: bool
    ) -> Wait | None:
        """Returns the wait before the next attempt; None if the call has failed for good.

        Args:
          action: what the sink is to do.
          number: how many attempts failed before this one.
          error: what the sink raised.
          patient: as for `begin`.
          closing: whether the run is being closed.
        """
        delays = [*RETRY_DELAYS, *OUTAGE_DELAYS] if action != "close" else []
        delay = delays[number] if number < len(delays) else None
        further = number - len(RETRY_DELAYS)  # how many of the further delays have passed
        short = further < SHORT_OUTAGE and not self._gave_up
        if is_outage(error):
            goes_on = short or not (closing or action == "open")
        else:
            goes_on = patient and not closing
        gives_up = further >= 0 and not goes_on
        if gives_up and closing and is_outage(error):
            self._gave_up = True
        if delay is not None and action.startswith("write"):
            self._patience -= delay
            gives_up |= self._patience < 0
        if delay is None or gives_up:
            self._failures_in_a_row[action] += action != REPORT_POSITION
            return None
        return Wait(delay, short, further >= 0)

    def succeeded(self, action: str, waited: float) -> None:
        """Notes that a call has succeeded.

        Args:
          action: what the sink did.
          waited: seconds of outage before. They do not count against `PATIENCE`, since the sink was
            not at fault.
        """
        self._failures_in_a_row[action] = 0
        if action.startswith("write"):
            self._patience += waited


class Attempts:
    """The attempts of one call."""

    def __init__(self, policy: RetryPolicy, action: str, *, patient: bool) -> None:
        self._policy = policy
        self._action = action
        self._patient = patient
        self._failed = 0
        self._waited = 0.0

    def failed(self, error: BaseException, *, closing: bool) -> Wait | None:
        """Notes that an attempt failed; returns the wait before the next, None if it was the last.

        Args:
          error: what the sink raised.
          closing: whether the run is being closed.
        """
        wait = self._policy.next_wait(
            self._action, self._failed, error, patient=self._patient, closing=closing
        )
        self._failed += 1
        if wait is not None and wait.in_outage:
            self._waited += wait.seconds
        return wait

    def succeeded(self) -> None:
        """Notes that an attempt succeeded."""
        self._policy.succeeded(self._action, self._waited)
