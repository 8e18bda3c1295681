"""What the host sees, how often, and what the program returns, under each transformation."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._crossing import delivery
from jaxlog._host import worker
from jaxlog._say import Once
from tests.conftest import MakeLogger
from tests.crossing import programs
from tests.crossing.programs import Log

Event = tuple[int, list[float]]
"""A step, and a value for each lane."""

ONE_BY_ONE: list[list[Event]] = [[(step, [step * 2.0])] for step in range(3)]
SIX: list[list[Event]] = [[(step, [step * 2.0])] for step in range(6)]
FOUR_LANES: list[list[Event]] = [
    [(step, [lane + 2.0 * step for lane in range(4)])] for step in range(3)
]


@dataclass
class Case:
    """A program, and what each call of the host brings.

    The program is run as it is, and under `jit`, where it does not bring its own.
    """

    program: Callable[[Log], Any]
    calls: list[list[Event]]
    jit: bool = True
    settings: dict[str, Any] | None = None


# A new transformation is a program in programs.py, and a line here.
CASES = [
    Case(programs.plain, ONE_BY_ONE, jit=False),
    Case(programs.jitted, ONE_BY_ONE, jit=False),
    Case(programs.without_jit, ONE_BY_ONE, jit=False),
    Case(programs.scanned, ONE_BY_ONE),
    Case(programs.unrolled, [[(step, [step * 2.0])] for step in range(9)]),
    Case(programs.scanned_in_a_scan, SIX),
    Case(programs.looped, ONE_BY_ONE),
    Case(programs.looped_while, ONE_BY_ONE),
    Case(programs.looped_while_that_logs_in_its_condition, ONE_BY_ONE, jit=False),
    Case(programs.branched, ONE_BY_ONE),
    Case(programs.switched, ONE_BY_ONE),
    Case(programs.vmapped, FOUR_LANES),
    Case(programs.vmapped_twice, [[(0, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0])]]),
    Case(programs.vmapped_in_a_scan, FOUR_LANES),
    Case(programs.vmapped_branch_of_all, [[(1, [0.0, 1.0, 2.0, 3.0])]]),
    Case(programs.vmapped_over_nothing_logged, ONE_BY_ONE),
    Case(
        programs.vmapped_steps,
        [[(0, [0.0]), (3, [3.0]), (6, [6.0])]],
        settings={"log_frequency": 3, "sample_frequency": 6},
    ),
    Case(programs.vmapped_condition, [[(0, [5.0, 5.0])]]),
    Case(programs.vmapped_backwards, [[(step, [float(step)]) for step in range(4)]]),
    Case(programs.vmapped_branch, [[(0, [12.0, 13.0])]]),
    Case(programs.vmapped_while, [[(0, [0.0] * 3)], [(1, [2.0] * 2)], [(2, [4.0])]]),
    Case(programs.differentiated, ONE_BY_ONE),
    Case(programs.differentiated_by_value, ONE_BY_ONE),
    Case(programs.differentiated_forwards, ONE_BY_ONE),
    Case(programs.linearized, ONE_BY_ONE),
    Case(programs.differentiated_twice, ONE_BY_ONE[:1]),
    Case(programs.differentiated_in_a_scan, ONE_BY_ONE),
    Case(programs.differentiated_lanes, FOUR_LANES),
    Case(programs.differentiated_over_lanes, FOUR_LANES),
    Case(programs.rematerialised, ONE_BY_ONE),
    Case(programs.rematerialised_with_a_policy, ONE_BY_ONE),
    Case(programs.rematerialised_scan, ONE_BY_ONE),
    Case(programs.rematerialised_around_a_scan, ONE_BY_ONE),
    Case(programs.rematerialised_while, ONE_BY_ONE),
    Case(programs.rematerialised_while_of_lanes, FOUR_LANES),
    Case(programs.rematerialised_while_with_a_policy, ONE_BY_ONE),
    Case(programs.rematerialised_while_twice, ONE_BY_ONE),
    Case(programs.rematerialised_while_by_condition, ONE_BY_ONE, jit=False),
    Case(programs.rematerialised_count, ONE_BY_ONE),
    Case(programs.rematerialised_scan_of_whiles, SIX),
    Case(programs.rematerialised_while_of_custom_derivatives, ONE_BY_ONE),
    Case(programs.rematerialised_while_in_a_sharded_map, ONE_BY_ONE),
    Case(programs.rematerialised_while_turned_around_twice, ONE_BY_ONE),
    Case(programs.rematerialised_while_differentiated_twice, ONE_BY_ONE),
    Case(programs.linearized_while, ONE_BY_ONE),
    Case(programs.linearized_while_differentiated, ONE_BY_ONE),
    Case(programs.linearized_while_of_lanes, FOUR_LANES),
    Case(programs.linearized_while_of_scans, SIX),
    Case(programs.linearized_while_of_whiles, SIX),
    Case(programs.linearized_while_of_solutions, ONE_BY_ONE),
    Case(programs.while_beside_a_loss, ONE_BY_ONE),
    Case(programs.while_beside_a_loss_stopped, ONE_BY_ONE),
    Case(programs.while_beside_a_loss_counted, ONE_BY_ONE),
    Case(programs.while_beside_a_loss_by_condition, ONE_BY_ONE, jit=False),
    Case(programs.while_beside_a_loss_of_lanes, FOUR_LANES),
    Case(programs.whiles_in_a_scan_beside_a_loss, SIX),
    Case(programs.while_with_derivatives_of_its_own, ONE_BY_ONE),
    Case(programs.while_with_a_tangent_of_its_own, ONE_BY_ONE),
    Case(programs.custom_derivatives, ONE_BY_ONE[:2]),
    Case(programs.custom_derivatives_rematerialised, ONE_BY_ONE[:1]),
    Case(programs.cotangent, [[(0, [3.0])]]),
    Case(programs.sharded_map, ONE_BY_ONE),
    Case(programs.sharded_map_that_is_tracked, ONE_BY_ONE),
    Case(programs.sharded_map_over_two_axes, ONE_BY_ONE),
    Case(programs.sharded_map_over_one_of_two, ONE_BY_ONE),
    Case(programs.sharded_map_of_lanes, FOUR_LANES),
    Case(programs.lanes_of_sharded_maps, FOUR_LANES),
    Case(programs.differentiated_sharded_map, ONE_BY_ONE),
    Case(programs.pmapped, ONE_BY_ONE, jit=False),
    Case(programs.named_vmap, ONE_BY_ONE),
    Case(programs.sharded_arrays, ONE_BY_ONE, jit=False),
    Case(programs.sharded_arrays_of_explicit_axes, ONE_BY_ONE, jit=False),
    Case(programs.sharded_lanes, FOUR_LANES, jit=False),
    Case(programs.sharded_lanes_of_explicit_axes, FOUR_LANES, jit=False),
    Case(programs.sharded_lanes_that_bring_their_mesh, FOUR_LANES, jit=False),
    Case(programs.sharded_arrays_that_bring_their_mesh, ONE_BY_ONE, jit=False),
    Case(programs.sharded_lanes_by_name, FOUR_LANES, jit=False),
    Case(programs.nnx_jitted, ONE_BY_ONE, jit=False),
    Case(programs.nnx_scanned, ONE_BY_ONE, jit=False),
    Case(programs.nnx_vmapped, FOUR_LANES, jit=False),
    Case(programs.nnx_differentiated, ONE_BY_ONE, jit=False),
    Case(programs.nnx_rematerialised, ONE_BY_ONE, jit=False),
]


@pytest.mark.parametrize(
    ("case", "jit"),
    [
        pytest.param(case, jit, id=case.program.__name__ + ("-jit" if jit else ""))
        for case in CASES
        for jit in ([False, True] if case.jit else [False])
    ],
)
def test_the_host_is_called_once_for_each_step(
    case: Case, jit: bool, make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what the program returns is, bit for bit, what it returns without the call."""
    calls: list[Any] = []
    pass_on = delivery.pass_on

    def counting(words: Any, timestamp: float) -> None:
        calls.append(None)
        pass_on(words, timestamp)

    monkeypatch.setattr(delivery, "pass_on", counting)
    monkeypatch.setattr(worker, "LINGER", 60.0)  # all is read together, when the run is closed
    settings = {"log_frequency": 1, "sample_frequency": 2} | (case.settings or {})
    logger = make_logger(**settings)

    def log(step: Any, value: Any, **how: Any) -> None:
        # Behind the gate there is something to do: 3 episodes of 4 to aggregate, and to sample.
        returns = value + jnp.arange(4.0)
        metrics = {"value": value, "episode_returns": returns}
        where = jnp.arange(4) < 3
        jaxlog.batch_step(logger, step, metrics, where=where, details={"r": returns}, **how)

    program = functools.partial(case.program, log)
    with logger.open() as run:
        results = jax.block_until_ready((jax.jit(program) if jit else program)())
    events = run.sink("memory").metrics
    got = [(e.step, [float(lane.metrics["value"]) for lane in e.lanes]) for e in events]
    assert got == [event for call in case.calls for event in call]
    for event in events:
        for lane in event.lanes:
            assert lane.metrics["episode_return_mean"] == float(lane.metrics["value"]) + 1.0
            assert int(lane.metrics["episode_count"]) % 3 == 0  # of each device
    sampled = Counter((e.step, e.lane) for e in run.sink("memory").episodes)
    assert sampled == {
        (event.step, lane.index): 3
        for event in events
        for lane in event.lanes
        if event.step % settings["sample_frequency"] == 0
    }
    assert len(calls) == len(case.calls)
    assert run.arrived == sum(len(event.lanes) for event in events)
    assert run.replayed == logger.dropped == 0
    if case.jit and not jit:
        return  # one of the two is enough
    program = functools.partial(case.program, lambda *_, **__: None)
    without = jax.block_until_ready((jax.jit(program) if jit else program)())
    assert [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(results)] == [
        np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(without)
    ]


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
    assert run.arrived == 10 * 4
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


