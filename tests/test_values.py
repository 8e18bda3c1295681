"""What a call can log besides values per episode: whole arrays, nested names and named parts."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import jaxlog
from jaxlog.sinks.console.history import History
from jaxlog.sinks.console.lines import metrics_line
from tests.conftest import MakeLogger, without_rates

SHAPE = (6, 8)
RNG = np.random.default_rng(5)
RETURNS = RNG.normal(50, 9, SHAPE).astype(np.float32)
ENDED = RNG.random(SHAPE) < 0.3
REWARDS = RNG.normal(0.1, 1.0, (6, 8, 3)).astype(np.float32)
REWARDS[1, 2, 0] = np.nan
ACTIONS = RNG.integers(0, 5, (6, 8))
LOSSES = RNG.normal(1.0, 0.3, (4, 2)).astype(np.float16)


def logged_by(run: jaxlog.Run) -> list[dict[str, Any]]:
    """The values of each lane of each line, as Python numbers."""
    return [
        {key: np.asarray(value).item() for key, value in lane.metrics.items()}
        for event in run.sink("memory").metrics
        for lane in event.lanes
    ]


def expected(name: str, array: np.ndarray) -> dict[str, float]:
    """The default statistics of an array by NumPy, in float64, of its finite values."""
    exact = array.astype(np.float64).ravel()
    finite = exact[np.isfinite(exact)]
    found = {
        f"{name}_mean": finite.mean(),
        f"{name}_std": finite.std(),
        f"{name}_min": finite.min(),
        f"{name}_max": finite.max(),
    }
    if finite.size < exact.size:
        found[f"{name}_nonfinite"] = exact.size - finite.size
    return found


def assert_close(found: dict[str, Any], wanted: dict[str, float]) -> None:
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=1e-5, abs=1e-6), key


WANTED = (
    {"episode_count": int(ENDED.sum())}
    | expected("episode_return", RETURNS[ENDED])
    | expected("reward", REWARDS)
    | expected("action", ACTIONS)
    | expected("losses/policy", LOSSES)
    | {"explored_rate": (ACTIONS > 2).mean()}
    | {"learning_rate": 0.25}
)


def update(logger: jaxlog.Logger, scale: Any = 1, **options: Any) -> Any:
    return jaxlog.batch_step(
        logger,
        0,
        {"episode_returns": jnp.asarray(RETURNS) * jnp.float32(scale)},
        where=jnp.asarray(ENDED),
        values={
            "reward": jnp.asarray(REWARDS) * jnp.float32(scale),
            "action": jnp.asarray(ACTIONS),
            "losses": {"policy": jnp.asarray(LOSSES)},
            "explored": jnp.asarray(ACTIONS) > 2,
            "learning_rate": 0.25,
        },
        **options,
    )


def test_values_are_reduced_over_all_their_entries(make_logger: MakeLogger) -> None:
    logger = make_logger(sampling_enabled=False)
    with logger.open() as run:
        jax.jit(lambda: update(logger))()
    assert_close(logged_by(run)[0], WANTED)


def test_values_of_each_lane(make_logger: MakeLogger) -> None:
    logger = make_logger(sampling_enabled=False)
    with logger.open() as run:
        jax.jit(jax.vmap(lambda scale: update(logger, scale)))(jnp.array([1.0, 2.0]))
    first, second = logged_by(run)
    assert_close(first, WANTED)
    assert second["reward_mean"] == pytest.approx(2 * WANTED["reward_mean"], rel=1e-5)
    assert second["reward_nonfinite"] == 1
    assert second["action_mean"] == first["action_mean"]


def test_values_that_the_program_returns(make_logger: MakeLogger) -> None:
    logger = make_logger(delivery="return", sampling_enabled=False)
    with logger.open() as run:
        logger.write(jax.jit(lambda: update(logger))())
    assert_close(logged_by(run)[0], WANTED)


def test_values_over_four_devices(make_logger: MakeLogger) -> None:
    logger = make_logger(sampling_enabled=False)
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))

    def program(rewards: jax.Array, weights: jax.Array) -> jax.Array:
        jaxlog.batch_step(
            logger,
            0,
            {"episode_returns": rewards[..., 0]},
            values={
                "reward": rewards,
                "each": jaxlog.parts(rewards, ["a", "b", "c"]),
                "weight": weights,  # the same on all devices
            },
            axis_name="devices",
        )
        return rewards

    over = PartitionSpec(None, "devices")
    program = jax.shard_map(program, mesh=mesh, in_specs=(over, PartitionSpec()), out_specs=over)
    weights = np.array([1.0, 5.0], np.float32)
    with logger.open() as run:
        jax.block_until_ready(jax.jit(program)(REWARDS, weights))
    (found,) = logged_by(run)
    wanted = {"episode_count": 48} | expected("episode_return", REWARDS[..., 0])
    wanted |= expected("reward", REWARDS) | expected("weight", weights)
    for index, name in enumerate("abc"):
        wanted |= expected(f"each/{name}", REWARDS[..., index])
    assert_close(found, wanted)


def test_parts_that_are_scalars_do_not_divide_the_batch(make_logger: MakeLogger) -> None:
    """Each device has its own norms, and all have the same batch."""
    logger = make_logger(sampling_enabled=False)
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))

    def program(returns: jax.Array, norms: jax.Array) -> jax.Array:
        metrics = {"episode_returns": returns, "norm": jaxlog.parts(norms[0], ["a", "b"])}
        jaxlog.batch_step(logger, 0, metrics, axis_name="devices")
        return norms

    own = PartitionSpec("devices")
    program = jax.shard_map(program, mesh=mesh, in_specs=(PartitionSpec(), own), out_specs=own)
    with logger.open() as run:
        norms = jnp.arange(8.0).reshape(4, 2)
        jax.block_until_ready(jax.jit(program)(jnp.arange(6.0), norms))
    (found,) = logged_by(run)
    assert (found["episode_count"], found["episode_return_mean"]) == (6, 2.5)
    assert (found["norm/a"], found["norm/b"]) == (3.0, 4.0)


def test_values_of_a_window(make_logger: MakeLogger) -> None:
    """Statistics over the entries of all updates, and a reduction for each scalar."""
    logger = make_logger(5, log_frequency=4, statistics=["mean", "std", "median", "sum"])
    rng = np.random.default_rng(0)
    rewards = rng.normal(3.0, 1.0, (5, 7, 2)).astype(np.float32)
    losses = np.array([1.0, 5.0, 3.0, np.nan, 7.0], np.float32)

    def body(window: jaxlog.Window, of: Any) -> Any:
        step, reward, loss = of
        values = {
            "reward": reward,
            "agents": jaxlog.parts(reward, "agent"),
            "loss": {"mean": loss, "last": loss, "sum": loss, "min": loss, "max": loss},
            "gradient_steps": 52 * (step + 1),
            "layers": jaxlog.parts(jnp.stack([loss, 2 * loss]), ["a", "b"]),
        }
        _, window = jaxlog.window_step(logger, window, step, values=values)
        return window, None

    names = ("mean", "last", "sum", "min", "max")
    start = jaxlog.empty_window(
        logger,
        lambda window: body(window, (jnp.int32(0), jnp.zeros((7, 2)), jnp.float32(0))),
        reduce={f"loss/{name}": name for name in names} | {"layers": "max"},
    )
    with logger.open() as run:
        jax.jit(
            lambda: jax.lax.scan(body, start, (jnp.arange(5), rewards, losses))  # type: ignore[arg-type]
        )()
    _, found = logged_by(run)
    assert found["update_count"] == 4
    whole = rewards[1:].astype(np.float64)
    assert found["reward_mean"] == pytest.approx(whole.mean(), rel=1e-6)
    assert found["reward_std"] == pytest.approx(whole.std(), rel=1e-5)
    assert found["reward_sum"] == pytest.approx(whole.sum(), rel=1e-6)
    middle = np.quantile(whole, 0.5, method="lower")
    assert found["reward_median"] == pytest.approx(middle, rel=0.01)
    for i in range(2):
        assert found[f"agents/agent_{i}_mean"] == pytest.approx(whole[..., i].mean(), rel=1e-6)
    kept = [5.0, 3.0, 7.0]  # of the four updates since the line of step 0, one is not finite
    assert {name: found[f"loss/{name}"] for name in names} == {
        "mean": 5.0,
        "last": 7.0,
        "sum": 15.0,
        "min": min(kept),
        "max": max(kept),
    }
    assert (found["gradient_steps"], found["layers/a"], found["layers/b"]) == (260, 7.0, 14.0)
    assert found["loss/mean_nonfinite"] == 1
    assert "loss/last_nonfinite" not in found


def test_the_sum_of_integers_is_an_integer(make_logger: MakeLogger) -> None:
    logger = make_logger(3, log_frequency=3)
    start = jaxlog.empty_window(logger, values={"n": 1}, reduce={"n": "sum"})

    def body(window: jaxlog.Window, step: jax.Array) -> Any:
        n = jnp.array([3, 100, 7])[step]
        return jaxlog.window_step(logger, window, step, values={"n": n})[1], None

    with logger.open() as run:
        jax.lax.scan(body, start, jnp.arange(3))
    assert [line["n"] for line in logged_by(run)] == [3, 107]


# Named parts


def test_each_part_is_a_metric_of_its_own(make_logger: MakeLogger) -> None:
    """With `where`, sampled episodes and lanes, along any axis, of any dtype."""
    logger = make_logger(sample_frequency=1, num_samples=3, statistics=["mean", "p90", "count"])
    returns = RNG.normal(0, 5, (2, 3, *SHAPE)).astype(np.float32)  # lanes, agents, batch
    won = returns > 1

    def program(returns: jax.Array, won: jax.Array) -> None:
        jaxlog.batch_step(
            logger,
            0,
            {
                "episode_returns": jaxlog.parts(returns, ["red", "green", "blue"], axis=0),
                "success_mask": jaxlog.parts(jnp.moveaxis(won, 0, 1), "agent", axis=1),
                "lives": jaxlog.parts((returns > 0).astype(np.int8), "agent", axis=0),
            },
            where=jnp.asarray(ENDED),
        )

    with logger.open() as run:
        jax.jit(jax.vmap(program))(returns, won)
    lanes = logged_by(run)
    for lane in range(2):
        found = lanes[lane]
        for agent, color in enumerate(("red", "green", "blue")):
            kept = returns[lane, agent][ENDED].astype(np.float64)
            assert found[f"episode_return/{color}_mean"] == pytest.approx(kept.mean(), rel=1e-5)
            assert found[f"episode_return/{color}_count"] == ENDED.sum()
            high = np.quantile(kept, 0.9, method="lower")
            assert found[f"episode_return/{color}_p90"] == pytest.approx(high, rel=0.01)
            rate = (kept > 1).mean()
            assert found[f"success/agent_{agent}_rate"] == pytest.approx(rate, rel=1e-6)
            assert found[f"lives/agent_{agent}_mean"] == pytest.approx((kept > 0).mean(), rel=1e-6)
    episodes = run.sink("memory").episodes
    assert len(episodes) == 6
    for event in episodes:
        row, env = event.episode["batch_index"]
        for agent, color in enumerate(("red", "green", "blue")):
            own = returns[event.lane, agent, row, env]
            assert event.episode[f"total_reward/{color}"] == own
            assert event.episode[f"success/agent_{agent}"] == (own > 1)
            assert event.episode[f"lives/agent_{agent}"] == (own > 0)


def test_parts_of_a_large_batch_are_exact(make_logger: MakeLogger) -> None:
    """Larger than one block of the reduction."""
    logger = make_logger(sampling_enabled=False)
    values = RNG.normal(1e4, 1.0, (50_000, 5)).astype(np.float32)
    with logger.open() as run:
        jax.jit(lambda: jaxlog.log(logger, 0, {"x": jaxlog.parts(jnp.asarray(values), "part")}))()
    (found,) = logged_by(run)
    wanted: dict[str, float] = {}
    for i in range(5):
        wanted |= expected(f"x/part_{i}", values[:, i])
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=1e-6 if "std" not in key else 1e-4), key


def test_settings_choose_parts_and_groups(make_logger: MakeLogger) -> None:
    logger = make_logger(
        statistics={"default": ["mean"], "x": ["max"], "x/b": ["min"], "train/y": ["sum"]},
        histograms={"x/a": [0, 1, 9]},
        exclude=["x/c", "actor"],
    )
    values = {
        "x": jaxlog.parts(jnp.arange(6.0).reshape(2, 3), ["a", "b", "c"]),
        "y": {"z": jnp.arange(3.0)},
        "actor": {"loss": 1.0, "entropy": {"mean": 2.0}},
        "critic": {"loss": 3.0},
    }
    with logger.open() as run:
        jax.jit(lambda: jaxlog.log(logger, 0, values))()
    (event,) = run.sink("memory").metrics
    assert {key: float(value) for key, value in event.lanes[0].metrics.items()} == {
        "x/a_max": 3.0,
        "x/b_min": 1.0,
        "y/z_sum": 3.0,
        "critic/loss": 3.0,
    }
    assert event.lanes[0].histograms["x/a_histogram"].counts == (1, 1)
    switched = make_logger(log_loss_metrics=False)
    with switched.open() as run:
        jaxlog.log(switched, 0, values)
    assert not any(key.endswith("loss") for key in logged_by(run)[0])


# Nested names


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Losses:
    """What a user's update returns."""

    policy: Any
    value: tuple[Any, ...]


