"""What a compiled program keeps, and what it does not: compilations, references, memory."""

from __future__ import annotations

import gc
import logging
import re
import threading
import time
import tracemalloc
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._crossing import delivery
from jaxlog._crossing.delivery import SHARE
from jaxlog._crossing.queue import PATIENCE, QUEUE_BYTES, queue
from jaxlog._format.delivery import Delivery, header
from tests.conftest import MakeLogger


def scan(logger: jaxlog.Logger, x: jax.Array) -> jax.Array:
    def update(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        jaxlog.batch_step(logger, step, {"episode_returns": x}, where=x > 1)
        return x + 1.0, None

    return jax.lax.scan(update, x, jnp.arange(3))[0]


def by_vmap(logger: jaxlog.Logger, x: jax.Array) -> Any:
    return jax.vmap(lambda lane: scan(logger, lane))(jnp.stack([x, x]))


def outside_of_jit(logger: jaxlog.Logger, x: jax.Array) -> Any:
    return jaxlog.batch_step(logger, 0, {"episode_returns": x}, where=x > 1, details={"x": x})


@pytest.mark.parametrize(
    ("program", "jit"), [(scan, True), (by_vmap, True), (outside_of_jit, False)]
)
def test_a_second_call_and_a_second_run_compile_nothing(
    program: Any, jit: bool, make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1, sample_frequency=1)
    function = jax.jit(program, static_argnums=0) if jit else program
    x, other = jnp.arange(4.0), jnp.arange(4.0) + 1.0
    with logger.open():
        jax.block_until_ready(function(logger, x))
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        for _ in range(2):
            with logger.open() as run:
                jax.block_until_ready(function(logger, x))
                jax.block_until_ready(function(logger, other))
            assert run.arrived == {outside_of_jit: 2, scan: 6, by_vmap: 12}[program]
    assert [message for message in caplog.messages if "ompil" in message] == []


@pytest.mark.parametrize("delivery", ["live", "return"])
def test_nothing_keeps_a_logger_that_nobody_holds(delivery: str, make_logger: MakeLogger) -> None:
    def used() -> list[weakref.ref[Any]]:
        logger = make_logger(delivery=delivery)
        program = jax.jit(lambda x: (jaxlog.batch_step(logger, 0, {"x": x}), x)[1])
        with logger.open() as run:
            jax.block_until_ready(program(jnp.float32(1.0)))
            jaxlog.batch_step(logger, 0, {"x": 2.0})
        return [weakref.ref(logger), weakref.ref(run), weakref.ref(run.sink("memory"))]

    gone = used()
    gc.collect()
    assert [reference() for reference in gone] == [None, None, None]


def test_hundreds_of_runs_of_one_program_keep_no_memory(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1, sample_frequency=1)
    program = jax.jit(lambda x: scan(logger, x))
    x = jnp.arange(64.0)

    def runs(number: int) -> None:
        for _ in range(number):
            with logger.open() as run:
                program(x)
            assert run.arrived == 3

    runs(100)
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        runs(400)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One record that was kept of each run would be 120 KiB and more.
    assert after - before < 80_000


def test_records_without_a_run_are_counted(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)
    program = jax.jit(lambda x: scan(logger, x))
    program(jnp.arange(4.0))
    jax.effects_barrier()
    assert logger.dropped == 3
    with logger.open() as run:  # a run that was closed is no run
        pass
    jax.block_until_ready(program(jnp.arange(4.0)))
    jax.effects_barrier()
    assert (logger.dropped, run.arrived) == (6, 0)


def test_a_value_of_another_trace_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()
    kept: list[Any] = []
    jax.jit(lambda x: kept.append(x))(1.0)
    with pytest.raises(jax.errors.UnexpectedTracerError, match="intermediate value"):
        jaxlog.batch_step(logger, 0, {"x": kept[0]})
    with pytest.raises(jax.errors.UnexpectedTracerError, match="intermediate value"):
        jax.jit(lambda y: (jaxlog.batch_step(logger, 0, {"x": kept[0]}), y))(1.0)


def test_records_without_room_in_the_queue_are_counted_as_lost(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1)
    program = jax.jit(lambda x: scan(logger, x))
    with logger.open() as run:
        program(jnp.arange(4.0))
    assert run.arrived == 3
    queue().configure(1, 0.05)
    try:
        with logger.open() as run:
            monkeypatch.setattr(delivery, "BATCH", 0)  # nothing is taken from the queue
            jax.block_until_ready(program(jnp.arange(4.0)))
            monkeypatch.undo()
        (account,) = run.accounts()
        assert run.arrived == account.arrived == 3
        lost = account.arrived - account.written
        assert lost in (1, 2)  # the thread may have been about to take the first
        said = [int(n) for n in re.findall(r"(\d+) records? w(?:as|ere) lost between", caplog.text)]
        assert sum(said) == lost
        monkeypatch.setattr(delivery, "BATCH", 0)
        jax.block_until_ready(program(jnp.arange(4.0)))
        monkeypatch.undo()
        assert logger.dropped == 3
    finally:
        queue().configure(QUEUE_BYTES, PATIENCE)


class Slow:
    """Each record takes a while, and those after the first wait until the gate opens."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.received: list[int] = []

    def _receive(self, delivery: Delivery, timestamp: float) -> None:
        time.sleep(2 * SHARE)
        if self.received:
            assert self.gate.wait(60)
        self.received.append(int(delivery.words.head[0, 0]))

    def _lose(self, num_records: int) -> None:
        raise AssertionError(f"{num_records} records had no room")


def test_a_program_that_waits_for_room_sees_what_is_done_of_a_batch() -> None:
    slow = Slow()
    handle = delivery.attach("slow", slow)
    words = [
        np.concatenate([header(handle, 1, 1, ()), np.array([1, i], np.uint32)]) for i in range(4)
    ]
    delivery.settle()
    queue().configure(3 * words[0].nbytes, 60.0)
    try:
        for one in words:  # the last gets the room of the first while the second is held up
            queue().push(one, True)
        slow.gate.set()
        assert delivery.settle(60.0)
    finally:
        queue().configure(QUEUE_BYTES, PATIENCE)
    assert slow.received == [0, 1, 2, 3]
