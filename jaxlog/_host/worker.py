"""One sink, one thread, one queue: whatever a sink does affects no other sink.

The queue is bounded in bytes. While it is full the program waits, and nothing is dropped. A sink
that fails is called again; one that keeps failing, or makes no progress, is switched off. A record
counts as written when the sink has flushed it, and as lost otherwise: together they are the records
that arrived. A delivery has one record for each lane that logs.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxlog._format.events import (
    Account,
    EpisodeEvent,
    EvaluationEvent,
    Event,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._host.arrival import Arrival
from jaxlog._host.decoding import SharedDecoding
from jaxlog._host.retries import MAX_FAILURES, REPORT_POSITION, RetryPolicy
from jaxlog._say import Once
from jaxlog._say import log as _log
from jaxlog.sinks.sink import Sink, kind_of

QUEUE_BYTES = 16 * 2**20
"""The packed bytes that may wait for one sink before the program waits."""
BATCH_BYTES = 2**20
"""The packed bytes that are decoded at a time."""
STALL_TIMEOUT = 30.0
"""Seconds to wait for a sink that makes no progress before it is switched off."""
SLOW = 1.0
"""Seconds for which the program has waited for a sink, in all, before it is said."""
LINGER = 0.05
"""Seconds in which records gather, so that many are decoded and written at a time."""

STEPS = "steps"
"""The name under which the steps of a single environment are counted among the calls."""


class FlushRequest:
    """Asks a sink to write everything that was queued before.

    Attributes:
      done: set when the sink has written it, and when it will not.
      position: the sink's `position` then; None if it could not write.
    """

    def __init__(self) -> None:
        self.done = threading.Event()
        self.position: Mapping[str, int] | None = None


class Worker:
    """Runs one sink: everything the sink does happens on the thread of its worker.

    Args:
      sink: not opened yet.
      info: for `Sink.open`.
      decoding: decodes arrivals, for all sinks of the run.

    Attributes:
      kind: the sink's kind, by which messages name it.
      sink: as given.
      arrived: the number of records that were given to it.
      written: the number of records that the sink wrote and flushed.
      steps: the largest step that the sink was given, by call; for a single environment, under
        `steps` and `episode`.
      failure: the last failure of the sink, or why it is switched off; None if all is well.
      errors: the first exception of each kind of call.
    """

    def __init__(self, sink: Sink, info: RunInfo, decoding: SharedDecoding) -> None:
        self.kind = kind_of(sink)
        self.sink = sink
        self.arrived = 0
        self.written = 0
        self.steps: dict[str, int] = {}
        self.failure: str | None = None
        self.errors: dict[str, BaseException] = {}
        self._info = info
        self._decoding = decoding
        self._retries = RetryPolicy()
        self._queue: collections.deque[Arrival | FlushRequest] = collections.deque()
        self._bytes = 0
        self._unflushed = 0
        self._waited = 0.0  # seconds for which the program has waited for the queue
        self._is_first_wait = Once()
        self._lags = False  # the last batch has left some in the queue, which have lingered already
        self._progress = 0  # grows whenever the sink gets something done
        self._is_first_warning = Once()
        self._off = False
        self._hangs = False
        self._closing = False
        self._flush_requests = 0  # in the queue
        self._files: Mapping[str, Mapping[str, int]] = {}
        self._opened = threading.Event()
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"jaxlog-{self.kind}", daemon=True)
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:  # the system has no thread left
            self.errors["start its thread"] = error
            with self._changed:
                self._switch_off(f"its thread could not be started: {error}")
            self._opened.set()
            self._ended.set()

    @property
    def account(self) -> Account:
        """The records of this sink so far."""
        return Account(self.kind, self.arrived, self.written, self.failure, self._off, self._files)

    @property
    def is_off(self) -> bool:
        """True if the sink is switched off."""
        return self._off

    @property
    def lost(self) -> int:
        """The records that were not written; before `close`, including those that still wait."""
        return self.arrived - self.written

    def wait_until_open(self) -> bool:
        """Waits for the sink to open, while it makes progress; returns whether it opened."""
        self._wait_for(self._opened, "open")
        return not self._off

    def put(self, arrival: Arrival) -> None:
        """Queues one arrival; waits while the queue is full. Called on the program's thread."""
        size = arrival.num_bytes
        with self._changed:
            self.arrived += arrival.num_records
            while self._bytes and self._bytes + size > QUEUE_BYTES and not self._off:
                progress, began = self._progress, time.monotonic()
                if not self._changed.wait(STALL_TIMEOUT) and progress == self._progress:
                    self._hangs = True
                    self._switch_off(f"it made no progress for {STALL_TIMEOUT:g} s")
                self._waited += time.monotonic() - began
            if self._waited >= SLOW and not self._off and self._is_first_wait():
                self._warn_slow()
            if self._off or self._closing:
                self._decoding.release([arrival])
                return
            self._queue.append(arrival)
            self._bytes += size
            # To wake a thread costs the program time: it is woken for the first arrival of a batch,
            # and when the queue fills up.
            if len(self._queue) == 1 or self._bytes > QUEUE_BYTES // 2:
                self._changed.notify_all()

    def _warn_slow(self) -> None:
        columns = ", or write columns: `kind: arrow`" if self.kind == "jsonl" else ""
        _log.warning(
            "jaxlog: run %s: the sink %s cannot keep up: the program has waited %.1f s for its "
            "queue, which is full. Log less often (log_frequency)%s. Said once.",
            self._info.name,
            self.kind,
            self._waited,
            columns,
        )

    def lose(self, num_records: int) -> None:
        """Counts records that were lost on their way to the worker."""
        with self._changed:
            self.arrived += num_records

    def request_flush(self) -> FlushRequest:
        """Asks for everything queued to be written, without waiting; see `wait_for_flush`."""
        request = FlushRequest()
        with self._changed:
            if self._off or self._closing:
                request.done.set()
            else:
                self._queue.append(request)
                self._flush_requests += 1
                self._changed.notify_all()
        return request

    def wait_for_flush(self, request: FlushRequest) -> Mapping[str, int] | None:
        """Waits for a request, while the sink makes progress; returns the sink's position."""
        self._wait_for(request.done, "write its records")
        return request.position

    def begin_close(self) -> None:
        """Starts to write what is queued and to close the sink, without waiting."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self) -> None:
        """Writes what is queued, and closes the sink."""
        self.begin_close()
        self._wait_for(self._ended, "finish", self.sink.close_timeout)

    def wait(self, seconds: float) -> None:
        """Waits for the end that `begin_close` has begun, but not longer."""
        self._ended.wait(seconds)

    def _wait_for(self, event: threading.Event, action: str, seconds: float | None = None) -> None:
        """Waits until the sink has done something; switches it off if it makes no progress."""
        progress, seconds = self._progress, STALL_TIMEOUT if seconds is None else seconds
        while not self._hangs and not event.wait(seconds):
            if progress == self._progress:
                with self._changed:
                    self._hangs = True
                    self._switch_off(f"it did not {action} within {seconds:g} s")
            progress = self._progress

    def _work(self) -> None:
        try:
            opened = self._try("open", self.sink.open, self._info)
            if not opened:
                with self._changed:
                    self._switch_off("it did not open")
            self._opened.set()
            while not self._off:
                batch, size, request = self._next()
                self._write(batch)
                if request is not None:
                    self._answer(request)
                with self._changed:
                    self._bytes -= size
                    self._progress += 1
                    self._changed.notify_all()
                    if self._closing and not self._queue:
                        break
            if opened:
                closed = self._try("close", self.sink.close)
                self._count_as_written(all_of_it=closed)
                with contextlib.suppress(Exception):  # of a sink that fails
                    counts = self.sink.file_counts()
                    self._files = {name: dict(own) for name, own in counts.items()}
        finally:
            self._opened.set()
            self._ended.set()

    def _next(self) -> tuple[list[Arrival], int, FlushRequest | None]:
        """Waits for arrivals; returns a batch, its size, and the request that follows it."""
        with self._changed:
            while not (self._queue or self._closing or self._off):
                self._changed.wait()
            if not self._is_urgent() and not self._lags:
                linger = LINGER if self.sink.linger is None else self.sink.linger
                self._changed.wait_for(self._is_urgent, linger)
            batch: list[Arrival] = []
            size = 0
            while self._queue and size < BATCH_BYTES:
                item = self._queue.popleft()
                if isinstance(item, FlushRequest):
                    self._flush_requests -= 1
                    return batch, size, item
                batch.append(item)
                size += item.num_bytes
            self._lags = bool(self._queue)
        return batch, size, None

    def _answer(self, request: FlushRequest) -> None:
        def position() -> None:
            request.position = dict(self.sink.position())

        if self._flush():
            self._try(REPORT_POSITION, position)
        request.done.set()

    def _is_urgent(self) -> bool:
        return (
            self._closing or self._off or self._flush_requests > 0 or self._bytes > QUEUE_BYTES // 2
        )

    def _write(self, batch: Sequence[Arrival]) -> None:
        if not batch:
            return
        records, errors = self._decoding.take(batch)
        for error in errors:
            self._note_failure("decode", error)
        for num_records, events in records:
            if self._off:
                return
            done = [self._write_event(event) for event in events]
            self._unflushed += num_records if all(done) else 0
        self._flush()

    def _flush(self) -> bool:
        done = self._try("flush", self.sink.flush, patient=True)
        self._count_as_written(all_of_it=done)
        return done

    def _count_as_written(self, *, all_of_it: bool) -> None:
        """Counts records as written: all that are not flushed yet, or those the sink names."""
        left = 0
        if not all_of_it:
            try:
                pending = self.sink.pending()
            except Exception:  # of a sink that fails
                pending = None
            left = self._unflushed if pending is None else min(pending, self._unflushed)
        self.written += self._unflushed - left
        self._unflushed = left

    def _write_event(self, event: Event) -> bool:
        match event:
            case MetricsEvent():
                self._note_step(event.name, event.step)
                return self._try("write", self.sink.write_metrics, event)
            case EpisodeEvent():
                self._note_step(event.name, event.step)
                return self._try("write an episode", self.sink.write_episode, event)
            case TaskEvent():
                return self._try("write a task", self.sink.write_task, event)
            case StepEvent():
                self._note_step(STEPS, event.step)
                return self._try("write a step", self.sink.write_step, event)
            case EvaluationEvent():
                return self._try("write an evaluation", self.sink.write_evaluation, event)

    def _note_step(self, name: str, step: int) -> None:
        self.steps[name] = max(step, self.steps.get(name, 0))

    def _try(
        self, action: str, method: Callable[..., None], *arguments: Any, patient: bool = False
    ) -> bool:
        """Calls a method of the sink, again where the retry policy says so.

        Args:
          action: what the method does, for messages and for the policy.
          method: of the sink.
          *arguments: of the method.
          patient: whether it is called again for half a minute whatever it raises.

        Returns:
          Whether a call succeeded.
        """
        attempts = self._retries.begin(action, patient=patient)
        while not self._off or action == "close":
            self._progress += 1
            try:
                method(*arguments)
            except BaseException as error:  # SystemExit too: Rich raises it for a closed pipe
                wait = attempts.failed(error, closing=self._closing)
                if wait is None:
                    self._note_failure(action, error)
                    if self._retries.is_exhausted(action):
                        with self._changed:
                            self._switch_off(f"it failed {MAX_FAILURES} times in a row")
                    return False
                if wait.in_outage:
                    self._warn_once(f"cannot {action}, and tries again: {error!r}", error)
                self._pause(wait.seconds, short=wait.short)
            else:
                attempts.succeeded()
                return True
        return False

    def _pause(self, seconds: float, *, short: bool) -> None:
        """Waits before the next attempt; a long wait ends when the run is to be closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._off or (self._closing and not short), seconds)

    def _note_failure(self, action: str, error: BaseException) -> None:
        """Notes that an action failed for good."""
        self.failure = f"could not {action}: {type(error).__name__}: {error}"
        self.errors.setdefault(action, error)
        self._warn_once(f"{self.failure}. Training and the other sinks go on.", error)

    def _warn_once(self, what: str, error: BaseException) -> None:
        if self._is_first_warning():
            _log.warning("jaxlog: the sink %s %s", self.kind, what, exc_info=error)

    def _switch_off(self, why: str) -> None:
        if not self._off:
            self._off = True
            self.failure = f"{why}; last: {self.failure}" if self.failure else why
            for item in self._queue:
                if isinstance(item, FlushRequest):
                    item.done.set()
            self._decoding.release([item for item in self._queue if isinstance(item, Arrival)])
            self._queue.clear()
            self._bytes = 0
            _log.warning(
                "jaxlog: the sink %s is switched off for this run: %s", self.kind, self.failure
            )
        self._changed.notify_all()