def test_live_calls_return_nothing_so_that_they_fit_a_branch_that_does_not_log(
    make_logger: MakeLogger,
) -> None:
    logger = make_logger(log_frequency=1)

    @jax.jit
    def program(taken: jax.Array) -> None:
        def window() -> None:
            window = jaxlog.empty_window(logger, {"x": 0.0}, name="window")
            record, window = jaxlog.window_step(logger, window, 1, {"x": 1.0})
            assert record is None

        def rest() -> jaxlog.Record | None:
            window = jaxlog.empty_window(logger, {"x": 0.0}, name="rest")
            _, window = jaxlog.window_step(logger, window, 1, {"x": 1.0}, when=False)
            return jaxlog.log_window(logger, window, 2)

        for log in (
            lambda: jaxlog.log(logger, 0, {"x": 1.0}),
            lambda: jaxlog.batch_step(logger, 0, {"x": 1.0}),
            window,
            rest,
        ):
            jax.lax.cond(taken, log, lambda: None)

    with logger.open() as run:
        program(jnp.bool_(True))
        program(jnp.bool_(False))
    assert sorted(event.name for event in run.sink("memory").metrics) == [
        "batch",
        "rest",
        "train",
        "window",
    ]


def test_a_transposed_function_logs_nothing(make_logger: MakeLogger) -> None:
    """It does not compute the value: what is turned around is logged by the function itself."""
    logger = make_logger()

    def linear(x: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"x": x})
        return 2.0 * x

    with logger.open() as run:
        assert jax.linear_transpose(linear, 1.0)(1.0) == (2.0,)
        assert jax.linear_transpose(jax.jit(linear), 1.0)(1.0) == (2.0,)
    assert run.arrived == 0


