"""A batch that lies on several devices: the same lines as on one, each once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxlog
from tests.conftest import MakeLogger

SPEC = PartitionSpec(None, "devices")
STEPS = 4


def batch() -> dict[str, jax.Array]:
    """64 episodes of 3 rollout steps; on some devices none has ended at the last of these."""
    rng = np.random.default_rng(7)
    ended = rng.random((3, 64)) < 0.5
    ended[2, 16:48] = False
    return {
        "returns": jnp.asarray(rng.integers(-50, 50, (3, 64)), np.float32),
        "won": jnp.asarray(rng.random((3, 64)) < 0.5),
        "ended": jnp.asarray(ended),
        "image": jnp.asarray(rng.integers(0, 255, (3, 64, 5)), np.uint8),
        "negative_zero": jnp.full((3, 64), -0.0),
        "complex": jnp.asarray(np.full((3, 64), complex(-0.0, -0.0), np.complex64)),
    }


def train(logger: jaxlog.Logger, axis_name: Any, given: dict[str, jax.Array], seed: Any = 3) -> Any:
    def update(total: Any, step: jax.Array) -> tuple[Any, Any]:
        record = jaxlog.batch_step(
            logger,
            step,
            {
                "episode_returns": given["returns"] + total,
                "success_mask": given["won"],
                "loss": given["returns"].mean(),
                "everyone": 7,
            },
            where=given["ended"],
            details={
                "image": given["image"],
                "key": jax.vmap(jax.vmap(jax.random.key))(given["image"][..., 0]),
                "negative_zero": given["negative_zero"],
                "complex": given["complex"],
            },
            labels={"seed": seed},
            axis_name=axis_name,
        )
        return total + 1.0, record

    return jax.lax.scan(update, 0.0, jnp.arange(STEPS))


def mesh(kind: AxisType = AxisType.Auto) -> jax.sharding.Mesh:
    return jax.make_mesh((4,), ("devices",), axis_types=(kind,))


def one_device(logger: jaxlog.Logger) -> Any:
    return jax.jit(partial(train, logger, None))(batch())


def mapped(logger: jaxlog.Logger, *, tracked: bool) -> Any:
    program = jax.shard_map(
        lambda given: train(logger, "devices", given)[0],
        mesh=mesh(),
        in_specs=SPEC,
        out_specs=PartitionSpec(),
        check_vma=tracked,
    )
    return jax.jit(program)(batch())


def pmapped(logger: jaxlog.Logger) -> Any:
    shares = jax.tree.map(lambda x: jnp.stack(jnp.split(x, 4, axis=1)), batch())
    return jax.pmap(partial(train, logger, "devices"), axis_name="devices")(shares)


def sharded(logger: jaxlog.Logger) -> Any:
    arrays = jax.device_put(batch(), NamedSharding(mesh(), SPEC))
    return jax.jit(partial(train, logger, None))(arrays)


def sharded_explicitly(logger: jaxlog.Logger) -> Any:
    with jax.set_mesh(mesh(AxisType.Explicit)):
        return jax.jit(partial(train, logger, None))(jax.device_put(batch(), SPEC))


def lanes(logger: jaxlog.Logger) -> Any:
    """The parts of one batch as lanes of a vmap."""
    program = jax.vmap(partial(train, logger, "parts"), axis_name="parts", in_axes=(1, None))
    parts = jax.tree.map(lambda x: x.reshape(3, 4, 16, *x.shape[2:]), batch())
    return jax.jit(program)(parts, 3)


def nested(logger: jaxlog.Logger, outer: str, inner: str, order: str) -> Any:
    """The batch divided twice, along axes "a" and then "b", by two transformations."""
    given = jax.tree.map(
        lambda x: jnp.moveaxis(x.reshape(3, 2, 2, 16, *x.shape[2:]), 0, 2), batch()
    )
    if order == "ba":  # the outer transformation is over the inner division
        given = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), given)
    program = partial(train, logger, ("a", "b"))
    for kind, axis in ((inner, order[1]), (outer, order[0])):
        program = dividing(program, kind, axis)
    return (program if "pmap" in (outer, inner) else jax.jit(program))(given)


def dividing(program: Callable[..., Any], kind: str, axis: str) -> Callable[..., Any]:
    if kind == "vmap":
        return jax.vmap(program, axis_name=axis)
    if kind == "pmap":
        return jax.pmap(program, axis_name=axis, devices=jax.devices()[:2])
    return jax.shard_map(
        lambda given: jax.tree.map(
            lambda x: x[None], program(jax.tree.map(lambda x: x[0], given))[0]
        ),
        mesh=jax.make_mesh((2,), (axis,), axis_types=(AxisType.Auto,), devices=jax.devices()[:2]),
        in_specs=PartitionSpec(axis),
        out_specs=PartitionSpec(axis),
        check_vma=False,
    )


NESTED = [
    ("vmap", "vmap"),
    ("pmap", "vmap"),
    ("vmap", "pmap"),
    ("shard_map", "vmap"),
    ("vmap", "shard_map"),
]


def several_keys(events: list[Any]) -> list[Any]:
    return [
        (
            e.step,
            e.lane,
            {key: np.asarray(value).tobytes() for key, value in e.labels.items()},
            {key: np.asarray(value).tobytes() for key, value in e.episode.items()},
            {key: value.tobytes() for key, value in e.details.items()},
        )
        for e in events
    ]


def logged_by(
    program: Callable[[jaxlog.Logger], Any], make_logger: MakeLogger
) -> tuple[list[Any], list[Any]]:
    logger = make_logger(log_frequency=1, sample_frequency=2, num_samples=5)
    with logger.open() as run:
        jax.block_until_ready(program(logger))
    assert run.arrived == STEPS
    sink = run.sink("memory")
    return sink.metrics, several_keys(sink.episodes)


@pytest.mark.parametrize(
    "program",
    [
        partial(mapped, tracked=True),
        partial(mapped, tracked=False),
        pmapped,
        sharded,
        sharded_explicitly,
        lanes,
        *(partial(nested, outer=o, inner=i, order=n) for o, i in NESTED for n in ("ab", "ba")),
    ],
    ids=["shard_map", "shard_map-untracked", "pmap", "sharded", "explicit", "named-vmap"]
    + [f"{o}-{i}-{n}" for o, i in NESTED for n in ("ab", "ba")],
)
def test_lines_and_episodes_are_those_of_one_device(
    program: Callable[[jaxlog.Logger], Any], make_logger: MakeLogger
) -> None:
    metrics, episodes = logged_by(program, make_logger)
    expected_metrics, expected_episodes = logged_by(one_device, make_logger)
    assert len(expected_episodes) == 5 * STEPS / 2
    assert episodes == expected_episodes
    assert [e.step for e in metrics] == [e.step for e in expected_metrics] == list(range(STEPS))
    for event, expected in zip(metrics, expected_metrics, strict=True):
        (lane,), (expected_lane,) = event.lanes, expected.lanes
        assert lane.labels == expected_lane.labels == {"seed": 3}
        assert list(lane.metrics) == list(expected_lane.metrics)
        for key, value in lane.metrics.items():
            np.testing.assert_allclose(value, expected_lane.metrics[key], 1e-6, 1e-6, err_msg=key)


def test_statistics_over_devices_are_those_of_numpy(make_logger: MakeLogger) -> None:
    """At mean 1e4 and standard deviation 1, where float32 is weakest."""
    rng = np.random.default_rng(0)
    values = (1e4 + rng.normal(size=(4, 1000))).astype(np.float32)
    logger = make_logger()
    log = lambda x: jaxlog.batch_step(logger, 0, {"episode_returns": x}, axis_name="devices")  # noqa: E731
    with logger.open() as run:
        jax.block_until_ready(jax.pmap(log, axis_name="devices")(values))
    ((lane,),) = [event.lanes for event in run.sink("memory").metrics]
    exact = values.astype(np.float64)
    np.testing.assert_allclose(float(lane.metrics["episode_return_mean"]), exact.mean(), rtol=1e-7)
    np.testing.assert_allclose(float(lane.metrics["episode_return_std"]), exact.std(), rtol=1e-5)
    assert lane.metrics["episode_return_min"] == values.min()
    assert lane.metrics["episode_return_max"] == values.max()
    assert lane.metrics["episode_count"] == 4000


def test_what_all_devices_have_alike_counts_once(make_logger: MakeLogger) -> None:
    logger = make_logger()

    def program(x: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"episode_returns": x, "n": x.size}, axis_name="devices")
        return x

    with logger.open() as run:
        jax.shard_map(program, mesh=mesh(), in_specs=PartitionSpec(), out_specs=PartitionSpec())(
            jnp.arange(8.0)
        )
    ((lane,),) = [event.lanes for event in run.sink("memory").metrics]
    assert lane.metrics["episode_count"] == 8
    assert np.asarray(lane.metrics["n"]).dtype == np.int32


def test_steps_that_differ_between_devices_end_in_one_record(make_logger: MakeLogger) -> None:
    """The first device's counts: were each to decide for itself, they would wait for each other."""
    logger = make_logger(log_frequency=2)

    def program(step: jax.Array) -> None:
        jaxlog.batch_step(
            logger,
            step,
            {"episode_returns": jnp.broadcast_to(step, 2), "loss": step},
            labels={"which": step},
            when=step < 6,
            axis_name="devices",
        )

    with logger.open() as run:
        for first in (0, 1, 2, 6):
            jax.block_until_ready(jax.pmap(program, axis_name="devices")(first + jnp.arange(4)))
    events = run.sink("memory").metrics
    assert [e.step for e in events] == [e.lanes[0].labels["which"] for e in events] == [0, 2]
    assert [e.lanes[0].metrics["loss"] for e in events] == [1.5, 3.5]


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("shape", [(16, 40_000), (128_000,), (8, 4, 8_000)])
def test_a_sharded_batch_is_reduced_where_it_lies(
    kind: AxisType, shape: tuple[int, ...], make_logger: MakeLogger
) -> None:
    logger = make_logger()

    def program(returns: jax.Array, image: jax.Array) -> None:
        metrics = {"episode_returns": returns, "success_mask": returns > 1.0}
        jaxlog.batch_step(logger, 0, metrics, where=returns > 0.0, details={"image": image})

    with jax.set_mesh(mesh(kind)):
        spec = PartitionSpec(*[None] * (len(shape) - 1), "devices")
        arrays = (jnp.ones(shape), jnp.ones((*shape, 3), np.uint8))
        arrays = jax.device_put(arrays, jax.sharding.NamedSharding(mesh(kind), spec))
        text = jax.jit(program).lower(*arrays).compile().as_text()
    assert text is not None
    gathered = re.findall(r"= \w+\[([\d,]*)\]\S* (?:all-gather|all-to-all)\(", text)
    sizes = [math.prod(int(n) for n in dims.split(",") if n) for dims in gathered]
    assert sizes  # of lots, the highest of each column
    assert max(sizes) <= math.prod(shape) / 16


