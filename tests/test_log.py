"""Plain values: in a program, and out of any."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from tests.conftest import MakeLogger


def told(run: jaxlog.Run) -> list[Any]:
    return [
        (event.name, event.step, event.env_step, event.lanes[0].labels, event.lanes[0].metrics)
        for event in run.sink("memory").metrics
    ]


def as_numbers(events: list[Any]) -> list[Any]:
    return [
        (name, step, env, {k: float(v) for k, v in a.items()}, {k: float(v) for k, v in b.items()})
        for name, step, env, a, b in events
    ]


def a_logger(**settings: Any) -> jaxlog.Logger:
    defaults = {"log_frequency": 3, "env_steps_per_update": 7, "sinks": [{"kind": "memory"}]}
    return jaxlog.Logger(defaults | settings, total_updates=8)


def one(logger: jaxlog.Logger, step: Any) -> None:
    values = {"loss": step * 0.5, "accuracy": 0.25, "flag": True}
    assert jaxlog.log(logger, step, values, labels={"seed": 3}) is None


def in_python(logger: jaxlog.Logger) -> None:
    for step in range(8):
        one(logger, step)


def in_a_scan(logger: jaxlog.Logger) -> None:
    jax.lax.scan(lambda _, step: (None, one(logger, step)), None, jnp.arange(8))


def in_jitted_steps(logger: jaxlog.Logger) -> None:
    program = jax.jit(lambda step: one(logger, step))
    for step in range(8):
        program(jnp.int32(step))


def with_constants_in_jit(logger: jaxlog.Logger) -> None:
    def program() -> None:
        for step in range(8):
            one(logger, step)

    jax.jit(program)()


def with_steps_of_jax(logger: jaxlog.Logger) -> None:
    for step in jnp.arange(8):
        one(logger, step)


PLACES = [in_python, in_a_scan, in_jitted_steps, with_constants_in_jit, with_steps_of_jax]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_the_lines_are_the_same_wherever_it_stands(place: Any) -> None:
    logger = a_logger()
    with jax.numpy_dtype_promotion("standard"), logger.open() as run:
        place(logger)
    expected = [
        (
            "train",
            step,
            7 * (step + 1),
            {"seed": 3.0},
            {"loss": step * 0.5, "accuracy": 0.25, "flag": 1.0},
        )
        for step in (0, 3, 6, 7)
    ]
    assert sorted(as_numbers(told(run)), key=lambda event: event[1]) == expected


def test_a_program_with_constants_logs_whenever_it_runs() -> None:
    logger = a_logger()
    program = jax.jit(lambda x: (jaxlog.log(logger, 0, {"loss": 1.0}), x)[1])
    with logger.open() as run:
        for _ in range(3):
            program(1.0).block_until_ready()
            jax.effects_barrier()
            program(2.0)
    assert run.arrived == 6
    program = jax.jit(lambda x: (jaxlog.log(logger, 1, {"loss": 1.0}), x)[1])
    with logger.open() as run:
        program(1.0)  # not due
    assert run.arrived == 0


def test_under_grad_and_vmap() -> None:
    logger = a_logger()

    def loss(x: jax.Array) -> jax.Array:
        jaxlog.log(logger, 0, {"x": x})
        return x * x

    with logger.open() as run:
        assert float(jax.grad(loss)(3.0)) == 6.0
        jax.vmap(loss)(jnp.arange(2.0))
    events = run.sink("memory").metrics
    assert [[float(lane.metrics["x"]) for lane in event.lanes] for event in events] == [
        [3.0],
        [0.0, 1.0],
    ]
    assert [event.num_lanes for event in events] == [1, 2]


def test_what_is_due_and_kept_is_as_the_settings_say() -> None:
    logger = a_logger(log_loss_metrics=False, exclude=["b"])
    with logger.open() as run:
        for step in range(4):
            jaxlog.log(logger, step, {"loss": 1.0, "a": 2.0, "b": 3.0}, when=step != 3)
    (event,) = run.sink("memory").metrics
    assert event.lanes[0].metrics == {"a": 2.0}


def test_batched_logging_may_be_off(make_logger: MakeLogger) -> None:
    logger = make_logger(batched_logging_enabled=False)
    with logger.open() as run:
        jaxlog.log(logger, 0, {"a": 1.0})
        jax.jit(lambda: jaxlog.log(logger, 0, {"a": 1.0}))()
        jaxlog.batch_step(logger, 0, {"a": 1.0})
    assert run.arrived == 2


def test_returned_records_are_those_of_live_delivery(make_logger: MakeLogger) -> None:
    logger = make_logger(delivery="return", log_frequency=2)

    def update(_: None, step: jax.Array) -> tuple[None, jaxlog.Record | None]:
        return None, jaxlog.log(logger, step, {"a": step.astype(np.float32)})

    with logger.open() as run:
        _, records = jax.lax.scan(update, None, jnp.arange(5))
        logger.write(records)
        logger.write(jaxlog.log(logger, 6, {"a": 6.0}))
    assert [event.step for event in run.sink("memory").metrics] == [0, 2, 4, 6]


def test_frames_beyond_int32_are_logged_in_python() -> None:
    logger = a_logger(log_frequency=1)
    with logger.open() as run:
        for step in range(3):
            jaxlog.log(logger, step, {"frames": step * 2**40})
    frames = [event.lanes[0].metrics["frames"] for event in run.sink("memory").metrics]
    assert frames == [0, 2**40, 2**41]


def test_without_a_run_it_is_counted_once() -> None:
    logger = a_logger(log_frequency=1)
    jaxlog.log(logger, 0, {"loss": 1.0})
    assert logger.dropped == 1


def test_bad_input_is_refused() -> None:
    logger = a_logger()
    with pytest.raises(
        ValueError, match=r"values\['a'\]: got float32\[0\], expected an array with"
    ):
        jaxlog.log(logger, 0, {"a": jnp.ones(0)})
    with pytest.raises(TypeError, match="step: is missing; call log"):
        jaxlog.log(logger, {"a": 1.0})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="step: got True"):
        jaxlog.log(logger, True, {"a": 1.0})
    with pytest.raises(ValueError, match="name: got 'a/b'"):
        jaxlog.log(logger, 0, {"a": 1.0}, name="a/b")


def test_a_run_logs_a_final_evaluation(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=2)
    with logger.open(lanes=[{"env": "a"}, {"env": "b"}]) as run:
        jax.lax.scan(
            lambda _, step: (None, jaxlog.log(logger, step, {"loss": 1.0})), None, jnp.arange(6)
        )
        run.log({"return": jnp.array([1.0, 2.0]), "best": 2})
        run.log({"x": jnp.bfloat16(0.5)}, step=9, name="final", labels={"who": "me"})
    *_, of_lanes, final = run.sink("memory").metrics
    assert (of_lanes.name, of_lanes.step, of_lanes.num_lanes) == ("eval", 4, 2)
    assert [lane.labels for lane in of_lanes.lanes] == [{"env": "a"}, {"env": "b"}]
    assert [lane.metrics for lane in of_lanes.lanes] == [
        {"return": 1.0, "best": 2},
        {"return": 2.0, "best": 2},
    ]
    assert (final.name, final.step, final.lanes[0].labels) == ("final", 9, {"who": "me"})
    assert final.lanes[0].metrics == {"x": 0.5}
    with pytest.raises(RuntimeError, match="log: the run is closed"):
        run.log({"x": 1.0})


def test_what_a_run_cannot_log_is_refused(make_logger: MakeLogger) -> None:
    with make_logger().open() as run:
        with pytest.raises(ValueError, match=r"values\['a'\]: got float64\[2, 2\], expected"):
            run.log({"a": np.ones((2, 2))}, step=0)
        with pytest.raises(ValueError, match="one for each lane"):
            run.log({"a": np.ones(2), "b": np.ones(3)}, step=0)
        refused: list[tuple[dict[str, Any], str]] = [
            ({"values": {"a": "x"}}, r"values\['a'\]: got str 'x', expected a number"),
            ({"values": 3}, "values: got int, expected a dict by name"),
            ({"values": {1: 2.0}}, "values: got the key 1, expected a name"),
            ({"values": {"a": 1}, "labels": {"x": object()}}, r"labels\['x'\]: got object"),
            ({"values": {"a": 1}, "labels": 3}, "labels: got int"),
            ({"values": {"a": 1}, "step": 1.7}, "step: got 1.7, expected an integer"),
        ]
        for wrong, text in refused:
            with pytest.raises(TypeError, match=text):
                run.log(**{"step": 0, **wrong})
        for step in (-4, 2**70):
            with pytest.raises(ValueError, match=r"step: got .*, expected 0 to"):
                run.log({"a": 1.0}, step=step)
        with pytest.raises(TypeError, match=r"values\['a'\]"):
            jax.jit(lambda x: run.log({"a": x}, step=0))(1.0)
    assert run.arrived == 0