NESTED = {
    "b": Losses(policy=1.0, value=(2.0, {"deep": 3.0})),
    "a": {"loss": 4.0, "b/c": 5},
}
FLAT = {"b/policy": 1.0, "b/value/0": 2.0, "b/value/1/deep": 3.0, "a/loss": 4.0, "a/b/c": 5}


@pytest.mark.parametrize("traced", [False, True])
def test_nested_values_get_names_by_their_path(make_logger: MakeLogger, traced: bool) -> None:
    logger = make_logger()
    labels = {"env": {"seed": 3}}

    def call(step: Any) -> None:
        jaxlog.log(logger, step, NESTED, labels=labels)

    with logger.open() as run:
        if traced:
            jax.jit(call)(0)
        else:
            call(0)
        run.log({"a": {"b": [1.0][0], "c": {"d": 2}}}, step=1, labels=labels)
    first, second = logged_by(run)
    assert list(first.items()) == list(FLAT.items())
    assert second == {"a/b": 1.0, "a/c/d": 2}
    for event in run.sink("memory").metrics:
        assert event.lanes[0].labels == {"env/seed": 3}


def loop() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    tree["again"] = tree
    return tree


WRONG: list[tuple[Callable[[], dict[str, Any]], type[Exception], str]] = [
    (lambda: {"a/b": 1, "a": {"b": 2}}, ValueError, "values: got two values named 'a/b'; rename"),
    (
        lambda: {"a": {"b": None}},
        TypeError,
        r"values\['a/b'\]: got None, expected an array or a number; leave the name out",
    ),
    (lambda: {"a": {"b": "x"}}, TypeError, r"values\['a/b'\]: got str, expected an array"),
    (lambda: {"a": [1.0, 2.0]}, TypeError, r"values\['a'\]: got list, .*with jnp.asarray"),
    (lambda: {"a": {3: 1.0}}, TypeError, "values: got the key 3, expected a name"),
    (lambda: {"a": loop()}, ValueError, r"got a container that holds itself"),
    (lambda: {"a": jnp.ones((0, 2))}, ValueError, r"float32\[0,2\], expected an array with at"),
    (
        lambda: {"a": jaxlog.parts(jnp.ones((2, 3)), ["x", "y"])},
        ValueError,
        r"parts: got 2 names for 3 parts, the size of axis -1 of an array of shape \(2, 3\)",
    ),
    (lambda: {"a": jaxlog.parts(jnp.ones(2), ["x", "x"])}, ValueError, "the name 'x' twice"),
    (lambda: {"a": jaxlog.parts(jnp.ones(2), "x", axis=1)}, ValueError, "parts: got axis=1 of an"),
    (lambda: {"a": jaxlog.parts(jnp.float32(2), "x")}, ValueError, r"of an array of shape \(\)"),
    (lambda: {"a": jaxlog.parts([1, 2], "x")}, TypeError, "parts: got list, expected an array"),  # type: ignore[arg-type]
    (lambda: {"a": jaxlog.parts(jnp.ones(1), [""])}, TypeError, "parts: got the key '', expected"),
]


