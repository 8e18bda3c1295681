"""One sink, one thread, one queue: what a sink does stays with it.

The queue is bounded in bytes; where it is full, the program waits and nothing is dropped. A sink
that fails is tried again; one that keeps failing, or does not move, is switched off. A record is
written when the sink has flushed it, and lost when it has not: the two add up to what arrived.
"""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from jaxlog.events import EpisodeEvent, Event, MetricsEvent
from jaxlog.host.decode import in_order
from jaxlog.schema import Delivery
from jaxlog.sinks.sink import Sink

_log = logging.getLogger("jaxlog")

QUEUE_BYTES = 16 * 2**20
"""How much may wait for one sink before the program does."""
BATCH_BYTES = 2**20
"""How much is decoded at a time."""
STALL_TIMEOUT = 30.0
"""Seconds that a full queue may stand still before its sink is switched off."""
LINGER = 0.05
"""Seconds for which records gather, so that they are decoded and written many at a time."""
RETRY_DELAYS = (0.05, 0.5)
"""Seconds to wait before what a sink failed to do is tried again."""
MAX_FAILURES = 3
"""How often in a row a sink may fail for good before it is switched off."""

Arrival = tuple[float, Delivery]
Decode = Callable[[Sequence[Arrival]], list[list[Event]]]


class Worker:
    """Hands the records of a run to one sink.

    Args:
      sink: opened already.
      decode: the events of each of some arrivals of one site and one number of lanes.

    Attributes:
      kind: the sink's, by which messages call it.
      arrived: the records it was given; one has all lanes of a step.
      written: the records that the sink wrote and flushed.
      failure: what the sink last failed to do, or why it is off; None where all is well.
    """

    def __init__(self, sink: Sink, decode: Decode) -> None:
        self.kind: str = sink.settings.kind
        self.sink = sink
        self.arrived = 0
        self.written = 0
        self.failure: str | None = None
        self._decode = decode
        self._queue: collections.deque[Arrival] = collections.deque()
        self._bytes = 0
        self._unflushed = 0
        self._moves = 0  # grows while the sink gets anything done
        self._failed_in_a_row: collections.Counter[str] = collections.Counter()
        self._off = False
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"jaxlog-{self.kind}", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """The records that were not written; before `close`, those still on their way too."""
        return self.arrived - self.written

    def put(self, arrival: Arrival) -> None:
        """Queues one arrival; waits while the queue is full. Called on XLA's thread."""
        size = arrival[1].num_bytes
        with self._changed:
            self.arrived += 1
            while self._bytes and self._bytes + size > QUEUE_BYTES and not self._off:
                moves = self._moves
                if not self._changed.wait(STALL_TIMEOUT) and moves == self._moves:
                    self._switch_off(f"it did not move for {STALL_TIMEOUT:g} s")
            if self._off or self._closing:
                return
            self._queue.append(arrival)
            self._bytes += size
            # Waking a thread costs the program time: it is woken for the first of a batch, and for
            # a queue that fills up.
            if len(self._queue) == 1 or self._bytes > QUEUE_BYTES // 2:
                self._changed.notify_all()

    def begin_close(self) -> None:
        """Has it write what is queued, and close the sink, without waiting for it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self) -> None:
        """Writes what is queued, and closes the sink."""
        self.begin_close()
        while self._thread.is_alive():
            moves = self._moves
            self._thread.join(STALL_TIMEOUT)
            if self._thread.is_alive() and moves == self._moves:
                with self._changed:
                    self._switch_off(f"it did not finish within {STALL_TIMEOUT:g} s")
                return

    def _work(self) -> None:
        while not self._off:
            with self._changed:
                while not (self._queue or self._closing or self._off):
                    self._changed.wait()
                if not self._in_haste():
                    self._changed.wait_for(self._in_haste, LINGER)
                batch, size = [], 0
                while self._queue and size < BATCH_BYTES:
                    batch.append(self._queue.popleft())
                    size += batch[-1][1].num_bytes
            self._write(batch)
            with self._changed:
                self._bytes -= size
                self._moves += 1
                self._changed.notify_all()
                if self._closing and not self._queue:
                    break
        if self._try("close", self.sink.close, delays=()):
            self._count_as_written()

    def _in_haste(self) -> bool:
        return self._closing or self._off or self._bytes > QUEUE_BYTES // 2

    def _write(self, batch: Sequence[Arrival]) -> None:
        for events in self._events(batch):
            if self._off:
                return
            done = [self._write_event(event) for event in events]
            self._unflushed += all(done)
        if batch and self._try("flush", self.sink.flush):
            self._count_as_written()

    def _events(self, batch: Sequence[Arrival]) -> list[list[Event]]:
        """The events of each arrival that can be read; those of one site in order of steps."""
        alike: dict[Any, list[int]] = {}  # by site and lanes: these are read together
        for place, (_, delivery) in enumerate(batch):
            alike.setdefault((delivery.site, delivery.lanes), []).append(place)
        found: dict[int, list[Event]] = {}
        for places in alike.values():
            try:
                records = self._decode([batch[place] for place in places])
            except Exception as error:  # no fault of the sink's
                self._mention("decode", error)
            else:
                found |= zip(places, in_order(records), strict=True)
        return [found[place] for place in sorted(found)]

    def _count_as_written(self) -> None:
        self.written += self._unflushed
        self._unflushed = 0

    def _write_event(self, event: Event) -> bool:
        match event:
            case MetricsEvent():
                return self._try("write", self.sink.write_metrics, event)
            case EpisodeEvent():
                return self._try("write", self.sink.write_episode, event)

    def _try(
        self,
        what: str,
        method: Callable[..., None],
        *arguments: Any,
        delays: tuple[float, ...] | None = None,
    ) -> bool:
        """Calls a method of the sink, again if need be; whether it did what it should."""
        for delay in (*(RETRY_DELAYS if delays is None else delays), None):
            self._moves += 1
            try:
                method(*arguments)
            except BaseException as error:  # SystemExit too: Rich raises it for a closed pipe
                if delay is None:
                    self._mention(what, error)
                    self._failed_in_a_row[what] += 1
                    if self._failed_in_a_row[what] >= MAX_FAILURES:
                        with self._changed:
                            self._switch_off(f"it failed {MAX_FAILURES} times in a row")
                    return False
                time.sleep(delay)
            else:
                self._failed_in_a_row[what] = 0
                return True
        return False

    def _mention(self, what: str, error: BaseException) -> None:
        """Says once that something failed."""
        first = self.failure is None
        self.failure = f"could not {what}: {type(error).__name__}: {error}"
        if first:
            _log.warning(
                "jaxlog: the sink %s %s. Training and the other sinks go on.",
                self.kind,
                self.failure,
                exc_info=error,
            )

    def _switch_off(self, why: str) -> None:
        if not self._off:
            self._off = True
            self.failure = f"{why}; last: {self.failure}" if self.failure else why
            self._queue.clear()
            _log.warning(
                "jaxlog: the sink %s is switched off for this run: %s", self.kind, self.failure
            )
        self._changed.notify_all()
