"""A record that repeats the one before it is dropped and counted; any other is kept."""

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
from jaxlog.host.replays import Replays
from jaxlog.schema import Delivery, header
from tests.conftest import MakeLogger


def delivery(rows: list[tuple[int, int, int]], site: int = 1) -> Delivery:
    """Lanes, each with its due bits, its step and a value."""
    due, *words = np.array(rows, np.uint32).T
    lanes = (len(rows),)
    return Delivery(np.concatenate([header(0, site, lanes), due, np.stack(words, 1).reshape(-1)]))


ROW = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1))


@given(
    st.integers(1, 3).flatmap(
        lambda n: st.lists(
            st.tuples(st.integers(0, 1), st.lists(ROW, min_size=n, max_size=n)), max_size=12
        )
    )
)
def test_each_lane_of_each_site_drops_what_repeats_its_last(
    calls: list[tuple[int, list[tuple[int, int, int]]]],
) -> None:
    replays, last, dropped = Replays(), {}, 0
    for site, rows in calls:
        expected = []
        for lane, row in enumerate(rows):
            repeats = row[0] != 0 and last.get((site, lane)) == row
            dropped += repeats
            expected.append(0 if repeats else row[0])
            if row[0]:
                last[site, lane] = row
        got = delivery(rows, site)
        words = got.words.copy()
        left = replays.take_out(got)
        # The first is let through whatever it has: the program never sends one without a lane.
        assert left == any(expected) or not any(row[0] for row in rows)
        assert got.due.tolist() == expected
        assert (got.words == words).all()
    assert replays.count == dropped


def test_a_step_that_is_logged_anew_is_kept(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1)

    def log(step: int, value: float, **how: Any) -> None:
        jaxlog.batch_step(logger, step, {"x": value}, **how)

    with logger.open(tmp_path / "run") as run:
        log(0, 1.0)
        log(0, 1.0)  # a replay
        log(0, 1.0, name="eval")  # another call
        log(0, 2.0)
        log(0, 1.0)  # not the one before it
        log(0, float("nan"))
        log(0, float("nan"))  # a replay, too: bit for bit
        log(0, -0.0)
        log(0, 0.0)
        jax.effects_barrier()
    events = [e for e in run.sink("memory").metrics if e.name == "batch"]
    assert len(events) == 6
    assert run.replayed == 2
    assert run.arrived == 9
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (facts["arrived"], facts["replayed"]) == (9, 2)
    assert facts["sinks"][0]["written"] == 7


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
        def body(step: jax.Array) -> jax.Array:
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