@pytest.mark.parametrize(("values", "kind", "message"), WRONG)
def test_wrong_values_are_refused_while_tracing(
    make_logger: MakeLogger,
    values: Callable[[], dict[str, Any]],
    kind: type[Exception],
    message: str,
) -> None:
    logger = make_logger()
    with pytest.raises(kind, match=message):
        jax.jit(lambda: jaxlog.log(logger, 0, values()))()
    with logger.open(), pytest.raises(kind, match=message.partition(", expected")[0]):
        jaxlog.log(logger, 0, values())


def test_names_may_not_meet(make_logger: MakeLogger) -> None:
    logger = make_logger()
    with pytest.raises(ValueError, match="values: got 'x', which is in metrics too; rename one"):
        jaxlog.batch_step(logger, 0, {"x": 1.0}, values={"x": 2.0})
    with pytest.raises(ValueError, match="two values would be written as 'x_mean'"):
        jaxlog.batch_step(logger, 0, {"x_mean": 1.0}, values={"x": jnp.ones(2)})
    wrong = jaxlog.parts(jnp.ones((3, 2)), "agent")
    with pytest.raises(ValueError, match=r"the shape \(4,\) of where, the batch and 2 parts; give"):
        jaxlog.batch_step(logger, 0, {"returns": wrong}, where=jnp.ones(4, bool))


