"""One sink, one thread, one queue: what a sink does stays with it.

The queue is bounded in bytes; where it is full, the program waits and nothing is dropped. A sink
that fails is tried again; one that keeps failing, or does not move, is switched off. A record is
written when the sink has flushed it, and lost when it has not: the two add up to what arrived. A
delivery has a record for each lane that logs.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from jaxlog._format.schema import Delivery
from jaxlog._host.decode import in_order
from jaxlog._host.lane_identity import LaneTable
from jaxlog._host.outage import is_outage
from jaxlog._say import log as _log
from jaxlog.sinks.sink import Sink, kind_of

QUEUE_BYTES = 16 * 2**20
"""How much may wait for one sink before the program does."""
BATCH_BYTES = 2**20
"""How much is decoded at a time."""
STALL_TIMEOUT = 30.0
"""Seconds that somebody waits for a sink that does not move, before it is switched off."""
LINGER = 0.05
"""Seconds for which records gather, so that they are decoded and written many at a time."""
RETRY_DELAYS = (0.05, 0.5)
"""Seconds to wait before what a sink failed to do is tried again."""
OUTAGE_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""And then, where nothing else can be done meanwhile: the disk is full, or not there."""
SHORT_OUTAGE = 3
"""How many of these are waited for where a run opens or closes, and the program waits too."""
PATIENCE = 30.0
"""Seconds for which a run may wait, all in all, before it tries to write one event again."""
MAX_FAILURES = 3
"""How often in a row a sink may fail for good before it is switched off."""

Decode = Callable[[Sequence[tuple[float, Delivery]]], list[list[Event]]]


@dataclass(frozen=True, slots=True)
class Ready:
    """An event that was made on the host, and needs no decoding.

    Attributes:
      event: as sinks take it.
      num_records: how many it counts for.
      num_bytes: what it holds in memory, about.
      table: the lanes of the run.
      found: as `Delivery.found`.
    """

    event: Event
    num_records: int
    num_bytes: int
    table: LaneTable | None = None
    found: list[Any] = field(default_factory=list, repr=False, compare=False)

    def numbered(self) -> Event:
        """The event, with the numbers that its lanes have in the run."""
        if self.table is None or not isinstance(self.event, MetricsEvent):
            return self.event
        return self.table.of_event(self.event, self.found)


STEPS = "steps"
"""What stands for a call's name in the steps of a single environment."""

Arrival = tuple[float, Delivery | Ready]
"""What comes, and when."""


class Question:
    """Asked of a worker; answered when all that was queued before it is written and flushed.

    Attributes:
      answered: set then, or when the sink is switched off.
      position: what the sink said, as `Sink.position`; None where it did not get there.
    """

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.position: Mapping[str, int] | None = None


