"""The queue between compiled programs and the thread that takes their records.

Two queues do the same: one in C, which XLA's threads reach without Python (`native_queue.c`), and
one in Python, for an installation without a compiler.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from typing import Any, Protocol

import numpy as np

from jaxlog._format.delivery import Delivery

QUEUE_BYTES = 16 * 2**20
"""The bytes that the queue holds; a program that finds it full waits."""
PATIENCE = 600.0
"""Seconds without progress after which a delivery is refused, and counted as lost."""

Taken = list[tuple[bytearray, float]]
"""Deliveries, each with the time at which it arrived, in seconds since the epoch.

Those of the queue in C are no bytearrays, but buffers that may be changed, with a length.
"""


class Queue(Protocol):
    """Many threads push, one takes."""

    def push(self, words: np.ndarray, may_stop: bool, /) -> bool:
        """Queues a copy of a delivery; returns whether the program has to be stopped.

        A program that must not stop (`may_stop`) waits for room as always.
        """
        ...

    def take(self, timeout: float, nap: float, longest_nap: float, most: int, /) -> Taken:
        """Waits for deliveries, but no longer than `timeout` seconds; takes `most` at most.

        For some time it looks again after naps, each twice as long as the one before: a producer
        that need not wake anybody is faster. A producer ends a nap when the queue is half full.
        """
        ...

    def done(self, deliveries: int, num_bytes: int, /) -> None:
        """Says that deliveries that were taken have been handled.

        If more have arrived, the consumer pauses for a moment, so that other threads get the
        interpreter's lock.
        """
        ...

    def settle(self, timeout: float, /) -> bool:
        """Waits until all that has arrived is handled; returns whether it is."""
        ...

    def stop(self, handle: int, on: bool, /) -> None:
        """Stops programs that log for a handle at their next record, or no longer."""
        ...

    def refused(self) -> dict[int, int]:
        """The number of records refused since the last call, by handle."""
        ...

    def retire(self) -> None:
        """Drops all that comes from now on, and lets nobody wait."""
        ...

    def reset(self) -> None:
        """Empties the queue, in the child of a fork."""
        ...

    def configure(self, num_bytes: int, patience: float, /) -> None:
        """Sets the bounds of the queue."""
        ...


class PythonQueue:
    """The queue in Python."""

    def __init__(self) -> None:
        self._limit, self._patience = QUEUE_BYTES, PATIENCE
        self.reset()

    def reset(self) -> None:
        """As `Queue.reset`."""
        self._queue: collections.deque[tuple[bytearray, float]] = collections.deque()
        self._changed = threading.Condition()
        self._asleep = self._retired = False
        self._announced = self._finished = self._bytes = self._awaited = 0
        self._stopped: set[int] = set()
        self._refused: collections.Counter[int] = collections.Counter()

    def push(self, words: np.ndarray, may_stop: bool, /) -> bool:
        """As `Queue.push`."""
        if self._retired:
            return False
        handle, size = int(words[0]), words.nbytes
        with self._changed:
            if not self._wait_for_room(size, handle, may_stop):
                self._refused[handle] += Delivery(words).num_records
                return may_stop and handle in self._stopped
            self._queue.append((bytearray(words), time.time()))
            self._announced += 1
            fills = self._bytes <= self._limit // 2 < self._bytes + size
            self._bytes += size
            if self._asleep or fills:
                self._changed.notify_all()
        return may_stop and handle in self._stopped

    def _wait_for_room(self, size: int, handle: int, may_stop: bool) -> bool:
        seen, since = self._finished, time.monotonic()
        while self._bytes and self._bytes + size > self._limit:
            if may_stop and handle in self._stopped:
                return True  # this is the last record of the program
            if self._retired:
                return False
            if self._finished != seen:
                seen, since = self._finished, time.monotonic()
            elif time.monotonic() - since > self._patience:
                return False
            self._changed.notify_all()
            self._changed.wait(0.05)
        return True

    def take(self, timeout: float, nap: float, longest_nap: float, most: int, /) -> Taken:
        """As `Queue.take`."""
        with self._changed:
            while nap <= longest_nap and not self._queue and not self._retired:
                self._changed.wait(nap)
                nap *= 2
            if not self._queue and not self._retired:
                self._asleep = True
                self._changed.wait(timeout)
                self._asleep = False
            return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def done(self, deliveries: int, num_bytes: int, /) -> None:
        """As `Queue.done`."""
        with self._changed:
            self._finished += deliveries
            self._bytes -= num_bytes
            self._changed.notify_all()
        # The main thread needs the interpreter's lock many times to dispatch a program, and would
        # wait for a switch interval of 5 ms each time while the consumer is busy.
        if self._finished != self._announced and not self._awaited:
            time.sleep(2e-5)

    def settle(self, timeout: float, /) -> bool:
        """As `Queue.settle`."""
        with self._changed:
            target, end = self._announced, time.monotonic() + timeout
            self._awaited += 1
            try:
                while self._finished < target and not self._retired and time.monotonic() < end:
                    self._changed.notify_all()
                    self._changed.wait(min(0.05, max(0.0, end - time.monotonic())))
            finally:
                self._awaited -= 1
            return self._finished >= target

    def stop(self, handle: int, on: bool, /) -> None:
        """As `Queue.stop`. No lock: a signal's handler calls it, which may hold it already."""
        (self._stopped.add if on else self._stopped.discard)(handle)

    def refused(self) -> dict[int, int]:
        """As `Queue.refused`."""
        if not self._refused:
            return {}
        with self._changed:
            refused, self._refused = self._refused, collections.Counter()
        return dict(refused)

    def retire(self) -> None:
        """As `Queue.retire`."""
        self._retired = True

    def configure(self, num_bytes: int, patience: float, /) -> None:
        """As `Queue.configure`."""
        self._limit, self._patience = num_bytes, patience


class NativeQueue(Queue, Protocol):
    """The queue in C, with what XLA calls."""

    def handlers(self) -> tuple[Any, Any]:
        """XLA's handlers, for programs on one device and on several, as capsules."""
        ...


_queue: Queue | None = None
_native: NativeQueue | None = None


def choose(*, native: bool) -> None:
    """Chooses the queue of this process, once: that in C if it is wanted and there is one."""
    global _queue, _native
    if _queue is not None:
        return
    if native:
        with contextlib.suppress(ImportError):  # it was not built
            import jaxlog._crossing.native_queue as found

            found.configure(QUEUE_BYTES, PATIENCE)
            _native = found
    _queue = PythonQueue() if _native is None else _native


def chosen_queue() -> Queue | None:
    """The queue of this process, if it was chosen."""
    return _queue


def queue() -> Queue:
    """The queue of this process."""
    choose(native=True)
    assert _queue is not None
    return _queue


def native_queue() -> NativeQueue | None:
    """The queue in C, if it is the one of this process."""
    choose(native=True)
    return _native