def test_metrics_per_environment_step_are_noticed(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger()
    metrics = {"episode_returns": jnp.ones(4), "reward": jnp.ones(4), "x": {"action": jnp.ones(4)}}
    for _ in range(2):
        jaxlog.batch_step(logger, 1, metrics, where=jnp.ones(4, bool))
    assert [record.getMessage() for record in caplog.records] == [
        f"jaxlog: the call 'batch': metrics[{key!r}] seems to have a value for each environment "
        "step, of which where= keeps those at which an episode ended. If all of them count, pass "
        "it in values=. Said once."
        for key in ("reward", "x/action")
    ]
    caplog.clear()
    other = make_logger()
    jaxlog.batch_step(other, 1, metrics)  # no mask: nothing is left out
    returns = {"episode_returns": jnp.ones(4)}
    jaxlog.batch_step(other, 1, returns, where=jnp.ones(4, bool), values={"reward": jnp.ones(4)})
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# Windows made from the function that is logged


def test_a_window_is_made_from_the_function(make_logger: MakeLogger) -> None:
    logger = make_logger(6, log_frequency=5)

    def body(window: jaxlog.Window, step: jax.Array) -> Any:
        def minibatch(inner: Any, _: Any) -> Any:  # the window is carried through another scan
            return inner, None

        window, _ = jax.lax.scan(minibatch, window, None, length=2)
        returns = jnp.arange(4.0) + step.astype(float)
        _, window = jaxlog.window_step(
            logger,
            window,
            step,
            {"episode_returns": returns, "loss": 1.0},
            where=returns > 1,
            values={"reward": returns},
        )
        return window, None

    start = jaxlog.empty_window(logger, lambda window: body(window, jnp.int32(0)), name="a")
    assert start.name == "a"
    by_hand = jaxlog.empty_window(
        logger,
        {"episode_returns": jnp.zeros(4), "loss": 0.0},
        where=jnp.ones(4, bool),
        values={"reward": jnp.zeros(4)},
        name="a",
    )
    assert jax.tree.structure(start) == jax.tree.structure(by_hand)
    with logger.open() as run:
        jax.lax.scan(body, start, jnp.arange(6))
    first, second = logged_by(run)
    assert (first["update_count"], second["update_count"]) == (1, 5)
    assert second["reward_mean"] == pytest.approx(4.5)


def test_two_windows_of_one_loop(make_logger: MakeLogger) -> None:
    logger = make_logger(6, log_frequency=5)

    def body(windows: Any, step: jax.Array) -> Any:
        window, learned = windows
        learns = step % 2 == 1
        _, window = jaxlog.window_step(logger, window, step, {"reward": step.astype(float)})
        _, learned = jaxlog.window_step(
            logger, learned, step, {"loss": step.astype(float)[None]}, where=learns[None]
        )
        return (window, learned), None

    with pytest.raises(ValueError, match="got a function that passes its window to two calls"):
        jaxlog.empty_window(logger, lambda window: body((window, window), jnp.int32(0)))
    learned = jaxlog.empty_window(
        logger, {"loss": jnp.zeros(1)}, where=jnp.zeros(1, bool), name="learn"
    )
    window = jaxlog.empty_window(logger, lambda window: body((window, learned), jnp.int32(0)))
    with logger.open() as run:
        jax.lax.scan(body, (window, learned), jnp.arange(6))
    lines = {
        (event.name, event.step): event.lanes[0].metrics for event in run.sink("memory").metrics
    }
    assert lines["batch", 5]["reward"] == 3.0
    assert lines["learn", 5]["loss_mean"] == 3.0  # steps 1, 3 and 5
    assert lines["learn", 5]["episode_count"] == 3


def test_wrong_windows_are_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()
    with pytest.raises(ValueError, match="does not call window_step with its window; give a"):
        jaxlog.empty_window(logger, lambda window: window)
    with pytest.raises(TypeError, match="got where= or values= with a function"):
        jaxlog.empty_window(logger, lambda window: window, values={"x": 1.0})
    with pytest.raises(ValueError, match=r"reduce\['x'\]: got 'median', expected one of mean, la"):
        jaxlog.empty_window(logger, {"x": 1.0}, reduce={"x": "median"})
    with pytest.raises(
        ValueError, match="reduce: got 'los', expected a scalar of the call 'batch'"
    ):
        jaxlog.empty_window(logger, {"loss": 1.0}, reduce={"los": "last"})


# Norms


def test_norms_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(3, 4)).astype(np.float16) * np.float16(3000)
    bias = rng.normal(size=4).astype(np.float32) * np.float32(1e30)
    tree = {
        "params": {
            "Dense_0": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)},
            "mlp/~/linear": [jnp.zeros(2), jnp.int32(3), None],
        }
    }
    found = jax.jit(jaxlog.norms)(tree)
    exact = np.linalg.norm(np.concatenate([a.astype(np.float64).ravel() for a in (kernel, bias)]))
    assert set(found) == {"Dense_0", "mlp/~/linear"}
    assert float(found["Dense_0"]) == pytest.approx(exact, rel=1e-6)
    assert float(found["mlp/~/linear"]) == 0.0
    leaves = jaxlog.norms(tree, depth=None)
    assert set(leaves) == {"Dense_0/kernel", "Dense_0/bias", "mlp/~/linear/0"}
    wide = np.linalg.norm(kernel.astype(np.float64))
    assert float(leaves["Dense_0/kernel"]) == pytest.approx(wide, rel=1e-6)
    (whole,) = jaxlog.norms(tree, depth=0).values()
    assert float(whole) == pytest.approx(exact, rel=1e-6)
    assert np.isnan(float(jaxlog.norms([jnp.array([1.0, np.nan])])["0"]))
    assert np.isinf(float(jaxlog.norms([jnp.array([1.0, np.inf])])["0"]))
    gradient = jax.grad(lambda x: jaxlog.norms([x])["0"])
    np.testing.assert_allclose(gradient(jnp.array([3.0, 4.0])), [0.6, 0.8], rtol=1e-6)
    assert gradient(jnp.zeros(2)).tolist() == [0.0, 0.0]