def sharing(program: Callable[..., Any], **how: Any) -> Callable[..., Any]:
    spec = PartitionSpec("a")
    grid = jax.make_mesh((2, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
    return jax.shard_map(program, mesh=grid, in_specs=spec, out_specs=spec, **how)


def test_axes_that_are_not_named_are_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()

    def log(x: jax.Array, axis_name: Any = None) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"x": x.sum()}, axis_name=axis_name)
        return x

    ones = jnp.ones((4, 4))
    every = "where every device would write its own lines; pass all of these axes, as in axis_name="
    with pytest.raises(ValueError, match=f"under shard_map or pmap over a, b, {every}"):
        sharing(log)(ones)
    with pytest.raises(ValueError, match=f"under shard_map or pmap over b, {every}"):
        sharing(partial(log, axis_name="a"))(ones)
    with pytest.raises(ValueError, match=every):
        jax.pmap(log)(ones)
    with pytest.raises(ValueError, match=r"^log: is under shard_map or pmap over a, b"):
        sharing(lambda x: jaxlog.log(logger, 0, {"x": x.sum()}) and x)(ones)
    with pytest.raises(ValueError, match="axis_name: got 'c', which no shard_map, pmap or vmap"):
        sharing(partial(log, axis_name=("a", "b", "c")))(ones)
    with pytest.raises(ValueError, match="axis_name: got 'devices', which no shard_map"):
        log(ones, "devices")
    with pytest.raises(TypeError, match="axis_name: got 3, expected the name of an axis, or sev"):
        log(ones, 3)
    with pytest.raises(ValueError, match="a shard_map over only a of the mesh's axes a, b, where"):
        sharing(partial(log, axis_name="a"), axis_names={"a"})(ones)