@pytest.mark.parametrize(
    ("solver", "transform"),
    [
        ("bicgstab", lambda f: f),
        ("bicgstab", jax.grad),
        ("gmres", lambda f: jax.jit(jax.grad(f))),
        ("cg", lambda f: jax.jit(jax.grad(f))),
    ],
)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_a_linear_solver_logs_its_products(
    solver: str, transform: Callable[..., Any], wrap: Callable[..., Any], make_logger: MakeLogger
) -> None:
    """Those of the solution; of the transposed system only where it is the same one."""
    logger = make_logger(log_frequency=1)
    matrix = jnp.array([[4.0, 1.0], [1.0 if solver == "cg" else 0.5, 3.0]])

    def loss(b: jax.Array, *, log: bool) -> jax.Array:
        def product(x: jax.Array) -> jax.Array:
            if log:
                jaxlog.log(logger, 0, {"x": x.sum()})
            return matrix @ x

        return getattr(jax.scipy.sparse.linalg, solver)(wrap(product), b)[0].sum()

    right = jnp.array([1.0, 2.0])
    with logger.open() as run:
        got = transform(functools.partial(loss, log=True))(right)
    expected = transform(functools.partial(loss, log=False))(right)
    assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()
    assert len(run.sink("memory").metrics) == run.arrived > 1


