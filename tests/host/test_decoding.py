"""An arrival is decoded once for all sinks, which share its events and cannot change them."""

from __future__ import annotations

import copy
import pickle
import re
import threading
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._format.delivery import Delivery, header
from jaxlog._format.events import EpisodeEvent, Event, MetricsEvent, RunInfo, StepEvent
from jaxlog._format.schema import Schema
from jaxlog._host import decoding, worker
from jaxlog._host.arrival import Arrival
from jaxlog._host.decode import Decoder
from jaxlog._host.decoding import SharedDecoding
from jaxlog._host.lane_identity import LaneTable
from jaxlog._host.watch import Watch
from jaxlog._host.worker import Worker
from jaxlog.sinks import Sink
from tests.conftest import MakeLogger


class Counted(Decoder):
    """Decodes the first word of each record as its step, and counts what it decodes."""

    def __init__(self) -> None:
        super().__init__(Schema("batch", ()), None)
        self.decoded: list[int] = []

    def events(self, arrivals: Sequence[Arrival], *_: Any, **__: Any) -> list[list[Event]]:
        deliveries = [one.delivery for one in arrivals if one.delivery is not None]
        steps = [delivery.words.head[0, 0].item() for delivery in deliveries]
        self.decoded += steps
        return [[MetricsEvent("batch", step, None, 0.0, (), {})] for step in steps]


def arrival(step: int, waiting: int) -> Arrival:
    words = np.full(1000, step, np.uint32)
    delivery = Delivery(np.concatenate([header(0, 1, 1, ()), np.array([1], np.uint32), words]))
    return Arrival(0.0, delivery, waiting=waiting)


class Gated(Sink):
    """Keeps events, each once `gate` is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.events: list[Any] = []

    def write_metrics(self, event: MetricsEvent) -> None:
        assert self.gate.wait(60)
        self.events.append(event)


@pytest.mark.parametrize("num_sinks", [1, 2, 4])
def test_an_arrival_is_decoded_once_for_all_sinks(num_sinks: int) -> None:
    decoder, new = Counted(), []
    shared = SharedDecoding(
        "run", {1: decoder}, (), LaneTable("run"), Watch("run"), new.extend, lambda: None
    )
    sinks = [Gated() for _ in range(num_sinks)]
    workers = [Worker(sink, RunInfo("run"), shared) for sink in sinks]
    for sink in sinks:
        sink.gate.set()
    arrivals = [arrival(step, num_sinks) for step in range(100)]
    for one in arrivals:
        for running in workers:
            running.put(one)
    for running in workers:
        running.close()
    assert decoder.decoded == list(range(100))
    assert [event.step for event in new] == list(range(100))
    for sink in sinks:
        assert [event.step for event in sink.events] == list(range(100))
        assert all(a is b for a, b in zip(sink.events, new, strict=True))
    assert all(one.events is None and one.waiting == 0 for one in arrivals)  # nothing is kept


def test_a_slow_sink_neither_waits_nor_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    size = arrival(0, 2).num_bytes
    monkeypatch.setattr(decoding, "DECODED_BYTES", 10 * size)
    monkeypatch.setattr(worker, "BATCH_BYTES", 5 * size)
    decoder, new = Counted(), []
    shared = SharedDecoding(
        "run", {1: decoder}, (), LaneTable("run"), Watch("run"), new.extend, lambda: None
    )
    slow, fast = Gated(), Gated()
    fast.gate.set()
    workers = [Worker(sink, RunInfo("run"), shared) for sink in (slow, fast)]
    arrivals = [arrival(step, 2) for step in range(100)]
    for one in arrivals:
        for running in workers:
            running.put(one)
    workers[1].close()  # while the other has written nothing
    assert [event.step for event in fast.events] == list(range(100))
    assert slow.events == []
    assert sum(one.events is not None for one in arrivals) <= 10
    slow.gate.set()
    workers[0].close()
    assert [event.step for event in slow.events] == list(range(100))
    # Those that were not kept for it, it has decoded again; they are noted once all the same.
    assert 180 <= len(decoder.decoded) <= 200
    assert [event.step for event in new] == list(range(100))
    assert all(one.events is None for one in arrivals)


def test_a_loop_that_begins_again_stays_behind_itself_wherever_a_batch_ends() -> None:
    steps = [*range(20), *range(20)]
    for end in range(len(steps)):
        noted: list[Event] = []
        shared = SharedDecoding(
            "run", {1: Counted()}, (), LaneTable("run"), Watch("run"), noted.extend
        )
        arrivals = [arrival(step, 2) for step in steps]
        for border in (end, 7):  # two sinks, each with batches of its own
            written: list[int] = []
            for batch in (arrivals[:border], arrivals[border:]):
                records, errors = shared.take(batch)
                assert errors == []
                written += [event.step for _, events in records for event in events]
            assert written == steps
        assert [event.step for event in noted] == steps


def test_a_record_without_events_is_kept() -> None:
    class Some(Counted):
        def events(self, arrivals: Sequence[Arrival], *_: Any, **__: Any) -> list[list[Event]]:
            return [[] if events[0].step == 2 else events for events in super().events(arrivals)]

    shared = SharedDecoding("run", {1: Some()}, (), LaneTable("run"), Watch("run"))
    records, errors = shared.take([arrival(step, 1) for step in (1, 2, 0)])
    assert errors == []
    assert [(number, [e.step for e in events]) for number, events in records] == [
        (1, []),
        (1, [0]),
        (1, [1]),
    ]


def test_sinks_decode_in_turn() -> None:
    turns, order = decoding._Turns(), []

    def take(number: int) -> None:
        with turns:
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with turns:
        for number, thread in enumerate(threads):
            thread.start()
            while turns._last < number + 2:  # until it waits
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == list(range(5))


def test_nothing_is_kept_for_a_sink_that_is_off() -> None:
    class Broken(Gated):
        def open(self, run: RunInfo) -> None:
            raise ValueError("no")

    shared = SharedDecoding("run", {1: Counted()}, (), LaneTable("run"), Watch("run"))
    broken, sound = Broken(), Gated()
    sound.gate.set()
    workers = [Worker(sink, RunInfo("run"), shared) for sink in (broken, sound)]
    arrivals = [arrival(step, 2) for step in range(20)]
    for one in arrivals:
        for running in workers:
            running.put(one)
    for running in workers:
        running.close()
    assert len(sound.events) == 20
    assert all(one.events is None and one.waiting == 0 for one in arrivals)


class Meddler(Sink):
    """Tries to change each event, and keeps what that raised."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def _try(self, action: Any) -> None:
        with pytest.raises((TypeError, ValueError)) as raised:
            action()
        self.errors.append(str(raised.value))

    def write_metrics(self, event: MetricsEvent) -> None:
        lane: Any = event.lanes[0]
        self._try(lambda: lane.metrics.update(x=0.0))
        self._try(lambda: lane.labels.clear())
        self._try(lambda: event.keys.pop("x"))  # pyright: ignore[reportAttributeAccessIssue]

    def write_episode(self, event: EpisodeEvent) -> None:
        episode: Any = event.episode
        self._try(lambda: episode.setdefault("new", 1))
        self._try(lambda: event.details["state"].fill(0))
        self._try(lambda: event.tree["state"].fill(0))

    def write_step(self, event: StepEvent) -> None:
        values: Any = event.values
        self._try(lambda: values.__setitem__("reward", 0.0))
        self._try(lambda: event.details["state"].fill(0))
        self._try(lambda: event.tree["state"].fill(0))