def test_norms_are_logged_under_their_names(make_logger: MakeLogger) -> None:
    logger = make_logger()
    gradients = {"actor": {"w": jnp.array([3.0, 4.0])}, "critic": {"w": jnp.array([1.0])}}
    with logger.open() as run:
        jax.jit(lambda: jaxlog.log(logger, 0, {"gradient_norm": jaxlog.norms(gradients)}))()
    assert logged_by(run) == [{"gradient_norm/actor": 5.0, "gradient_norm/critic": 1.0}]
    with pytest.raises(ValueError, match="norms: got a tree without floating-point arrays"):
        jaxlog.norms({"a": 3})
    with pytest.raises(ValueError, match="norms: got depth=-1, expected 0 or more"):
        jaxlog.norms(gradients, depth=-1)


def test_quantiles_of_wide_integers(make_logger: MakeLogger) -> None:
    """Under x64, where the sketch is float32 and the moments are float64."""
    logger = make_logger(statistics=["median", "max"])
    with jax.enable_x64(True), logger.open() as run:
        jax.jit(lambda: jaxlog.log(logger, 0, {"x": jnp.arange(101)}))()
    (found,) = logged_by(run)
    assert found["x_median"] == pytest.approx(50, rel=0.01)
    assert found["x_max"] == 100


