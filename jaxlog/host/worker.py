"""One sink, one thread, one queue: what a sink does stays with it.

The queue is bounded in bytes; where it is full, the program waits and nothing is dropped. A sink
that fails is tried again; one that keeps failing, or does not move, is switched off, and what it
did not write is counted.
"""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from jaxlog.host.decode import Event
from jaxlog.host.events import EpisodeEvent, MetricsEvent
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
RETRIES = 1
"""How often an event that a sink failed on is tried again."""
MAX_FAILURES = 3
"""How many events in a row a sink may fail on before it is switched off."""

Arrival = tuple[float, Delivery]


class Worker:
    """Hands the records of a run to one sink.

    Args:
      kind: what the sink is called in messages.
      sink: opened already.
      decode: turns arrivals into events.

    Attributes:
      written: events the sink took.
      lost: records, or events of them, that it did not.
      failure: what the sink last raised, or why it is off.
    """

    def __init__(
        self, kind: str, sink: Sink, decode: Callable[[Sequence[Arrival]], Iterable[Event]]
    ) -> None:
        self.kind = kind
        self.sink = sink
        self.written = 0
        self.lost = 0
        self.failure: str | None = None
        self._decode = decode
        self._queue: collections.deque[Arrival] = collections.deque()
        self._bytes = 0
        self._moves = 0  # grows while the sink gets anything done
        self._failed_in_a_row: collections.Counter[str] = collections.Counter()
        self._off = False
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"jaxlog-{kind}", daemon=True)
        self._thread.start()

    def put(self, arrival: Arrival) -> None:
        """Queues one arrival; waits while the queue is full. Called on XLA's thread."""
        size = arrival[1].num_bytes
        with self._changed:
            while self._bytes and self._bytes + size > QUEUE_BYTES and not self._off:
                moves = self._moves
                if not self._changed.wait(STALL_TIMEOUT) and moves == self._moves:
                    self._switch_off(f"it did not move for {STALL_TIMEOUT:g} s")
            if self._off or self._closing:
                self.lost += 1
                return
            self._queue.append(arrival)
            self._bytes += size
            # Waking a thread costs the program time: it is woken for the first of a batch, and for
            # a queue that fills up.
            if len(self._queue) == 1 or self._bytes > QUEUE_BYTES // 2:
                self._changed.notify_all()

    def close(self) -> None:
        """Writes what is queued, and closes the sink."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while self._thread.is_alive():
            moves = self._moves
            self._thread.join(STALL_TIMEOUT)
            if self._thread.is_alive() and moves == self._moves:
                with self._changed:
                    self._switch_off(f"it did not finish within {STALL_TIMEOUT:g} s")
                return

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._closing and self._bytes <= QUEUE_BYTES // 2:
                    self._changed.wait_for(self._full_or_closing, LINGER)
                batch, size = [], 0
                while self._queue and size < BATCH_BYTES:
                    batch.append(self._queue.popleft())
                    size += batch[-1][1].num_bytes
            self._write(batch)
            with self._changed:
                self._bytes -= size
                self._moves += 1
                self._changed.notify_all()
                done = self._closing and not self._queue
            if done:
                self._guarded(self.sink.close, "close")
                return

    def _full_or_closing(self) -> bool:
        return self._closing or self._bytes > QUEUE_BYTES // 2

    def _write(self, batch: Sequence[Arrival]) -> None:
        if not batch:
            return
        try:
            for event in self._decode(batch):
                self._write_event(event)
        except Exception as error:
            self._failed(error, "decode")
        self._guarded(self.sink.flush, "flush")

    def _write_event(self, event: Event) -> None:
        self._moves += 1
        if self._off:
            self.lost += 1
            return
        for attempt in range(1 + RETRIES):
            try:
                match event:
                    case MetricsEvent():
                        self.sink.write_metrics(event)
                    case EpisodeEvent():
                        self.sink.write_episode(event)
            except Exception as error:
                if attempt == RETRIES:
                    self.lost += 1
                    self._failed(error, "write")
                else:
                    time.sleep(LINGER)
            else:
                self.written += 1
                self._failed_in_a_row["write"] = 0
                return

    def _guarded(self, method: Callable[[], None], what: str) -> None:
        if not self._off:
            try:
                method()
            except Exception as error:
                self._failed(error, what)
            else:
                self._failed_in_a_row[what] = 0

    def _failed(self, error: Exception, what: str) -> None:
        first = self.failure is None
        self.failure = f"could not {what}: {type(error).__name__}: {error}"
        if first:
            _log.warning(
                "jaxlog: the sink %s %s. Training and the other sinks go on. Said once.",
                self.kind,
                self.failure,
                exc_info=error,
            )
        self._failed_in_a_row[what] += 1
        if self._failed_in_a_row[what] >= MAX_FAILURES:
            with self._changed:
                self._switch_off(f"it failed {MAX_FAILURES} times in a row, last: {self.failure}")

    def _switch_off(self, why: str) -> None:
        if not self._off:
            self._off = True
            self.failure = why
            self.lost += len(self._queue)
            self._queue.clear()
            _log.warning("jaxlog: the sink %s is switched off for this run: %s", self.kind, why)
        self._changed.notify_all()