class Worker:
    """Hands the records of a run to one sink.

    Args:
      sink: not opened yet.
      info: what it is opened with.
      decode: the events of each of some arrivals of one call and one number of lanes.
      note: called with each event before it is written, on the sink's thread.

    Attributes:
      kind: the sink's, by which messages call it.
      arrived: the records it was given.
      written: the records that the sink wrote and flushed.
      steps: the largest it was given to write, by the call's name; of a single environment, `steps`
        and `episode`.
      failure: what the sink last failed to do, or why it is off; None where all is well.
      errors: what it raised, the first of each kind of call.
    """

    def __init__(
        self,
        sink: Sink,
        info: RunInfo,
        decode: Decode,
        note: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.kind = kind_of(sink)
        self.sink = sink
        self.arrived = 0
        self.written = 0
        self.steps: dict[str, int] = {}
        self.failure: str | None = None
        self.errors: dict[str, BaseException] = {}
        self._info = info
        self._decode = decode
        self._note = note
        self._queue: collections.deque[Arrival | Question] = collections.deque()
        self._bytes = 0
        self._unflushed = 0
        self._moves = 0  # grows while the sink gets anything done
        self._failed_in_a_row: collections.Counter[str] = collections.Counter()
        self._said = False
        self._patience = PATIENCE
        self._off = False
        self._gave_up = False  # on an outage, while the run was closed
        self._hangs = False
        self._closing = False
        self._asked = 0  # questions in the queue
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
        """How it is doing, now."""
        return Account(self.kind, self.arrived, self.written, self.failure, self._off)

    @property
    def is_off(self) -> bool:
        """Whether it is switched off."""
        return self._off

    @property
    def lost(self) -> int:
        """The records that were not written; before `close`, those still on their way too."""
        return self.arrived - self.written

    def wait_until_open(self) -> bool:
        """Waits for the sink to open, as long as it moves; whether it did."""
        self._wait_for(self._opened, "open")
        return not self._off

    def put(self, arrival: Arrival) -> None:
        """Queues one arrival; waits while the queue is full. Called on XLA's thread."""
        size = arrival[1].num_bytes
        with self._changed:
            self.arrived += arrival[1].num_records
            while self._bytes and self._bytes + size > QUEUE_BYTES and not self._off:
                moves = self._moves
                if not self._changed.wait(STALL_TIMEOUT) and moves == self._moves:
                    self._hangs = True
                    self._switch_off(f"it did not move for {STALL_TIMEOUT:g} s")
            if self._off or self._closing:
                return
            self._queue.append(arrival)
            self._bytes += size
            # Waking a thread costs the program time: it is woken for the first of a batch, and for
            # a queue that fills up.
            if len(self._queue) == 1 or self._bytes > QUEUE_BYTES // 2:
                self._changed.notify_all()

    def ask(self) -> Question:
        """Asks it to write all that is queued, without waiting for that; see `answer`."""
        question = Question()
        with self._changed:
            if self._off or self._closing:
                question.answered.set()
            else:
                self._queue.append(question)
                self._asked += 1
                self._changed.notify_all()
        return question

    def answer(self, question: Question) -> Mapping[str, int] | None:
        """Waits for an answer, as long as the sink moves."""
        self._wait_for(question.answered, "write what it was given")
        return question.position

    def begin_close(self) -> None:
        """Has it write what is queued, and close the sink, without waiting for it."""
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

    def _wait_for(self, event: threading.Event, what: str, seconds: float | None = None) -> None:
        """Waits for something the sink is to do; switches it off where it does not move."""
        moves, seconds = self._moves, STALL_TIMEOUT if seconds is None else seconds
        while not self._hangs and not event.wait(seconds):
            if moves == self._moves:
                with self._changed:
                    self._hangs = True
                    self._switch_off(f"it did not {what} within {seconds:g} s")
            moves = self._moves

    def _work(self) -> None:
        try:
            opened = self._try("open", self.sink.open, self._info)
            if not opened:
                with self._changed:
                    self._switch_off("it did not open")
            self._opened.set()
            while not self._off:
                batch, size, question = self._next()
                self._write(batch)
                if question is not None:
                    self._answer(question)
                with self._changed:
                    self._bytes -= size
                    self._moves += 1
                    self._changed.notify_all()
                    if self._closing and not self._queue:
                        break
            if opened:
                closed = self._try("close", self.sink.close)
                self._count_as_written(all_of_it=closed)
        finally:
            self._opened.set()
            self._ended.set()

    def _next(self) -> tuple[list[Arrival], int, Question | None]:
        """What is to be written next, how much it is, and who asks to know of it."""
        with self._changed:
            while not (self._queue or self._closing or self._off):
                self._changed.wait()
            if not self._in_haste():
                self._changed.wait_for(self._in_haste, LINGER)
            batch: list[Arrival] = []
            size = 0
            while self._queue and size < BATCH_BYTES:
                item = self._queue.popleft()
                if isinstance(item, Question):
                    self._asked -= 1
                    return batch, size, item
                batch.append(item)
                size += item[1].num_bytes
        return batch, size, None

    def _answer(self, question: Question) -> None:
        def position() -> None:
            question.position = dict(self.sink.position())

        if self._flush():
            self._try("tell its position", position)
        question.answered.set()

    def _in_haste(self) -> bool:
        return self._closing or self._off or self._asked > 0 or self._bytes > QUEUE_BYTES // 2

    def _write(self, batch: Sequence[Arrival]) -> None:
        for num_records, events in self._events(batch):
            if self._off:
                return
            done = [self._write_event(event) for event in events]
            self._unflushed += num_records if all(done) else 0
        if batch:
            self._flush()

    def _flush(self) -> bool:
        done = self._try("flush", self.sink.flush, patient=True)
        self._count_as_written(all_of_it=done)
        return done

    def _events(self, batch: Sequence[Arrival]) -> list[tuple[int, list[Event]]]:
        """The events of each arrival that can be read; those of one call in order of steps.

        Each with the number of records they are made from.
        """
        found: dict[int, tuple[int, list[Event]]] = {}
        # By call and lanes: these are read together.
        alike: dict[Any, dict[int, tuple[float, Delivery]]] = {}
        for place, (timestamp, item) in enumerate(batch):
            if not isinstance(item, Ready):
                alike.setdefault((item.call_number, item.lanes), {})[place] = timestamp, item
        for places in alike.values():
            try:
                events = self._decode(list(places.values()))
                counts = [delivery.num_records for _, delivery in places.values()]
                records = in_order(list(zip(counts, events, strict=True)))
            except Exception as error:  # no fault of the sink's
                self._mention("decode", error)
            else:
                found |= zip(places, records, strict=True)
        # After the records of the program, so that their lanes are known.
        for place, (_, item) in enumerate(batch):
            if isinstance(item, Ready):
                found[place] = item.num_records, [item.numbered()]
        return [found[place] for place in sorted(found)]

    def _count_as_written(self, *, all_of_it: bool) -> None:
        """Counts what is written: all that is not flushed yet, or what the sink says it is."""
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
        self._note(event)
        match event:
            case MetricsEvent():
                self._reached(event.name, event.step)
                return self._try("write", self.sink.write_metrics, event)
            case EpisodeEvent():
                self._reached(event.name, event.step)
                return self._try("write an episode", self.sink.write_episode, event)
            case TaskEvent():
                return self._try("write a task", self.sink.write_task, event)
            case StepEvent():
                self._reached(STEPS, event.step)
                return self._try("write a step", self.sink.write_step, event)
            case EvaluationEvent():
                return self._try("write an evaluation", self.sink.write_evaluation, event)

    def _reached(self, name: str, step: int) -> None:
        self.steps[name] = max(step, self.steps.get(name, 0))

    def _try(
        self, what: str, method: Callable[..., None], *arguments: Any, patient: bool = False
    ) -> bool:
        """Calls a method of the sink, again if need be; whether it did what it should.

        What fails because the disk, descriptors or a network are out is tried for half a minute,
        and everything else three times; but one event of many only as long as `PATIENCE` lasts:
        what fails now and then must not hold up the rest. `close` is called once.

        Args:
          what: it is to do.
          method: of the sink.
          *arguments: of the method.
          patient: whether it is tried for half a minute, whatever it raises.
        """
        of_many = what.startswith("write")
        delays = [*RETRY_DELAYS, *OUTAGE_DELAYS] if what != "close" else []
        spent = 0.0
        for number, delay in enumerate([*delays, None]):
            if self._off and what != "close":
                return False
            self._moves += 1
            try:
                method(*arguments)
            except BaseException as error:  # SystemExit too: Rich raises it for a closed pipe
                waits = number - len(RETRY_DELAYS)  # so often it has waited for an outage to end
                short = waits < SHORT_OUTAGE and not self._gave_up
                if is_outage(error):
                    waits_on = short or not (self._closing or what == "open")
                else:
                    waits_on = patient and not self._closing
                gives_up = waits >= 0 and not waits_on
                if gives_up and self._closing and is_outage(error):
                    self._gave_up = True
                if of_many and delay is not None:
                    self._patience -= delay
                    spent += delay if waits >= 0 else 0.0
                    gives_up |= self._patience < 0
                if delay is None or gives_up:
                    self._mention(what, error)
                    self._failed_in_a_row[what] += what != "tell its position"
                    if self._failed_in_a_row[what] >= MAX_FAILURES:
                        with self._changed:
                            self._switch_off(f"it failed {MAX_FAILURES} times in a row")
                    return False
                if waits >= 0:
                    self._say_once(f"cannot {what}, and tries again: {error!r}", error)
                self._pause(delay, short=short)
            else:
                self._failed_in_a_row[what] = 0
                self._patience += spent  # an outage is over, and was none of the sink's faults
                return True
        return False

    def _pause(self, seconds: float, *, short: bool) -> None:
        """Waits before something is tried again; not long where the run is to be closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._off or (self._closing and not short), seconds)

    def _mention(self, what: str, error: BaseException) -> None:
        """Notes that something failed for good."""
        self.failure = f"could not {what}: {type(error).__name__}: {error}"
        self.errors.setdefault(what, error)
        self._say_once(f"{self.failure}. Training and the other sinks go on.", error)

    def _say_once(self, what: str, error: BaseException) -> None:
        if not self._said:
            self._said = True
            _log.warning("jaxlog: the sink %s %s", self.kind, what, exc_info=error)

    def _switch_off(self, why: str) -> None:
        if not self._off:
            self._off = True
            self.failure = f"{why}; last: {self.failure}" if self.failure else why
            for item in self._queue:
                if isinstance(item, Question):
                    item.answered.set()
            self._queue.clear()
            self._bytes = 0
            _log.warning(
                "jaxlog: the sink %s is switched off for this run: %s", self.kind, self.failure
            )
        self._changed.notify_all()