def test_each_seed_has_a_line_of_its_batch_over_devices_and_lanes(make_logger: MakeLogger) -> None:
    """`pmap` of a `vmap` over seeds of a named `vmap`: how Stoix and Mava train."""
    logger = make_logger(log_frequency=1, sample_frequency=1, num_samples=2)
    returns = jnp.arange(2.0 * 3 * 2 * 4).reshape(
        2, 3, 2, 4
    )  # devices, seeds, batches, environments
    where = returns % 3 == 0

    def update(returns: jax.Array, where: jax.Array) -> None:
        axes = ("device", "batch")
        jaxlog.batch_step(logger, 0, {"episode_returns": returns}, where=where, axis_name=axes)

    program = jax.vmap(jax.vmap(update, axis_name="batch"))
    with logger.open() as run:
        program = jax.pmap(program, axis_name="device", devices=jax.devices()[:2])
        jax.block_until_ready(program(returns, where))
    (event,) = run.sink("memory").metrics
    assert run.arrived == 3
    for seed, lane in enumerate(event.lanes):
        whole = np.asarray(returns)[:, seed].reshape(-1)
        marked = np.asarray(where)[:, seed].reshape(-1)
        assert lane.metrics["episode_return_mean"] == whole[marked].mean()
        assert lane.metrics["episode_count"] == marked.sum()
        indices, valid = jaxlog.sample_indices_where(0, marked, 2)
        shown = [e for e in run.sink("memory").episodes if e.lane == seed]
        assert [e.episode["environment_id"] for e in shown] == sorted(indices[valid].tolist())
        assert [e.episode["total_reward"] for e in shown] == whole[sorted(indices[valid])].tolist()


