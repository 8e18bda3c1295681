"""What the host sees, and how often it is called, under each transformation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog.crossing import delivery
from tests.conftest import MakeLogger

Log = Callable[..., None]


def plain(log: Log) -> Any:
    for step in range(3):
        log(step, step * 2.0)


def jitted(log: Log) -> Any:
    program = jax.jit(log)
    for step in range(3):
        program(step, step * 2.0)


def scanned(log: Log) -> Any:
    def body(total: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        log(step, total)
        return total + 2.0, None

    return jax.lax.scan(body, 0.0, jnp.arange(3))


def looped(log: Log) -> Any:
    def body(step: jax.Array, total: jax.Array) -> jax.Array:
        log(step, total)
        return total + 2.0

    return jax.lax.fori_loop(0, 3, body, 0.0)


def branched(log: Log) -> Any:
    def body(_: None, step: jax.Array) -> tuple[None, None]:
        jax.lax.cond(step < 3, lambda: log(step, step.astype(np.float32) * 2), lambda: None)
        return None, None

    return jax.lax.scan(body, None, jnp.arange(5))


def vmapped(log: Log) -> Any:
    def train(seed: jax.Array) -> Any:
        def body(total: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            log(step, total)
            return total + 2.0, None

        return jax.lax.scan(body, seed.astype(np.float32), jnp.arange(3))

    return jax.vmap(train)(jnp.arange(4))


def vmapped_twice(log: Log) -> Any:
    def outer(a: jax.Array) -> Any:
        return jax.vmap(lambda b: log(0, 10.0 * a + b))(jnp.arange(3.0))

    return jax.vmap(outer)(jnp.arange(2.0))


def vmapped_steps(log: Log) -> Any:
    """Every lane has a counter of its own, and so a gate of its own."""
    return jax.vmap(lambda step: log(step, step.astype(np.float32)))(jnp.arange(8))


def vmapped_condition(log: Log) -> Any:
    """Only the condition differs between the lanes."""
    return jax.vmap(lambda when: log(0, 5.0, when=when))(jnp.array([True, False, True]))


def without_jit(log: Log) -> Any:
    with jax.disable_jit():
        for step in range(3):
            log(step, step * 2.0)


def vmapped_backwards(log: Log) -> Any:
    """Steps of lanes that do not ascend: each is an event of its own, in their order."""
    return jax.vmap(lambda step: log(step, step.astype(np.float32)))(jnp.arange(4)[::-1])


def vmapped_branch(log: Log) -> Any:
    """What the docs say to do where the predicate of a cond differs between lanes."""

    def lane(x: jax.Array) -> jax.Array:
        taken = x > 1.0
        y = jax.lax.cond(taken, lambda x: x + 10.0, lambda x: x, x)
        log(0, y, when=taken)
        return y

    return jax.vmap(lane)(jnp.arange(4.0))


def vmapped_while(log: Log) -> Any:
    """What the docs say to do where a while_loop's lanes end at different times."""

    def lane(length: jax.Array) -> Any:
        def body(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            step, total = state
            log(step, total, when=step < length)
            return step + 1, total + 2.0

        start = (jnp.int32(0), jnp.float32(0))
        return jax.lax.while_loop(lambda state: state[0] < length, body, start)

    return jax.vmap(lane)(jnp.array([1, 3, 2]))


def custom_derivatives(log: Log) -> Any:
    @jax.custom_vjp
    def forward(x: jax.Array) -> jax.Array:
        log(0, x)
        return x

    def forward_with_residuals(x: jax.Array) -> tuple[jax.Array, None]:
        return forward(x), None

    forward.defvjp(forward_with_residuals, lambda _, g: (g,))

    @jax.custom_jvp
    def second(x: jax.Array) -> jax.Array:
        log(1, x + 2.0)
        return x

    second.defjvp(lambda primals, tangents: (second(*primals), tangents[0]))
    return jax.grad(lambda x: second(forward(x)))(0.0)


def twice_differentiated(log: Log) -> Any:
    def loss(x: jax.Array) -> jax.Array:
        log(0, x)
        return x**3

    return jax.hessian(loss)(0.0)


def differentiated(log: Log) -> Any:
    def loss(x: jax.Array) -> jax.Array:
        def body(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            log(step, x)
            return x + 2.0, None

        return jax.lax.scan(body, x, jnp.arange(3))[0]

    return jax.grad(loss)(0.0)


def rematerialised(log: Log) -> Any:
    @jax.checkpoint
    def loss(x: jax.Array) -> jax.Array:
        for step in range(3):
            log(step, 2.0 * step + jax.lax.stop_gradient(x))
            x = jnp.sin(x)
        return x

    return jax.grad(loss)(0.0)


ONE_BY_ONE = [[(step, [step * 2.0])] for step in range(3)]


@dataclass
class Case:
    """A program, and what each call of the host brings: a step, and a value for each lane."""

    program: Callable[[Log], Any]
    calls: list[list[tuple[int, list[float]]]]
    jit: bool = True
    settings: dict[str, Any] | None = None


CASES = [
    Case(plain, ONE_BY_ONE, jit=False),
    Case(jitted, ONE_BY_ONE, jit=False),
    Case(scanned, ONE_BY_ONE),
    Case(scanned, ONE_BY_ONE, jit=False),
    Case(looped, ONE_BY_ONE),
    Case(branched, ONE_BY_ONE),
    Case(vmapped, [[(s, [lane + 2.0 * s for lane in range(4)])] for s in range(3)]),
    Case(vmapped, [[(s, [lane + 2.0 * s for lane in range(4)])] for s in range(3)], jit=False),
    Case(vmapped_twice, [[(0, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0])]]),
    Case(vmapped_steps, [[(0, [0.0]), (3, [3.0]), (6, [6.0])]], settings={"log_frequency": 3}),
    Case(vmapped_condition, [[(0, [5.0, 5.0])]]),
    Case(without_jit, ONE_BY_ONE, jit=False),
    Case(vmapped_backwards, [[(step, [float(step)]) for step in range(4)]]),
    Case(vmapped_branch, [[(0, [12.0, 13.0])]]),
    Case(vmapped_while, [[(0, [0.0] * 3)], [(1, [2.0] * 2)], [(2, [4.0])]]),
    Case(custom_derivatives, ONE_BY_ONE[:2]),
    Case(twice_differentiated, ONE_BY_ONE[:1]),
    Case(differentiated, ONE_BY_ONE),
    Case(rematerialised, ONE_BY_ONE),
]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: c.program.__name__ + ("" if c.jit else "-as-it-is")
)
def test_the_host_is_called_once_for_each_step(
    case: Case, make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    receive = delivery.receive

    def counting(words: Any) -> None:
        calls.append(None)
        receive(words)

    monkeypatch.setattr(delivery, "receive", counting)
    logger = make_logger(**({"log_frequency": 1} | (case.settings or {})))

    def log(step: Any, value: Any, **kwargs: Any) -> None:
        jaxlog.batch_step(logger, step, {"value": value}, **kwargs)

    program = functools.partial(case.program, log)
    with logger.open() as run:
        (jax.jit(program) if case.jit else program)()
    events = run.sink("memory").metrics
    got = [(e.step, [float(lane.metrics["value"]) for lane in e.lanes]) for e in events]
    if case.program in (rematerialised, custom_derivatives):  # no loop: in no promised order
        got.sort()
    assert got == [event for call in case.calls for event in call]
    assert len(calls) == run.arrived == len(case.calls)


def test_seeds_cross_together_and_only_when_due(make_logger: MakeLogger) -> None:
    """The promise of the README: 100 updates, every tenth, four seeds: ten calls."""
    logger = make_logger(log_frequency=10, sampling_enabled=False)

    def train(seed: jax.Array) -> Any:
        def update(total: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            returns = jnp.stack([total, total + 2.0])
            jaxlog.batch_step(logger, step, {"episode_returns": returns}, labels={"seed": seed})
            return total + 1.0, None

        return jax.lax.scan(update, seed.astype(np.float32), jnp.arange(100))

    program = jax.jit(jax.vmap(train))
    with logger.open() as run:
        jax.block_until_ready(program(jnp.arange(4)))
    assert run.arrived == 10
    events = run.sink("memory").metrics
    assert [event.step for event in events] == list(range(0, 100, 10))
    for event in events:
        assert [lane.index for lane in event.lanes] == [0, 1, 2, 3]
        assert [int(lane.labels["seed"]) for lane in event.lanes] == [0, 1, 2, 3]
        means = [float(lane.metrics["episode_return_mean"]) for lane in event.lanes]
        assert means == [seed + event.step + 1.0 for seed in range(4)]


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, lambda f: jax.jit(jax.grad(f))])
def test_results_and_gradients_are_those_without_logging(
    transform: Callable[..., Any], make_logger: MakeLogger
) -> None:
    logger = make_logger(log_frequency=2)

    def loss(x: jax.Array, *, log: bool) -> jax.Array:
        def body(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            y = jnp.sin(x) * jnp.arange(4.0)
            if log:
                jaxlog.batch_step(logger, step, {"episode_returns": y, "loss": x}, where=y > 0)
            return y.sum(), None

        return jax.lax.scan(body, x, jnp.arange(6))[0]

    with logger.open():
        got = transform(functools.partial(loss, log=True))(0.3)
    expected = transform(functools.partial(loss, log=False))(0.3)
    assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()


def test_a_call_that_each_device_would_make_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()

    def log(x: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"x": x.sum()})
        return x

    axis = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((1,), ("devices",), axis_types=axis)
    spec = jax.sharding.PartitionSpec("devices")
    sharded = jax.shard_map(log, mesh=mesh, in_specs=spec, out_specs=spec)
    for program in (jax.jit(sharded), jax.pmap(log, axis_name="devices")):
        with pytest.raises(ValueError, match="under shard_map or pmap over devices, where every"):
            program(jnp.ones((1, 4)))


def test_a_second_call_compiles_nothing(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)
    traced = []

    @jax.jit
    def program(x: jax.Array) -> jax.Array:
        traced.append(None)
        jaxlog.batch_step(logger, 0, {"x": x})
        return x

    for _ in range(2):
        with logger.open() as run:
            jax.block_until_ready(program(1.0))
            program(2.0)
        assert run.arrived == 2
    assert len(traced) == 1
