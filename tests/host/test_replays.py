"""What a lane repeats that has ended is dropped and counted; any other record is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._format.delivery import Delivery, buffers_of, header
from jaxlog._host.replays import Replays
from tests.conftest import MakeLogger


def delivery(rows: list[tuple[int, int, int]], call_number: int = 1) -> Delivery:
    """Lanes, each with its due bits, its step and a value."""
    records = np.array([rows], np.uint32)
    head = header(0, call_number, 1, (len(rows),))
    (buffer,) = buffers_of(head, records[:, :, 0], records[:, :, 1:], head_words=1)
    return Delivery(buffer)


ROW = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1))


@given(
    st.integers(1, 3).flatmap(
        lambda n: st.lists(
            st.tuples(st.integers(0, 1), st.lists(ROW, min_size=n, max_size=n)), max_size=12
        )
    )
)
def test_a_lane_that_repeats_its_last_record_while_another_advances_is_dropped(
    calls: list[tuple[int, list[tuple[int, int, int]]]],
) -> None:
    replays, last, steps, dropped = Replays(), {}, {}, 0
    for call_number, rows in calls:
        advanced = [
            lane
            for lane, (_, step, _) in enumerate(rows)
            if (call_number, lane) in steps and step > steps[call_number, lane]
        ]
        expected = []
        for lane, row in enumerate(rows):
            repeats = row[0] != 0 and last.get((call_number, lane)) == row
            ended = repeats and lane not in advanced and bool(advanced)
            dropped += ended
            expected.append(0 if ended else row[0])
            if row[0]:
                last[call_number, lane] = row
            steps[call_number, lane] = row[1]
        got = delivery(rows, call_number)
        buffer = got.buffer.copy()
        left = replays.fresh(got)
        # The first is let through whatever it has: the program never sends one without a lane.
        assert (left is not None) == any(expected) or not any(row[0] for row in rows)
        if left is not None:
            assert left.due.tolist() == expected
            assert left.words.equal(got.words).all()
        assert (got.buffer == buffer).all()  # what came is as it was
    assert replays.count == dropped


def test_what_separate_executions_log_is_kept(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1)

    def log(step: int, value: float, **how: Any) -> None:
        jaxlog.batch_step(logger, step, {"x": value}, **how)

    with logger.open(tmp_path / "run") as run:
        log(0, 1.0)
        log(0, 1.0)  # the same again
        log(0, 1.0, name="eval")  # another call
        log(0, 2.0)
        log(0, float("nan"))
        log(0, float("nan"))
        log(0, -0.0)
        log(0, 0.0)
        jax.effects_barrier()
    events = [e for e in run.sink("memory").metrics if e.name == "batch"]
    assert len(events) == 7
    assert run.replayed == 0
    assert run.arrived == 8
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (facts["arrived"], facts["replayed"]) == (8, 0)
    assert facts["sinks"][0]["written"] == 8


def test_equal_evaluations_of_lanes_are_kept(make_logger: MakeLogger) -> None:
    """As long as no lane has advanced: some may give the same, and others not."""
    logger = make_logger(log_frequency=1)

    @jax.jit
    @jax.vmap
    def evaluate(value: jax.Array) -> None:
        jaxlog.batch_step(logger, 0, {"x": value}, name="eval")

    with logger.open() as run:
        evaluate(jnp.array([1.0, 2.0]))
        evaluate(jnp.array([1.0, 2.0]))
        evaluate(jnp.array([1.0, 3.0]))
        jax.effects_barrier()
    values = [[float(lane.metrics["x"]) for lane in e.lanes] for e in run.sink("memory").metrics]
    assert values == [[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]]
    assert run.replayed == 0


def test_equal_executions_of_a_loop_are_kept(make_logger: MakeLogger) -> None:
    """Steps begin anew: a lane that logged one record only logs it again, and none has advanced."""
    logger = make_logger(log_frequency=1)

    def lane(length: jax.Array) -> Any:
        def body(step: Any) -> Any:
            jaxlog.batch_step(logger, step, {"x": step}, when=step < length)
            return step + 1

        return jax.lax.while_loop(lambda step: step < length, body, 0)

    program = jax.jit(jax.vmap(lane))
    with logger.open() as run:
        for _ in range(2):
            jax.block_until_ready(program(jnp.array([1, 3])))
    steps = [(e.step, lane.index) for e in run.sink("memory").metrics for lane in e.lanes]
    assert sorted(steps) == sorted(2 * [(0, 0), (0, 1), (1, 1), (2, 1)])
    assert run.replayed == 0


def test_a_new_run_knows_nothing_of_the_one_before(make_logger: MakeLogger) -> None:
    logger = make_logger()
    for _ in range(2):
        with logger.open() as run:
            jaxlog.batch_step(logger, 0, {"x": 1.0})
        assert (run.arrived, run.replayed) == (1, 0)


def test_lanes_of_a_while_loop_that_have_ended_repeat_themselves(make_logger: MakeLogger) -> None:
    """JAX runs the body for all until the last has ended; what it runs in vain is the same again.

    But for the first time: that one step too many is why the docs say to use when=.
    """
    logger = make_logger(log_frequency=1)

    def lane(length: jax.Array) -> Any:
        def body(step: Any) -> Any:
            jaxlog.batch_step(logger, step, {"x": step})
            return step + 1

        return jax.lax.while_loop(lambda step: step < length, body, 0)

    with logger.open() as run:
        jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.array([1, 4, 2])))
    steps = [(e.step, lane.index) for e in run.sink("memory").metrics for lane in e.lanes]
    assert sorted(steps) == sorted(
        [(step, 1) for step in range(4)] + [(0, 0), (1, 0)] + [(0, 2), (1, 2), (2, 2)]
    )
    assert run.replayed == 3


def test_lanes_that_have_ended_are_recognized_where_the_others_are_not_due(
    make_logger: MakeLogger,
) -> None:
    """Lane 0 has ended at a step that is due, and is sent for as long as lane 1 runs."""
    logger = make_logger(log_frequency=4)

    def lane(length: jax.Array) -> Any:
        def body(step: Any) -> Any:
            returns = step + jnp.arange(3.0)
            jaxlog.batch_step(logger, step, {"episode_returns": returns})
            return step + 1

        return jax.lax.while_loop(lambda step: step < length, body, 0)

    with logger.open() as run:
        jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.array([4, 11])))
    steps = [(e.step, lane.index) for e in run.sink("memory").metrics for lane in e.lanes]
    assert sorted(steps) == [(0, 0), (0, 1), (4, 0), (4, 1), (8, 1)]
    assert run.replayed == 6