def test_a_sink_cannot_change_an_event_for_another(make_logger: MakeLogger) -> None:
    meddler = Meddler()
    logger = make_logger(
        log_frequency=1,
        sampling_enabled=True,
        sample_frequency=1,
        sinks=[meddler, {"kind": "memory"}],
    )

    @jax.jit
    def program(seed: jax.Array) -> None:
        jaxlog.batch_step(
            logger,
            jnp.int32(0),
            {"x": jnp.float32(1.5), "episode_returns": jnp.ones(1)},
            details={"state": jnp.ones((1, 2))},
            labels={"seed": seed},
        )

    with logger.open() as run:
        program(jnp.int32(7))
        logger.log_step({"reward": 1.0, "state": np.ones(2)})
    memory = run.sink("memory")
    (event,), (episode,), (step,) = memory.metrics, memory.episodes, memory.steps
    assert event.lanes[0].metrics["x"] == 1.5
    assert event.lanes[0].labels == {"seed": 7}
    assert episode.details["state"].tolist() == episode.tree["state"].tolist() == [1.0, 1.0]
    assert step.details["state"].tolist() == step.tree["state"].tolist() == [1.0, 1.0]
    assert step.values == {"reward": 1.0}
    assert len(meddler.errors) == 9
    mappings = [text for text in meddler.errors if "read-only" not in text]
    assert set(mappings) == {
        "an event's mappings cannot be changed, since all sinks share the event; change a copy: "
        "dict(mapping)"
    }
    assert len(mappings) == 5
    # A copy can be changed; a deep copy and a pickle are what they were.
    changed = dict(event.lanes[0].labels) | {"seed": 8}
    assert changed == {"seed": 8}
    assert copy.deepcopy(event) == pickle.loads(pickle.dumps(event)) == event
    assert re.match(r"\{'seed': ", repr(event.lanes[0].labels))
