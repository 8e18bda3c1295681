"""Tells the user of a run that needs looking after, on a thread of its own."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence

import orjson

from jaxlog._format.events import Event
from jaxlog._format.what_ran import ALERTS
from jaxlog._host.alert import Alert
from jaxlog._host.alert_rules import AlertRule, Met, RuleWatch, rule_watches
from jaxlog._host.alert_targets import NotSentError, Target
from jaxlog._host.companion import Companion, RunAccess
from jaxlog._host.directory import appended
from jaxlog._host.redaction import redacted
from jaxlog._limits import as_utf8
from jaxlog._say import log as _log
from jaxlog._text import counted

PAUSES = (1.0, 4.0)
"""The seconds before the second and the third attempt to send an alert."""
WAITS = 5.0
"""The seconds that the end of a run waits for alerts that are being sent."""
MOST_WAITING = 1000
"""The most alerts that wait to be sent."""
PERIOD = 1.0
"""The seconds between two looks at sinks and at the time since the last record."""


class Alerts(Companion):
    """Watches a run, and sends alerts.

    Args:
      rules: the conditions.
      targets: where alerts go.
    """

    def __init__(self, rules: Sequence[AlertRule], targets: Sequence[Target]) -> None:
        # Those that wait for nothing come first.
        self._targets = tuple(sorted(targets, key=lambda target: target.waits))
        self._watches = rule_watches(rules)
        self._stalled = [_Stall(rule) for rule in rules if rule.kind == "stalled"]
        self._failed = [rule for rule in rules if rule.kind == "failed"]
        self._lost = [rule for rule in rules if rule.kind == "lost"]
        self._off: set[int] = set()  # the sinks whose losses were told, by their places
        self._run: RunAccess | None = None
        self._queue: deque[tuple[Alert, tuple[str, ...]]] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._arrived = 0
        self._moved = 0.0  # when the number of records changed last
        self._broken: set[int] = set()  # the targets of which a failure was said

    def begin(self, run: RunAccess) -> None:
        """Starts the thread."""
        self._run = run
        if run.info.directory is not None and run.info.if_exists == "replace":
            (run.info.directory / ALERTS).unlink(missing_ok=True)
        self._arrived, self._moved = run.arrived(), time.monotonic()
        self._thread = threading.Thread(target=self._work, name="jaxlog-alerts", daemon=True)
        self._thread.start()

    def note(self, events: Sequence[Event]) -> None:
        """Watches the values of events."""
        now = time.monotonic()
        for event in events:
            for watch in self._watches:
                for met in watch.see(event, now):
                    self._tell_of_value(watch, met)

    def _tell_of_value(self, watch: RuleWatch, met: Met) -> None:
        self._tell(
            watch.rule,
            watch.rule.why,
            metric=as_utf8(met.metric),
            step=met.step,
            lanes=met.lanes,
            num_lanes=met.num_lanes,
            of_lanes=met.of_lanes,
        )

    def note_loss(self, num_records: int) -> None:
        """Tells of records that were lost before the sinks."""
        for rule in self._lost:
            lost = counted(num_records, "record was", "records were")
            self._tell(rule, f"{lost} lost between the program and the sinks")

    def end(self, status: str, error: BaseException | None, seconds: float) -> None:
        """Tells how the run ended, and waits for what is being sent."""
        if self._thread is None:
            return
        until = time.monotonic() + min(seconds, WAITS)
        self._look_for_losses(closed=True)
        if status in ("failed", "terminated"):
            why = "" if error is None else f": {type(error).__name__}: {error}"
            for rule in self._failed:
                self._tell(rule, redacted(as_utf8(f"the run {_ENDS[status]}{why}"))[:2000])
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            left = len(self._queue) + self._dropped + self._thread.is_alive()
            self._queue.clear()
        if left and self._run is not None:
            _log.warning(
                "jaxlog: run %s: %s not sent before the run was closed",
                self._run.info.name,
                counted(left, "alert was", "alerts were"),
            )

    def abandon(self) -> None:
        """Forgets the thread, which the child of a fork does not have."""
        self._thread = None

    def _tell(self, rule: AlertRule, why: str, **fields: object) -> None:
        """Queues an alert."""
        assert self._run is not None
        info = self._run.info
        alert = Alert(
            rule.kind,
            as_utf8(info.name),
            why,
            time.time(),
            directory="" if info.directory is None else as_utf8(str(info.directory)),
            host=socket.gethostname(),
            **fields,  # type: ignore[arg-type]
        )
        with self._changed:
            if len(self._queue) >= MOST_WAITING:
                self._dropped += 1
                return
            self._queue.append((alert, rule.to))
            self._changed.notify_all()

    def _work(self) -> None:
        watching = bool(self._stalled or self._lost)
        period = min([PERIOD, *(one.rule.seconds / 4 for one in self._stalled)])
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: bool(self._queue) or self._ending, period if watching else None
                )
                alert, to = self._queue.popleft() if self._queue else (None, ())
                if alert is None and self._ending:
                    return
            if alert is not None:
                self._write(alert)
                for place, target in enumerate(self._targets):
                    if not to or target.kind in to:
                        self._send(place, target, alert)
            if watching and not self._ending:
                self._look()

    def _look(self) -> None:
        """Looks at the time since the last record, and at the sinks."""
        assert self._run is not None
        arrived, now = self._run.arrived(), time.monotonic()
        if arrived != self._arrived:
            self._arrived, self._moved = arrived, now
        for one in self._stalled:
            if one.is_due(now - self._moved, now):
                self._tell(one.rule, f"no record has arrived for {now - self._moved:.0f} s")
        self._look_for_losses(closed=False)

    def _look_for_losses(self, *, closed: bool) -> None:
        if not self._lost or self._run is None:
            return
        for place, account in enumerate(self._run.accounts()):
            lost = account.arrived - account.written
            if place in self._off or not (account.off or (closed and lost)):
                continue
            self._off.add(place)
            why = f"the sink {account.kind} lost {lost:,} of {counted(account.arrived, 'record')}"
            if account.off and not closed:
                why = f"the sink {account.kind} is switched off"
            cause = "" if account.failure is None else f": {account.failure}"
            for rule in self._lost:
                self._tell(rule, redacted(as_utf8(f"{why}{cause}"))[:2000])

    def _write(self, alert: Alert) -> None:
        """Writes an alert into the run's directory."""
        assert self._run is not None
        directory = self._run.info.directory
        if directory is not None:
            with contextlib.suppress(OSError), appended(directory / ALERTS) as file:
                file.write(orjson.dumps(alert.to_json(), option=orjson.OPT_APPEND_NEWLINE))

    def _send(self, place: int, target: Target, alert: Alert) -> None:
        """Sends an alert to one target, up to three times; says once that it fails."""
        why = ""
        for pause in (*PAUSES, math.nan):
            try:
                target.send(alert)
            except NotSentError as error:
                why, again = str(error), error.again and not math.isnan(pause)
            except Exception as error:  # of somebody's handler
                why, again = type(error).__name__, False
            else:
                return
            if not again:
                break
            with self._changed:  # at the end of the run, the last attempts follow at once
                self._changed.wait_for(lambda: self._ending, pause)
        if place not in self._broken and self._run is not None:
            self._broken.add(place)
            _log.warning(
                "jaxlog: run %s: an alert could not be sent by the %s of alert_to: %s. Training "
                "goes on. Said once.",
                self._run.info.name,
                target.kind,
                why,
            )


_ENDS = {"failed": "failed", "terminated": "was told to end"}


class _Stall:
    """The condition that no record arrives."""

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self._armed = True
        self._told = -math.inf

    def is_due(self, quiet: float, now: float) -> bool:
        """True if the user is to be told.

        Args:
          quiet: the seconds since the last record.
          now: by `time.monotonic`.
        """
        if quiet < self.rule.seconds:
            self._armed = True
            return False
        due = self._armed and now >= self._told + self.rule.again_after
        if due:
            self._armed, self._told = False, now
        return due
