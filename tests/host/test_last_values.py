"""`Run.last` is the last value of a metric over the lanes that are alive."""

from __future__ import annotations

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from tests.conftest import MakeLogger

MEMORY = [{"kind": "memory"}]
VALUES = st.sampled_from([None, 1.0, 2.5, -3.0, math.nan])


@given(st.lists(st.tuples(*[st.tuples(*[VALUES] * 2)] * 3), min_size=1, max_size=6))
def test_it_is_the_mean_over_lanes_at_the_last_step_that_has_the_metric(
    steps: list[tuple[tuple[float | None, ...], ...]],
) -> None:
    """Three lanes; each step has two values for each, of which some are missing."""
    logger = jaxlog.Logger({"log_frequency": 1, "sinks": MEMORY})
    expected: dict[str, float] = {}
    with logger.open() as run:

        def lane(values: jax.Array, there: jax.Array) -> None:
            def update(_: None, now: tuple[jax.Array, ...]) -> tuple[None, None]:
                step, value, is_there = now
                metrics = {"a": value[:1], "b": value[1:]}
                jaxlog.batch_step(logger, step, metrics, where=is_there[:1], name="train")
                return None, None

            jax.lax.scan(update, None, (jnp.arange(len(values)), values, there))

        # Both values are there or neither is, since they are of the same episode.
        there = np.array([[[one[0] is not None] * 2 for one in step] for step in steps])
        values = np.array(
            [[[0.0 if v is None else v for v in one] for one in step] for step in steps]
        )
        program = jax.jit(jax.vmap(lane))
        program(jnp.asarray(values.swapaxes(0, 1), jnp.float32), jnp.asarray(there.swapaxes(0, 1)))
        for step, has in zip(values, there, strict=True):
            for place, key in enumerate(("a_mean", "b_mean")):
                own = step[:, place][has[:, place]]
                if own.size:
                    alive = own[np.isfinite(own)]
                    expected[key] = float(alive.mean()) if alive.size else math.nan
        for key in ("a_mean", "b_mean"):
            if key in expected:
                assert run.last(key) == pytest.approx(expected[key], nan_ok=True)
            else:
                with pytest.raises(LookupError, match="has not logged"):
                    run.last(key)


def test_a_run_from_python_and_a_closed_run(make_logger: MakeLogger, tmp_path: Path) -> None:
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path) as run:
        run.log({"return": 1.0, "loss": 3.0}, step=0)
        run.log({"return": 2.0}, step=1)
        assert (run.last("return"), run.last("loss")) == (2.0, 3.0)
    assert run.last("return") == 2.0


def test_values_of_many_events_that_arrive_together(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1, sinks=MEMORY)
    with logger.open() as run:

        def update(_: None, step: jax.Array) -> tuple[None, None]:
            ended = jnp.full(3, step < 40)
            jaxlog.batch_step(logger, step, {"x": jnp.full(3, step)}, where=ended, name="train")
            jaxlog.log(logger, step, {"y": step * 2}, name="train_more")
            return None, None

        jax.jit(lambda: jax.lax.scan(update, None, jnp.arange(100))[0])()
        assert (run.last("x_mean"), run.last("y")) == (39.0, 198.0)


def test_bad_questions_are_errors(make_logger: MakeLogger) -> None:
    with make_logger(sinks=MEMORY).open() as run:
        with pytest.raises(LookupError, match="has not logged 'loss', and so far: nothing"):
            run.last("loss")
        run.log({"loss": 1.0}, step=0, name="train")
        run.log({"loss": 2.0}, step=0, name="eval")
        with pytest.raises(LookupError, match="by the calls 'eval', 'train'; give call="):
            run.last("loss")
        assert run.last("loss", call="train") == 1.0
        with pytest.raises(LookupError, match="the call 'test' has not logged 'loss'"):
            run.last("loss", call="test")
    silent = make_logger(sinks=[]).open()
    with silent, pytest.raises(LookupError, match="a run that writes nothing"):
        silent.last("loss")