def test_the_console_folds_many_parts(make_logger: MakeLogger) -> None:
    """One row, and one value on a line, for more than four parts."""
    logger = make_logger(statistics=["mean", "max"], log_frequency=1)
    with logger.open() as run:
        for step in (0, 1):
            done = jnp.arange(12).reshape(2, 6) % 4 == 0
            jaxlog.batch_step(
                logger,
                step,
                {
                    "episode_returns": jaxlog.parts(jnp.arange(12.0).reshape(2, 6) + step, "agent"),
                    "achievements": jaxlog.parts(done, "task"),
                    "few": jaxlog.parts(jnp.ones((2, 2)), "part"),
                },
                values={"norms": jaxlog.parts(jnp.array([1.0, 2.0, jnp.nan, 4.0, 5.0]), "layer")},
            )
    events = run.sink("memory").metrics
    text = without_rates(metrics_line(events[1], None, 1000))
    assert text == (
        "batch · step 1  episode_return/*_mean (6) 6.5  episode_count 2  "
        "achievements/*_rate (6) 0.25  few/part_0_mean 1  few/part_1_mean 1  "
        "norms/* (5) 3 (1 not finite)"
    )
    history = History()
    for event in events:
        history.add(event)
    rows = history.read()
    assert list(rows) == [
        "episode_return/*_mean (6)",
        "episode_count",
        "few/part_0",
        "few/part_1",
        "achievements/*_rate (6)",
        "norms/* (5)",
    ]
    row = rows["episode_return/*_mean (6)"]
    assert (row.beside["min"], row.beside["max"], row.change) == (4.0, 9.0, 1.0)
    assert list(row.trend) == [5.5, 6.5]