def test_a_named_vmap_under_a_shard_map_that_checks_is_refused(make_logger: MakeLogger) -> None:
    """JAX has no collectives there; without them there would be a line for each lane."""
    logger = make_logger()

    def log(x: jax.Array) -> jax.Array:
        axes = ("devices", "batch")
        jaxlog.batch_step(logger, 0, {"episode_returns": x}, axis_name=axes)
        return x

    program = jax.shard_map(
        jax.vmap(log, axis_name="batch"), mesh=mesh(), in_specs=SPEC, out_specs=SPEC
    )
    text = "got 'batch', the axis of a vmap, under a shard_map that checks .* check_vma=False"
    with pytest.raises(ValueError, match=text):
        jax.jit(program)(jnp.ones((2, 4)))


@pytest.mark.parametrize("tracked", [True, False])
def test_lanes_that_only_some_devices_have_are_refused(
    tracked: bool, make_logger: MakeLogger
) -> None:
    logger = make_logger()

    def log(x: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"episode_returns": x}, axis_name=("a", "b"))
        return x

    program = jax.vmap(sharing(log, check_vma=tracked), spmd_axis_name="b")
    # Where JAX tracks what differs between devices, some versions refuse it by themselves.
    text = "in a vmap with spmd_axis_name=" + ("|manual ax" if tracked else "")
    with pytest.raises(Exception, match=text):
        jax.jit(program)(jnp.ones((4, 4)))


