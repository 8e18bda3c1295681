"""Windows: a line speaks of every update since the last."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import jaxlog
from jaxlog._program.summary import STATISTICS
from jaxlog.sinks import MetricsEvent
from tests.conftest import MakeLogger

UPDATES, ENVS = 10, 24
ORACLES: dict[str, Callable[[np.ndarray], float]] = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "sum": np.sum,
    "count": np.size,
}
"""Every statistic, and what NumPy says of the same values. A new one joins by one line."""


def test_every_statistic_has_an_oracle() -> None:
    assert set(ORACLES) == set(STATISTICS)


def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    ended = rng.random((UPDATES, 4, ENVS)) < 0.2
    ended[4:7] = False  # windows without an episode
    return {
        "returns": rng.normal(50, 9, (UPDATES, 4, ENVS)).astype(np.float32),
        "won": rng.random((UPDATES, 4, ENVS)) < 0.3,
        "ended": ended,
        "loss": rng.normal(size=UPDATES).astype(np.float32),
    }


def train(logger: jaxlog.Logger, given: dict[str, Any], **how: Any) -> Any:
    """Logs windows, each update merged in; the arrays are those of all updates."""

    def metrics(of: dict[str, Any]) -> dict[str, Any]:
        return {"episode_returns": of["returns"], "success_mask": of["won"], "loss": of["loss"]}

    first = jax.tree.map(lambda leaf: leaf[0], given)
    start = jaxlog.empty_window(logger, metrics(first), where=first["ended"])

    def update(window: jaxlog.Window, of: Any) -> tuple[jaxlog.Window, Any]:
        step, now = of
        record, window = jaxlog.window_step(
            logger, window, step, metrics(now), where=now["ended"], **how
        )
        return window, record

    return jax.lax.scan(update, start, (jnp.arange(UPDATES), given))


def expected(given: dict[str, np.ndarray], first: int, last: int) -> dict[str, float]:
    """What a line of the updates from `first` to `last` has to tell, in float64."""
    part = {key: array[first : last + 1] for key, array in given.items()}
    returns = part["returns"][part["ended"]].astype(np.float64)
    line = {
        "episode_count": returns.size,
        "update_count": last + 1 - first,
        "loss": part["loss"].astype(np.float64).mean(),
    }
    if returns.size:
        for name, oracle in ORACLES.items():
            line[f"episode_return_{name}"] = oracle(returns)
        line["episode_return_p50"] = np.quantile(returns, 0.5, method="lower")
        line["success_rate"] = part["won"][part["ended"]].mean()
    return line


def assert_lines(events: list[MetricsEvent], given: dict[str, np.ndarray]) -> None:
    """Holds the lines of windows that are due every third step, and at the last."""
    assert [event.step for event in events] == [0, 3, 6, 9]
    for event, bounds in zip(events, [(0, 0), (1, 3), (4, 6), (7, 9)], strict=True):
        (lane,) = event.lanes
        wanted = expected(given, *bounds)
        got = {key: float(value) for key, value in lane.metrics.items()}
        for key in wanted:
            rel = 0.0101 if key.endswith("p50") else 1e-5
            assert got[key] == pytest.approx(wanted[key], rel=rel, abs=1e-6), (event.step, key)
        assert got.keys() == wanted.keys()


@pytest.fixture
def logger(make_logger: MakeLogger) -> jaxlog.Logger:
    return make_logger(log_frequency=3, statistics=[*ORACLES, "p50"], total_updates=UPDATES)


def test_a_line_is_of_all_updates_since_the_last(logger: jaxlog.Logger) -> None:
    given = data()
    with logger.open() as run:
        window, _ = jax.jit(partial(train, logger))(given)
    assert_lines(run.sink("memory").metrics, given)
    assert int(window.updates) == 0


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_chunks_of_any_size_give_what_one_pass_gives(chunk: int, make_logger: MakeLogger) -> None:
    """Whether an update has many episodes, or many updates have few."""
    given = data()
    returns, ended = (given[key].reshape(UPDATES * 4, ENVS) for key in ("returns", "ended"))
    logger = make_logger(log_frequency=2**30, total_updates=len(returns) // chunk)
    shape = (len(returns) // chunk, chunk * ENVS)
    arrays = (returns.reshape(shape), ended.reshape(shape))

    def update(window: jaxlog.Window, of: Any) -> Any:
        step, (values, where) = of
        metrics = {"episode_returns": values}
        return jaxlog.window_step(logger, window, step + 1, metrics, where=where)[::-1]

    start = jaxlog.empty_window(logger, {"episode_returns": arrays[0][0]})
    with logger.open() as run:
        window, _ = jax.lax.scan(update, start, (jnp.arange(shape[0]), arrays))
        jaxlog.log_window(logger, window, shape[0])
    kept = given["returns"][given["ended"]].astype(np.float64)
    logged = sum(int(e.lanes[0].metrics["episode_count"]) for e in run.sink("memory").metrics)
    assert logged == kept.size
    total = sum(
        float(e.lanes[0].metrics["episode_return_mean"]) * int(e.lanes[0].metrics["episode_count"])
        for e in run.sink("memory").metrics
        if "episode_return_mean" in e.lanes[0].metrics
    )
    assert total == pytest.approx(kept.sum(), rel=1e-5)


def test_lanes_have_windows_of_their_own(logger: jaxlog.Logger) -> None:
    given = data()
    lanes = [given, given | {"returns": given["returns"] * 2}]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *lanes)
    with logger.open() as run:
        jax.jit(jax.vmap(partial(train, logger)))(stacked)
    events = run.sink("memory").metrics
    assert [len(event.lanes) for event in events] == [2] * 4
    for number, of in enumerate(lanes):
        own = [MetricsEvent(e.name, e.step, None, 0.0, (e.lanes[number],), e.keys) for e in events]
        assert_lines(own, of)


def test_each_lane_empties_its_own_window(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)

    def lane(which: jax.Array) -> jaxlog.Window:
        def update(window: jaxlog.Window, step: jax.Array) -> Any:
            due = step % (which + 1) == which
            return jaxlog.window_step(
                logger, window, step, {"x": step.astype(np.float32)}, when=due
            )[::-1]

        return jax.lax.scan(update, jaxlog.empty_window(logger, {"x": 0.0}), jnp.arange(7))[0]

    with logger.open() as run:
        left = jax.jit(jax.vmap(lane))(jnp.arange(3))
    lines = [
        (lane.index, event.step, int(lane.metrics["update_count"]), float(lane.metrics["x"]))
        for event in run.sink("memory").metrics
        for lane in event.lanes
    ]
    assert sorted(lines) == [
        *((0, step, 1, float(step)) for step in range(7)),
        *((1, step, 2, step - 0.5) for step in (1, 3, 5)),
        *((2, step, 3, step - 1.0) for step in (2, 5)),
    ]
    assert left.updates.tolist() == [0, 1, 1]


@pytest.mark.parametrize("tracked", [True, False])
def test_over_devices_the_window_is_of_the_whole_batch(
    tracked: bool, logger: jaxlog.Logger
) -> None:
    given = data()
    spec = {
        "returns": PartitionSpec(None, None, "i"),
        "won": PartitionSpec(None, None, "i"),
        "ended": PartitionSpec(None, None, "i"),
        "loss": PartitionSpec(),
    }
    mesh = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Auto,))

    def program(given: dict[str, Any]) -> Any:
        return train(logger, given, axis_name="i")[0].updates

    shared = jax.shard_map(
        program, mesh=mesh, in_specs=(spec,), out_specs=PartitionSpec(), check_vma=tracked
    )
    with logger.open() as run:
        jax.block_until_ready(jax.jit(shared)(given))
    assert_lines(run.sink("memory").metrics, given)


def test_what_is_left_is_logged_once(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=4)
    window = jaxlog.empty_window(logger, {"loss": 0.0})
    with logger.open() as run:
        for step in range(6):
            _, window = jaxlog.window_step(logger, window, step, {"loss": float(step)})
        jaxlog.log_window(logger, window, 5, labels={"seed": 3})
        jaxlog.log_window(logger, jaxlog.empty_window(logger, {"loss": 0.0}), 6)
    events = run.sink("memory").metrics
    assert [event.step for event in events] == [0, 4, 5]
    assert float(events[2].lanes[0].metrics["loss"]) == 5.0
    assert events[2].lanes[0].labels == {"seed": 3}


def test_a_window_outlives_a_restart(logger: jaxlog.Logger, make_logger: MakeLogger) -> None:
    """Stored as arrays and taken up again in the middle of a window."""
    given = data()
    with logger.open() as run:
        jax.jit(partial(train, logger))(given)
    whole = [event.lanes for event in run.sink("memory").metrics]

    def part(window: jaxlog.Window, first: int, last: int) -> jaxlog.Window:
        def update(window: jaxlog.Window, of: Any) -> Any:
            step, now = of
            metrics = {
                "episode_returns": now["returns"],
                "success_mask": now["won"],
                "loss": now["loss"],
            }
            return jaxlog.window_step(logger, window, step, metrics, where=now["ended"])[::-1]

        rows = jax.tree.map(lambda leaf: leaf[first:last], given)
        return jax.lax.scan(update, window, (jnp.arange(first, last), rows))[0]

    first = jax.tree.map(lambda leaf: leaf[0], given)
    names = {"episode_returns": "returns", "success_mask": "won", "loss": "loss"}
    metrics = {name: first[key] for name, key in names.items()}
    window = jaxlog.empty_window(logger, metrics, where=first["ended"])
    with logger.open() as run:
        leaves, treedef = jax.tree.flatten(part(window, 0, 5))
        stored = [np.asarray(leaf) for leaf in leaves]
        part(jax.tree.unflatten(treedef, stored), 5, UPDATES)
    again = [event.lanes for event in run.sink("memory").metrics]
    for one, other in zip(whole, again, strict=True):
        for key, value in one[0].metrics.items():
            assert float(other[0].metrics[key]) == pytest.approx(float(value), rel=1e-6), key


def test_a_loss_that_is_not_finite_is_counted(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=3, total_updates=4)
    window = jaxlog.empty_window(logger, {"loss": 0.0})
    with logger.open() as run:
        for step, loss in enumerate([1.0, 2.0, float("nan"), 4.0]):
            _, window = jaxlog.window_step(logger, window, step, {"loss": loss})
    last = run.sink("memory").metrics[-1].lanes[0].metrics
    assert (float(last["loss"]), int(last["loss_nonfinite"])) == (3.0, 1)


def test_off_a_window_is_nothing(make_logger: MakeLogger) -> None:
    logger = make_logger(batched_logging_enabled=False)
    window = jaxlog.empty_window(logger, {"loss": 0.0})
    assert jax.tree.leaves(window) == []
    record, window = jaxlog.window_step(logger, window, 0, {"loss": 0.0})
    assert jax.tree.leaves((record, window, jaxlog.log_window(logger, window, 1))) == []


def test_shapes_are_enough_to_begin_with(make_logger: MakeLogger) -> None:
    logger = make_logger()
    shape = jax.ShapeDtypeStruct((5,), np.float32)
    made = jaxlog.empty_window(logger, {"episode_returns": shape, "loss": 0.0})
    other = jaxlog.empty_window(logger, {"episode_returns": np.ones(5, np.float32), "loss": 3.0})
    same = jax.tree.map(lambda a, b: a.tolist() == b.tolist(), made, other)
    assert all(jax.tree.leaves(same))
    assert made.scalars["float32"].min.tolist() == [np.inf]


def test_a_window_of_something_else_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()
    window = jaxlog.empty_window(logger, {"loss": 0.0})
    with pytest.raises(ValueError, match="these differ: entropy; give empty_window what"):
        jaxlog.window_step(logger, window, 0, {"loss": 0.0, "entropy": 1.0})
    with pytest.raises(TypeError, match="window: got dict, expected what empty_window or"):
        jaxlog.window_step(logger, {}, 0, {"loss": 0.0})  # pyright: ignore
    with pytest.raises(TypeError, match="step: is missing; call window_step"):
        jaxlog.window_step(logger, window, {"loss": 0.0})  # pyright: ignore
    with pytest.raises(TypeError, match=r"metrics: got float32\[\], expected a dict by name"):
        jaxlog.empty_window(logger, jnp.float32(1.0))  # pyright: ignore


@pytest.mark.parametrize(
    "settings",
    [
        {"histograms": {"own": [0, 1, 2]}},
        {"statistics": {"own": ["max"]}},
        {"include": ["own"]},
        {"exclude": ["loss"]},
    ],
)
def test_what_is_left_is_logged_whatever_the_settings_name(
    settings: dict[str, Any], make_logger: MakeLogger
) -> None:
    logger = make_logger(log_frequency=100, **settings)
    metrics = {"episode_returns": jnp.ones(4), "own": jnp.ones(4), "loss": 1.0}
    window = jaxlog.empty_window(logger, metrics)
    with logger.open() as run:
        _, window = jaxlog.window_step(logger, window, 1, metrics)
        jaxlog.log_window(logger, window, 1)
    (event,) = run.sink("memory").metrics
    assert any(key.startswith("own") for key in event.lanes[0].metrics)


@pytest.mark.parametrize("size", [1_000, 30_000])
def test_a_long_window_of_values_that_grow_keeps_its_digits(
    size: int, make_logger: MakeLogger
) -> None:
    values = (1000 + 10 * np.arange(size) / size).astype(np.float32)
    logger = make_logger(log_frequency=2**30)

    def update(window: jaxlog.Window, of: Any) -> Any:
        return jaxlog.window_step(logger, window, of[0] + 1, {"x": of[1]})[::-1]

    with logger.open():
        start = jaxlog.empty_window(logger, {"x": 0.0})
        window, _ = jax.lax.scan(update, start, (jnp.arange(size), values))
    moments, exact = window.scalars["float32"], values.astype(np.float64)
    assert float(moments.mean[0]) == pytest.approx(exact.mean(), rel=2e-7)
    assert float(moments.std[0]) == pytest.approx(exact.std(), rel=1e-4)


def test_what_is_left_of_named_lanes_is_one_line(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=100)
    window = jaxlog.empty_window(logger, {"episode_returns": jnp.zeros(1)})
    windows = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), window)

    def update(window: jaxlog.Window, returns: jax.Array) -> jaxlog.Window:
        metrics = {"episode_returns": returns}
        return jaxlog.window_step(logger, window, 1, metrics, axis_name="i")[1]

    with logger.open() as run:
        windows = jax.vmap(update, axis_name="i")(windows, jnp.arange(8.0).reshape(2, 4))
        jax.vmap(lambda w: jaxlog.log_window(logger, w, 2, axis_name="i"), axis_name="i")(windows)
    (event,) = run.sink("memory").metrics
    assert [int(lane.metrics["episode_count"]) for lane in event.lanes] == [8]


def test_a_window_begins_on_explicit_mesh_axes(make_logger: MakeLogger) -> None:
    logger = make_logger(
        log_frequency=1, statistics=["p50"], histograms={"episode_returns": [0, 4, 9]}
    )
    mesh = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh), logger.open() as run:
        sharding = jax.sharding.NamedSharding(mesh, PartitionSpec("i"))
        returns = jax.device_put(jnp.arange(8.0), sharding)
        window = jaxlog.empty_window(logger, {"episode_returns": returns})
        jaxlog.window_step(logger, window, 0, {"episode_returns": returns})
        assert jaxlog.statistics.histogram(returns, (0.0, 9.0)).tolist() == [0, 8, 0]
        assert int(jaxlog.statistics.QuantileSketch.of(returns).counts.sum()) == 8
    lane = run.sink("memory").metrics[0].lanes[0]
    assert lane.histograms["episode_return_histogram"].counts == (4, 4)


def test_a_mask_that_comes_or_goes_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()
    where = jnp.ones(3, bool)
    with_mask = jaxlog.empty_window(logger, {"loss": 0.0}, where=where)
    without = jaxlog.empty_window(logger, {"loss": 0.0})
    with pytest.raises(ValueError, match="these differ: where"):
        jaxlog.window_step(logger, with_mask, 0, {"loss": 0.0})
    with pytest.raises(ValueError, match="these differ: where"):
        jaxlog.window_step(logger, without, 0, {"loss": 0.0}, where=where)


@pytest.mark.parametrize("value", [0.3, -7.7, 1234.5, 3e-7])
def test_a_quantile_is_between_the_least_and_the_most(
    value: float, make_logger: MakeLogger
) -> None:
    """The sketch knows values to one percent, which may lie outside of all of them."""
    logger = make_logger(log_frequency=1, statistics=["min", "max", "p0", "p50", "p100"])
    metrics = {"bonus": jnp.full((4,), value)}
    with logger.open() as run:
        where = jnp.ones(4, bool)
        window = jaxlog.empty_window(logger, metrics, where=where)
        jax.jit(lambda window: jaxlog.window_step(logger, window, 0, metrics, where=where))(window)
    (event,) = run.sink("memory").metrics
    found = event.lanes[0].metrics
    for key in ("bonus_min", "bonus_p0", "bonus_p50", "bonus_p100", "bonus_max"):
        assert float(found[key]) == float(np.float32(value)), key
