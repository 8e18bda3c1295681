"""What a sink does stays with it: it fails, hangs or is slow, and nothing else notices."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from jaxlog._format.delivery import Delivery, header
from jaxlog._format.events import EpisodeEvent, Event, MetricsEvent, RunInfo
from jaxlog._format.schema import Schema
from jaxlog._host import retries, worker
from jaxlog._host.arrival import Arrival
from jaxlog._host.decode import Decoder
from jaxlog._host.decoding import SharedDecoding
from jaxlog._host.lane_identity import LaneTable
from jaxlog._host.watch import Watch
from jaxlog._host.worker import Worker
from jaxlog.sinks.sink import Sink, SinkSettings


class Odd(Sink):
    """A sink that does what a test tells it to."""

    def __init__(self, on_write: Any = lambda event: None) -> None:
        super().__init__(SinkSettings(kind="odd"))
        self.on_write = on_write
        self.steps: list[int] = []
        self.flushed = 0
        self.closed = False

    def write_metrics(self, event: MetricsEvent) -> None:
        self.on_write(event)
        self.steps.append(event.step)

    def write_episode(self, event: EpisodeEvent) -> None:
        raise AssertionError("no episodes here")

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        self.closed = True


def arrival(step: int, num_words: int = 4, call_number: int = 1) -> Arrival:
    words = np.full(num_words, step, np.uint32)
    head = header(0, call_number, 1, ())
    return Arrival(0.0, Delivery(np.concatenate([head, np.array([1], np.uint32), words])))


class Steps(Decoder):
    """Decodes the first word of each record as its step."""

    def __init__(self) -> None:
        super().__init__(Schema("batch", ()), None)

    def events(self, arrivals: Sequence[Arrival], *_: Any, **__: Any) -> list[list[Event]]:
        deliveries = [one.delivery for one in arrivals if one.delivery is not None]
        steps = [delivery.words.head[0, 0].item() for delivery in deliveries]
        return [[MetricsEvent("batch", step, None, 0.0, (), {})] for step in steps]


def decoding(*decoders: Decoder) -> SharedDecoding:
    """Decodes the calls 1, 2, ... by these decoders."""
    known = dict(enumerate(decoders or (Steps(),), start=1))
    return SharedDecoding("run", known, (), LaneTable("run"), Watch("run"))


def fed(sink: Odd, num_records: int) -> Worker:
    """A worker that was given some records, and closed."""
    running = Worker(sink, RunInfo("odd"), decoding())
    for step in range(num_records):
        running.put(arrival(step))
    running.close()
    return running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRY_DELAYS", (0.001, 0.001))
    monkeypatch.setattr(retries, "OUTAGE_DELAYS", (0.002,))


def test_everything_is_written_in_order_and_then_closed() -> None:
    sink = Odd()
    running = fed(sink, 5000)
    assert sink.steps == list(range(5000))
    assert sink.closed
    assert (running.written, running.lost, running.failure) == (5000, 0, None)


def test_records_do_not_wait_for_the_end() -> None:
    sink = Odd()
    running = Worker(sink, RunInfo("odd"), decoding())
    running.put(arrival(1))
    end = time.monotonic() + 60
    while not sink.flushed and time.monotonic() < end:
        time.sleep(0.01)
    assert sink.steps == [1]
    running.close()


def test_a_failure_that_passes_loses_nothing() -> None:
    failed = []

    def fail_once(event: MetricsEvent) -> None:
        if event.step == 3 and not failed:
            failed.append(event)
            raise OSError("try again")

    sink = Odd(fail_once)
    running = fed(sink, 6)
    assert sink.steps == list(range(6))
    assert running.lost == 0


def test_an_event_that_always_fails_is_lost_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: MetricsEvent) -> None:
        if event.step % 2:
            raise ValueError(f"step {event.step}")

    sink = Odd(fail)
    with caplog.at_level(logging.WARNING, "jaxlog"):
        running = fed(sink, 10)
    assert sink.steps == [0, 2, 4, 6, 8]
    assert (running.written, running.lost) == (5, 5)
    assert len(caplog.records) == 1  # said once
    assert "the sink odd could not write: ValueError: step 1" in caplog.text


def test_a_sink_that_keeps_failing_is_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: MetricsEvent) -> None:
        raise ValueError("broken")

    sink = Odd(fail)
    with caplog.at_level(logging.WARNING, "jaxlog"):
        running = fed(sink, 10)
    assert (running.written, running.lost) == (0, 10)
    assert "switched off for this run: it failed 3 times in a row" in caplog.text
    assert sink.closed


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_a_sink_that_wants_to_exit_does_not(error: BaseException) -> None:
    def leave(event: MetricsEvent) -> None:
        raise error

    sink = Odd(leave)
    running = fed(sink, 10)
    assert (running.written, running.lost) == (0, 10)
    assert sink.closed


def test_what_is_not_flushed_is_not_written() -> None:
    class Full(Odd):
        def flush(self) -> None:
            raise OSError("no space left")

        close = flush

    running = fed(Full(), 10)
    assert (running.arrived, running.written, running.lost) == (10, 0, 10)


def test_a_record_nobody_can_read_is_lost_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Unreadable(Steps):
        def events(self, *_: Any, **__: Any) -> list[list[Event]]:
            raise LookupError("never heard of it")

    sink = Odd()
    running = Worker(sink, RunInfo("odd"), decoding(Steps(), Unreadable()))
    for step in range(20):
        running.put(arrival(step, call_number=2 if step % 2 else 1))
    running.close()
    assert sink.steps == list(range(0, 20, 2))
    assert (running.written, running.lost) == (10, 10)
    assert "could not decode: LookupError: never heard of it" in caplog.text


def test_what_comes_after_the_end_is_counted() -> None:
    running = Worker(Odd(), RunInfo("odd"), decoding())
    running.close()
    running.put(arrival(0))
    assert (running.arrived, running.lost) == (1, 1)


def test_a_full_queue_makes_the_program_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "QUEUE_BYTES", 40_000)
    monkeypatch.setattr(worker, "LINGER", 0.001)
    waiting: list[int] = []

    sink = Odd(lambda event: waiting.append(running.arrived - len(sink.steps)))
    running = Worker(sink, RunInfo("odd"), decoding())
    for step in range(300):
        running.put(arrival(step, num_words=1000))
    running.close()
    assert sink.steps == list(range(300))  # nothing was dropped
    assert max(waiting) <= 40_000 // arrival(0, num_words=1000).num_bytes + 1


@pytest.mark.parametrize("kind", ["jsonl", "odd"])
def test_a_sink_that_cannot_keep_up_is_named_once(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "QUEUE_BYTES", 10_000)
    monkeypatch.setattr(worker, "SLOW", 0.01)
    sink = Odd(lambda event: time.sleep(0.01))
    sink.settings = SinkSettings(kind=kind)
    running = Worker(sink, RunInfo("first"), decoding())
    with caplog.at_level(logging.WARNING, "jaxlog"):
        for step in range(12):
            running.put(arrival(step, num_words=1000))
        running.close()
    assert len(sink.steps) == 12
    (record,) = caplog.records
    columns = ", or write columns: `kind: arrow`" if kind == "jsonl" else ""
    said = re.sub(r"\d\.\d s", "… s", record.getMessage())
    assert said == (
        f"jaxlog: run first: the sink {kind} cannot keep up: the program has waited … s for its "
        f"queue, which is full. Log less often (log_frequency){columns}. Said once."
    )


def test_a_record_larger_than_the_queue_still_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "QUEUE_BYTES", 100)
    sink = Odd()
    running = Worker(sink, RunInfo("odd"), decoding())
    for step in range(3):
        running.put(arrival(step, num_words=1000))
    running.close()
    assert sink.steps == [0, 1, 2]


def test_a_sink_that_hangs_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "QUEUE_BYTES", 10_000)
    monkeypatch.setattr(worker, "STALL_TIMEOUT", 0.3)
    release = threading.Event()
    running = Worker(Odd(lambda event: release.wait(200)), RunInfo("odd"), decoding())
    start = time.monotonic()
    with caplog.at_level(logging.WARNING, "jaxlog"):
        for step in range(100):
            running.put(arrival(step, num_words=1000))
        running.close()
    took = time.monotonic() - start
    release.set()
    assert took < 100  # it waited for the stall's time, not for the sink
    assert (running.arrived, running.lost) == (100, 100)
    assert "switched off for this run: it made no progress for 0.3 s" in caplog.text


def test_a_slow_sink_is_not_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STALL_TIMEOUT", 0.2)
    sink = Odd(lambda event: time.sleep(0.02))
    fed(sink, 40)  # 0.8 s of work in one batch, four times the stall's time
    assert len(sink.steps) == 40
    assert sink.closed


@pytest.mark.parametrize(("failing", "off"), [(2, False), (3, True)])
def test_it_is_the_third_failure_in_a_row_that_ends_a_sink(
    failing: int, off: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: MetricsEvent) -> None:
        # Twice as many as may fail, never all of them in a row.
        if event.step % (failing + 1) < failing and event.step < 2 * (failing + 1):
            raise ValueError("no")

    sink = Odd(fail)
    with caplog.at_level(logging.WARNING, "jaxlog"):
        running = fed(sink, 10)
    assert ("it failed 3 times in a row" in caplog.text) is off
    written = [] if off else [2, 5, 6, 7, 8, 9]
    assert (sink.steps, running.lost) == (written, 10 - len(written))