def test_records_can_be_returned_where_no_callback_is_allowed(make_logger: MakeLogger) -> None:
    logger = make_logger(delivery="return")

    def log(x: jax.Array) -> jaxlog.Record | None:
        return jaxlog.batch_step(logger, 0, {"episode_returns": x}, axis_name="a")

    program = jax.shard_map(
        log,
        mesh=jax.make_mesh((2, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2),
        in_specs=PartitionSpec("a"),
        out_specs=PartitionSpec(),
        axis_names={"a"},
    )
    with logger.open() as run:
        logger.write(jax.jit(program)(jnp.arange(4.0)))
    ((lane,),) = [event.lanes for event in run.sink("memory").metrics]
    assert lane.metrics["episode_return_mean"] == 1.5
    assert len(run.sink("memory").episodes) == 3


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_arrays_that_bring_their_mesh_can_be_logged_outside_of_a_program(
    kind: AxisType, make_logger: MakeLogger
) -> None:
    """No `jax.set_mesh`, and none is left behind."""
    x = jnp.arange(16.0).reshape(4, 4)
    x = jax.device_put(x, NamedSharding(mesh(kind), PartitionSpec("devices")))
    logger = make_logger(log_frequency=1, sample_frequency=1, num_samples=20)
    with logger.open() as run:
        jaxlog.batch_step(logger, 0, {"x": x}, where=x > 2, details={"twice": x * 2})
        jax.vmap(lambda lane: jaxlog.batch_step(logger, 1, {"y": lane[0]}))(x)
    first, second = run.sink("memory").metrics
    assert first.lanes[0].metrics["x_mean"] == 9.0
    assert [lane.metrics["y"] for lane in second.lanes] == [0.0, 4.0, 8.0, 12.0]
    episodes = run.sink("memory").episodes
    assert [event.episode["twice"] for event in episodes] == [2.0 * i for i in range(3, 16)]
    assert jax.sharding.get_abstract_mesh().empty


def test_a_process_without_a_cpu_device_is_told_of_before_the_program_runs(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under JAX_PLATFORMS=cuda, which can only be pretended here."""

    def no_cpu(**_: Any) -> None:
        raise RuntimeError("Unknown backend cpu")

    logger = make_logger()
    monkeypatch.setattr(jax, "local_devices", no_cpu)
    with pytest.raises(RuntimeError, match=r"needs a CPU device; got .* JAX_PLATFORMS=.*,cpu"):
        sharded(logger)


@pytest.mark.parametrize("largest", ["one device", "all devices"])
def test_what_lies_on_different_devices_is_logged_outside_of_a_program(
    largest: str, make_logger: MakeLogger
) -> None:
    """A compiled function refuses it, and would end the training with a ValueError."""
    logger = make_logger(log_frequency=1)
    first, second, *_ = jax.devices()
    where: Any = second
    if largest == "all devices":
        mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))
        where = NamedSharding(mesh, PartitionSpec("devices"))
    step = jax.device_put(jnp.int32(3), first)
    returns = jax.device_put(jnp.arange(8.0), where)
    seed, loss = jax.device_put(jnp.int32(7), jax.devices()[2]), jnp.float32(0.5)
    with logger.open() as run:
        jaxlog.batch_step(
            logger, step, {"episode_returns": returns, "loss": loss}, labels={"seed": seed}
        )
        jaxlog.log(logger, step, {"loss": jax.device_put(loss, second)})
        window = jaxlog.empty_window(logger, {"loss": jax.device_put(loss, second)}, name="window")
        jaxlog.window_step(logger, window, step, {"loss": loss})
        jax.effects_barrier()
    batch, train, window = sorted(run.sink("memory").metrics, key=lambda event: event.name)
    assert (batch.step, train.step, window.step) == (3, 3, 3)
    (lane,) = batch.lanes
    assert lane.metrics["episode_return_mean"] == 3.5
    assert lane.metrics["loss"] == train.lanes[0].metrics["loss"] == 0.5
    assert lane.labels["seed"] == 7
    assert step.devices() == {first}


def _in_a_branch(log: Callable[[jax.Array], None], decide: Any, x: jax.Array) -> jax.Array:
    jax.lax.cond(decide(x > 1.5), lambda: log(x), lambda: None)
    return x


def _in_a_loop(log: Callable[[jax.Array], None], decide: Any, x: jax.Array) -> jax.Array:
    def body(x: jax.Array) -> jax.Array:
        log(x)
        return x + 1.0

    return jax.lax.while_loop(lambda x: decide(x < 2.5), body, x)


@pytest.mark.parametrize("place", [_in_a_branch, _in_a_loop])
def test_a_call_that_not_all_devices_reach_alike_is_refused(
    place: Callable[..., Any], make_logger: MakeLogger
) -> None:
    """They would wait for each other until XLA ends the process."""
    logger = make_logger(log_frequency=1)
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("devices")

    def log(x: jax.Array) -> None:
        jaxlog.log(logger, 0, {"x": x}, axis_name="devices")

    def program(decide: Any) -> Any:
        share = lambda x: place(log, decide, x[0])[None]  # noqa: E731
        return jax.jit(jax.shard_map(share, mesh=mesh, in_specs=spec, out_specs=spec))

    shares = jnp.arange(4.0)
    with pytest.raises(ValueError, match=r"condition may differ between devices \(it varies ov"):
        program(lambda condition: condition).lower(shares)

    def of_any(condition: jax.Array) -> jax.Array:
        return jax.lax.psum(condition.astype(int), "devices") > 0

    with logger.open() as run:
        jax.block_until_ready(program(of_any)(shares))
    values = [float(event.lanes[0].metrics["x"]) for event in run.sink("memory").metrics]
    assert values == ([1.5] if place is _in_a_branch else [1.5, 2.5, 3.5])