@pytest.mark.parametrize(
    ("log_frequency", "sample_frequency", "gates"),
    [(10, 100, 2), (10, 15, 3), (10, 10, 2), (10, None, 1)],
)
def test_there_are_no_more_gates_than_are_needed(
    log_frequency: int, sample_frequency: int | None, gates: int, make_logger: MakeLogger
) -> None:
    logger = make_logger(
        log_frequency=log_frequency,
        sampling_enabled=sample_frequency is not None,
        sample_frequency=sample_frequency or 1,
    )
    program = lambda x: jaxlog.batch_step(logger, 0, {"episode_returns": x})  # noqa: E731
    assert str(jax.make_jaxpr(program)(jnp.ones(8))).count(" cond[") == gates


def test_a_record_that_cannot_be_taken_in_does_not_end_the_program(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1)
    monkeypatch.setattr(delivery, "_failed", Once())

    def broken(self: Any, delivery: Any, timestamp: float) -> None:
        raise MemoryError("for the test")

    monkeypatch.setattr(jaxlog.Logger, "_receive", broken)

    def body(total: Any, step: jax.Array) -> tuple[Any, None]:
        jaxlog.batch_step(logger, step, {"total": total})
        return total + 1.0, None

    with logger.open() as run:
        total = jax.jit(lambda: jax.lax.scan(body, 0.0, jnp.arange(5))[0])()
        assert float(total) == 5.0
    assert run.arrived == 0
    (said,) = [r for r in caplog.records if "could not be received" in r.message]
    assert said.exc_info is not None
    assert said.exc_info[0] is MemoryError


def test_two_calls_of_one_number_are_told_apart(make_logger: MakeLogger) -> None:
    logger = make_logger(delivery="return")
    first = jaxlog.batch_step(logger, 0, {"x": 1.0})
    second = jaxlog.batch_step(logger, 0, {"y": 1.0}, name="eval")
    assert first is not None
    assert second is not None
    schema, other = first.schema, second.schema
    assert schema is not None
    assert other is not None
    vars(other)["call_number"] = schema.call_number
    with pytest.raises(RuntimeError, match="the calls 'batch' and 'eval' have the same number"):
        logger._learn(other)


def test_a_tangent_that_grad_turns_around_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()

    @jax.custom_jvp
    def square(x: jax.Array) -> jax.Array:
        return x * x

    @square.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        jaxlog.batch_step(logger, 0, {"tangent": tangents[0]})
        return square(*primals), 2.0 * primals[0] * tangents[0]

    with logger.open() as run:
        jax.jvp(square, (2.0,), (3.0,))
    ((lane,),) = [event.lanes for event in run.sink("memory").metrics]
    assert lane.metrics["tangent"] == 3.0
    with pytest.raises(NotImplementedError, match="logs a value that JAX transposes"):
        jax.grad(square)(2.0)


def test_each_kind_of_program_takes_its_way_out(
    make_logger: MakeLogger,
) -> None:
    """The two ways out are both in this suite: this says which programs take which."""
    logger = make_logger()

    def program(x: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"x": x.sum()})
        return x

    mesh = jax.make_mesh((4,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("devices"))
    one = jax.jit(program).lower(jnp.arange(4.0)).as_text(debug_info=True)
    four = jax.jit(program).lower(jax.device_put(jnp.arange(4.0), everywhere))
    assert "io_callback" not in one
    assert "io_callback" in four.as_text(debug_info=True)
    native = "jaxlog_record" if delivery.kind() == "native" else "xla_ffi_python_cpu_callback"
    each = jax.shard_map(
        lambda x: (jaxlog.batch_step(logger, 0, {"episode_returns": x}, axis_name="devices"), x)[1],
        mesh=mesh,
        in_specs=jax.sharding.PartitionSpec("devices"),
        out_specs=jax.sharding.PartitionSpec("devices"),
    )
    sharded = jax.jit(each).lower(jnp.arange(4.0)).as_text()
    native_of_each = native if "callback" in native else "jaxlog_record_of_several_devices"
    for text, target in (
        (one, native),
        (sharded, native_of_each),
        (four.as_text(), "xla_ffi_python_cpu_callback"),
    ):
        assert text.count(f"custom_call @{target}(") == 1
