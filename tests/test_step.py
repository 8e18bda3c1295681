from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._format.names import look_up
from tests.conftest import MakeLogger

RETURNS = jnp.array([1.0, 2.0, 3.0, 6.0])


def steps_of(events: list[Any]) -> list[int]:
    return [event.step for event in events]


def run_steps(logger: jaxlog.Logger, num_steps: int, **kwargs: Any) -> Callable[[], Any]:
    def body(_: None, step: jax.Array) -> tuple[None, None]:
        jaxlog.batch_step(logger, step, {"episode_returns": RETURNS}, **kwargs)
        return None, None

    return jax.jit(lambda: jax.lax.scan(body, None, jnp.arange(num_steps)))


def metrics_of(sink: Any) -> dict[str, Any]:
    """The metrics of the only lane of the only event."""
    (event,) = sink.metrics
    (lane,) = event.lanes
    return {
        key: value if isinstance(value, jaxlog.sinks.Histogram) else value.item()
        for key, value in lane.values.items()
    }


def test_known_names_become_the_fields_keys(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger()
    metrics = {
        "episode_returns": RETURNS,
        "episode_lengths": jnp.array([1, 2, 3, 4]),
        "similarity_scores": jnp.array([0.0, 1.0, 0.0, 1.0]),
        "success_mask": jnp.array([True, True, True, False]),
        "solved": jnp.array([True, False, False, False]),
        "distance": jnp.array([0.0, 0.0, 1.0, 1.0]),
        "policy_loss": 0.25,
    }
    sink = logged(logger, lambda: jaxlog.batch_step(logger, 0, metrics))
    got = metrics_of(sink)
    aggregates = {
        f"{stem}_{statistic}"
        for stem in ("episode_return", "episode_length", "similarity", "distance")
        for statistic in ("mean", "std", "min", "max")
    }
    assert set(got) == aggregates | {
        "episode_count",
        "success_rate",
        "solved_rate",
        "policy_loss",
    }
    assert got["episode_count"] == 4
    assert got["success_rate"] == 0.75
    assert got["solved_rate"] == 0.25
    assert got["policy_loss"] == 0.25
    assert got["episode_return_mean"] == 3.0
    assert got["episode_return_std"] == pytest.approx(np.std([1, 2, 3, 6]), rel=1e-6)
    assert (got["episode_length_min"], got["episode_length_max"]) == (1.0, 4.0)


def test_where_decides_what_counts(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger(statistics=["mean"])
    where = jnp.array([True, False, True, False])
    sink = logged(
        logger, lambda: jaxlog.batch_step(logger, 0, {"episode_returns": RETURNS}, where=where)
    )
    assert metrics_of(sink) == {"episode_count": 2, "episode_return_mean": 2.0}
    assert [e.episode["environment_id"] for e in sink.episodes] == [0, 2]


def test_no_finished_episode_is_a_count_of_zero_and_no_value(
    make_logger: MakeLogger, logged: Any
) -> None:
    logger = make_logger()
    metrics = {"episode_returns": RETURNS, "success_mask": RETURNS > 2, "policy_loss": 1.0}
    where = jnp.zeros(4, bool)
    sink = logged(logger, lambda: jaxlog.batch_step(logger, 0, metrics, where=where))
    assert metrics_of(sink) == {"episode_count": 0, "policy_loss": 1.0}
    assert sink.episodes == []


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32"]
)
def test_a_metric_of_any_dtype_has_every_statistic_without_promotion(
    dtype: str, make_logger: MakeLogger, logged: Any
) -> None:
    histograms = {} if dtype == "bool" else {"x": {"low": 0, "high": 4, "bins": 2}}
    logger = make_logger(statistics=["mean", "sum", "median", "p95"], histograms=histograms)
    values = jnp.array([0, 1, 1, 1] if dtype == "bool" else [0, 1, 2, 4]).astype(dtype)
    metrics = {"x": values, "episode_returns": jnp.ones(4)}
    got = metrics_of(logged(logger, lambda: jaxlog.batch_step(logger, 0, metrics)))
    if dtype == "bool":
        assert got["x_rate"] == 0.75
        return
    assert (got["x_mean"], got["x_sum"]) == (1.75, 7.0)
    assert got["x_histogram"].counts == (2, 2)
    assert got["x_median"] == pytest.approx(1.0, rel=0.01)
    assert got["x_p95"] == pytest.approx(2.0, rel=0.01)  # the value below, of four


def test_where_no_value_is_finite_the_statistics_are_nan_and_not_missing(
    make_logger: MakeLogger, logged: Any
) -> None:
    logger = make_logger(
        statistics=["mean", "std", "min", "max", "sum", "count", "median"],
        histograms={"episode_returns": {"low": 0, "high": 1, "bins": 2}},
    )
    returns = jnp.array([jnp.nan, jnp.inf, 1.0])
    where = jnp.array([True, True, False])
    got = metrics_of(
        logged(
            logger,
            lambda: jaxlog.batch_step(logger, 0, {"episode_returns": returns}, where=where),
        )
    )
    assert got.pop("episode_count") == got.pop("episode_return_nonfinite") == 2
    assert got.pop("episode_return_count") == 0
    assert set(got) == {
        f"episode_return_{name}" for name in ("mean", "std", "min", "max", "sum", "median")
    }
    assert all(np.isnan(value) for value in got.values())


def test_what_is_not_finite_is_told_of(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger(statistics=["mean"])
    returns = jnp.array([1.0, np.nan, np.inf, 3.0])
    sink = logged(logger, lambda: jaxlog.batch_step(logger, 0, {"episode_returns": returns}))
    assert metrics_of(sink) == {
        "episode_count": 4,
        "episode_return_mean": 2.0,
        "episode_return_nonfinite": 2,
    }


@pytest.mark.parametrize(
    ("settings", "total", "metrics_at", "episodes_at"),
    [
        ({"log_frequency": 4, "sample_frequency": 6}, None, [0, 4, 8], [0, 6]),
        ({"log_frequency": 4, "sample_frequency": 6}, 11, [0, 4, 8, 10], [0, 6, 10]),
        ({"log_frequency": 5, "sampling_enabled": False}, None, [0, 5, 10], []),
        ({"log_frequency": 100, "sample_frequency": 100}, 11, [0, 10], [0, 10]),
    ],
)
def test_each_is_logged_when_it_is_due(
    settings: dict[str, Any],
    total: int | None,
    metrics_at: list[int],
    episodes_at: list[int],
    make_logger: MakeLogger,
) -> None:
    logger = make_logger(total, num_samples=1, **settings)
    with logger.open() as run:
        jax.block_until_ready(run_steps(logger, 11)())
    sink = run.sink("memory")
    assert steps_of(sink.metrics) == metrics_at
    assert steps_of(sink.episodes) == episodes_at
    assert run.arrived == len(set(metrics_at) | set(episodes_at))  # both due is one call


def test_when_can_hold_a_step_back(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger(log_frequency=1)

    def body(_: None, step: jax.Array) -> tuple[None, None]:
        jaxlog.batch_step(logger, step, {"x": step}, when=step > 2)
        return None, None

    sink = logged(logger, jax.jit(lambda: jax.lax.scan(body, None, jnp.arange(5))))
    assert steps_of(sink.metrics) == [3, 4]


def test_sampled_episodes_carry_what_the_batch_had(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger(num_samples=2, env_steps_per_update=100)
    rng = np.random.default_rng(0)
    returns = rng.normal(size=(6, 5)).astype(np.float32)
    lengths = rng.integers(1, 50, size=(6, 5)).astype(np.int32)
    states = rng.integers(0, 255, size=(6, 5, 3, 3)).astype(np.uint8)
    where = rng.random((6, 5)) < 0.4

    def program() -> None:
        jaxlog.batch_step(
            logger,
            200,
            {"episode_returns": returns, "episode_lengths": lengths, "success_mask": returns > 0},
            where=where,
            details={"state": {"grid": states}, "task_id": lengths + 1},
            labels={"seed": 7},
        )

    sink = logged(logger, jax.jit(program))
    assert len(sink.episodes) == 2
    for event in sink.episodes:
        at = tuple(event.episode["batch_index"])
        assert where[at]
        assert event.step == 200
        assert event.env_step == 20_100
        assert event.labels == {"seed": 7}
        assert event.episode["environment_id"] == at[1]
        assert event.episode["total_reward"] == returns[at]
        assert event.episode["total_steps"] == lengths[at]
        assert event.episode["success"] == (returns[at] > 0)
        assert event.episode["task_id"] == lengths[at] + 1
        assert list(event.details) == ["state.grid"]
        assert (event.details["state.grid"] == states[at]).all()


def test_the_same_seed_picks_the_same_episodes(make_logger: MakeLogger) -> None:
    def picks(**settings: Any) -> list[tuple[int, int]]:
        logger = make_logger(sample_frequency=1, num_samples=2, **settings)
        returns = jnp.arange(500.0)

        def body(_: None, step: jax.Array) -> tuple[None, None]:
            jaxlog.batch_step(logger, step, {"episode_returns": returns})
            return None, None

        with logger.open() as run:
            jax.block_until_ready(jax.jit(lambda: jax.lax.scan(body, None, jnp.arange(10)))())
        return [(e.step, e.episode["environment_id"]) for e in run.sink("memory").episodes]

    assert picks() == picks()
    assert picks() != picks(sample_seed=1)
    assert len(set(picks())) == 20


def test_switched_off_it_adds_nothing_to_the_program(make_logger: MakeLogger) -> None:
    logger = make_logger(batched_logging_enabled=False)

    def train(x: jax.Array, *, log: bool) -> jax.Array:
        def update(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            if log:
                record = jaxlog.batch_step(
                    logger,
                    step,
                    {"episode_returns": x, "policy_loss": 1.0},
                    details={"state": x},
                    labels={"seed": 0},
                )
                assert jax.tree.leaves(record) == []
            return jnp.sin(x), None

        return jax.lax.scan(update, x, jnp.arange(10))[0]

    def program(log: bool) -> str:
        function = jax.vmap(lambda x: train(x, log=log))
        return str(jax.make_jaxpr(function)(jnp.ones((3, 4))))

    assert program(log=True) == program(log=False)
    with pytest.raises(ValueError, match="metrics"):  # shapes are still checked
        jaxlog.batch_step(logger, 0, {"episode_returns": jnp.ones(3), "x": jnp.ones(2)})


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, [0, 10]),
        ({"batched_logging_enabled": True}, [0, 10]),
        ({"batched_logging_enabled": False}, []),
    ],
)
def test_it_logs_unless_it_is_switched_off(
    settings: dict[str, Any], steps: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    logger = jaxlog.Logger({**settings, "sinks": [{"kind": "memory"}]})

    def update(window: Any, step: jax.Array) -> tuple[Any, None]:
        jaxlog.batch_step(logger, step, {"x": step})
        _, window = jaxlog.window_step(logger, window, step, {"x": step})
        return window, None

    @jax.jit
    def train() -> None:
        window = jaxlog.empty_window(logger, {"x": 0}, name="window")
        window, _ = jax.lax.scan(update, window, jnp.arange(11))
        jaxlog.log_window(logger, window, 11)

    with logger.open() as run:
        jax.block_until_ready(train())
    for name in ("batch", "window"):
        assert [e.step for e in run.sink("memory").metrics if e.name == name] == steps
    assert caplog.messages == []


def test_calls_are_told_apart_by_name(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger()

    def program() -> None:
        jaxlog.batch_step(logger, 0, {"x": 1.0})
        jaxlog.batch_step(logger, 0, {"x": 2.0}, name="eval")

    sink = logged(logger, jax.jit(program))
    assert sorted((e.name, e.lanes[0].metrics["x"].item()) for e in sink.metrics) == [
        ("batch", 1.0),
        ("eval", 2.0),
    ]


def test_calls_that_take_turns_keep_their_turns(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger(log_frequency=1)

    def body(_: None, step: jax.Array) -> tuple[None, None]:
        jaxlog.batch_step(logger, step, {"x": step})
        jaxlog.batch_step(logger, step, {"x": step, "y": step}, name="eval", when=step % 2 == 1)
        return None, None

    sink = logged(logger, jax.jit(lambda: jax.lax.scan(body, None, jnp.arange(100))))
    for name, steps in (("batch", list(range(100))), ("eval", list(range(1, 100, 2)))):
        assert steps_of([event for event in sink.metrics if event.name == name]) == steps
    assert steps_of(sink.metrics) == sorted(steps_of(sink.metrics))


@pytest.mark.filterwarnings("ignore:.* x is in include, too:jaxlog.ConfigWarning")
@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({}, ["episode_count", "episode_return_mean", "x_mean", "policy_loss", "gradient_norm"]),
        ({"include": ["x"]}, ["episode_count", "x_mean"]),
        ({"include": ["batch/x", "eval/y"]}, ["episode_count", "x_mean"]),
        ({"include": ["x"], "exclude": ["x"]}, ["episode_count"]),
        (
            {"exclude": ["x", "value_loss"]},
            ["episode_count", "episode_return_mean", "policy_loss", "gradient_norm"],
        ),
        (
            {"log_loss_metrics": False},
            ["episode_count", "episode_return_mean", "x_mean", "gradient_norm"],
        ),
        (
            {"log_gradient_norms": False, "log_aggregated_rewards": False},
            ["episode_count", "x_mean", "policy_loss"],
        ),
    ],
)
def test_settings_choose_what_is_logged(
    settings: dict[str, Any], keys: list[str], make_logger: MakeLogger, logged: Any
) -> None:
    logger = make_logger(statistics=["mean"], **settings)
    metrics = {"episode_returns": RETURNS, "x": RETURNS, "policy_loss": 1.0, "gradient_norm": 2.0}
    sink = logged(logger, lambda: jaxlog.batch_step(logger, 0, metrics))
    assert list(metrics_of(sink)) == keys


def test_a_switch_takes_a_metric_off_the_lines_but_not_off_the_episodes(
    make_logger: MakeLogger, logged: Any
) -> None:
    logger = make_logger(log_aggregated_rewards=False, num_samples=1)
    sink = logged(logger, lambda: jaxlog.batch_step(logger, 0, {"episode_returns": RETURNS}))
    assert metrics_of(sink) == {"episode_count": 4}
    assert "total_reward" in sink.episodes[0].episode


GOOD = {"episode_returns": RETURNS}
BAD_CALLS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"step": GOOD, "metrics": None}, TypeError, "step: is missing; call batch_step(logger, step,"),
    ({"step": None}, TypeError, "step: got None, expected an integer scalar, the index of"),
    (
        {"step": jnp.float32(1)},
        TypeError,
        "step: got float32[], expected an integer scalar, the index of the update; count updates "
        "with jnp.arange(num_updates), or cast it with .astype(jnp.int32)",
    ),
    ({"step": 1.0}, TypeError, "step: got 1.0, expected an integer scalar"),
    ({"step": True}, TypeError, "step: got True, expected an integer scalar"),
    ({"step": jnp.arange(3)}, TypeError, "step: got int32[3], expected an integer scalar"),
    ({"step": 2**31}, ValueError, "step: got 2147483648, expected what fits into int32; switch"),
    (
        {"metrics": GOOD | {"policy_loss": jnp.ones((4, 8))}},
        ValueError,
        "metrics['policy_loss']: got float32[4,8], expected a scalar; values over epochs and "
        "minibatches go into values=, or log one number, like .mean()",
    ),
    (
        {"metrics": GOOD | {"policy_loss": RETURNS}},  # by chance of the batch's shape
        ValueError,
        "metrics['policy_loss']: got float32[4], expected a scalar; values over epochs and",
    ),
    (
        {"metrics": GOOD | {"critic_loss": jnp.ones((4, 8))}},
        ValueError,
        "metrics['critic_loss']: got float32[4,8], expected a scalar or the shape (4,) of "
        "episode_returns, the batch; give all arrays with a value per episode the same shape, and "
        "pass the others in values=, of which all entries count",
    ),
    (
        {"metrics": GOOD | {"success_mask": RETURNS}},
        TypeError,
        "metrics['success_mask']: got float32[4], expected bool; compare with something, like",
    ),
    (
        {"step": np.int64(2**31)},
        ValueError,
        "step: got 2147483648, expected what fits into int32; switch on jax",
    ),
    (
        {"metrics": {"x": np.array([1, 2**40]).max()}},
        ValueError,
        "metrics['x']: got 1099511627776, expected what fits into int32",
    ),
    ({"labels": {"seed": 2**40}}, ValueError, "labels['seed']: got 1099511627776, expected what"),
    (
        {"metrics": {"losses": {"policy": "low"}}},
        TypeError,
        "metrics['losses/policy']: got str, expected an array or a number; a text that does not",
    ),
    ({"metrics": {"x": None}}, TypeError, "got None, expected an array or a number; leave"),
    ({"metrics": {"x": np.array("a")}}, TypeError, "metrics['x']: got str32[], expected bool, int"),
    ({"details": {1: RETURNS, "1": RETURNS}}, TypeError, "details: is not a pytree: "),
    (
        {"where": jnp.ones(5, bool)},
        ValueError,
        "metrics['episode_returns']: got float32[4], expected a scalar or the shape (5,) of where",
    ),
    (
        {"where": jnp.ones(4)},
        TypeError,
        "where: got float32[4], expected bool of the batch's shape, like `done > 0`",
    ),
    ({"where": jnp.array(True)}, ValueError, "where: got bool[], expected the batch's shape, with"),
    (
        {"metrics": {"x": jnp.ones(3)}},
        ValueError,
        "metrics['x']: got float32[3], but the batch's shape cannot be inferred; give where=",
    ),
    (
        {"metrics": {"x": 1.0}, "details": {"s": jnp.ones(3)}},
        ValueError,
        "details['s']: got float32[3], but the batch's shape cannot be inferred",
    ),
    (
        {"details": {"s": {"grid": jnp.ones((3, 4))}}},
        ValueError,
        "details['s.grid']: got float32[3,4], expected a shape that begins with (4,), that of "
        "episode_returns, the batch",
    ),
    ({"details": {"s": "text"}}, TypeError, "details['s']: got str, expected an array"),
    ({"metrics": {"x": "text"}}, TypeError, "metrics['x']: got str, expected an array or a number"),
    ({"metrics": {"x": [1.0]}}, TypeError, "metrics['x']: got list, expected an array or a number"),
    ({"metrics": [1.0]}, TypeError, "metrics: got list, expected a dict by name, like {"),
    ({"metrics": {1: 1.0}}, TypeError, "metrics: got the key 1, expected a name"),
    (
        {"metrics": {"x": jnp.ones((), np.complex64)}},
        TypeError,
        "metrics['x']: got complex64[], expected bool, integers or real numbers",
    ),
    (
        {"metrics": {"x": jax.random.key(0)}},
        TypeError,
        "metrics['x']: got key<fry>[], expected bool, integers or real numbers",
    ),
    ({"labels": {"seed": jnp.arange(2)}}, ValueError, "labels['seed']: got int32[2], expected a"),
    ({"labels": {"seed": "a"}}, TypeError, "labels['seed']: got str, expected an array or a"),
    ({"when": 1}, TypeError, "when: got 1, expected one bool"),
    ({"when": jnp.ones(2, bool)}, TypeError, "when: got bool[2], expected one bool"),
    ({"name": "../x"}, ValueError, "name: got '../x', expected up to 100 letters, digits"),
    (
        {"metrics": {"episode_returns": jnp.ones((0, 3))}},
        ValueError,
        "episode_returns: got shape (0, 3), expected a batch with at least one entry",
    ),
    (
        {"metrics": GOOD | {"episode_return_mean": 1.0}},
        ValueError,
        "two values would be written as 'episode_return_mean'; give one of them another name",
    ),
    (
        {"details": {"total_reward": RETURNS}},
        ValueError,
        "two values would be written as 'total_reward'; give one of them another name",
    ),
]


@pytest.mark.parametrize(("changed", "error", "text"), BAD_CALLS)
def test_bad_input_is_refused_while_tracing(
    changed: dict[str, Any], error: type[Exception], text: str, make_logger: MakeLogger
) -> None:
    logger = make_logger()
    arguments = {"step": 0, "metrics": GOOD} | changed
    step, metrics = arguments.pop("step"), arguments.pop("metrics")
    with pytest.raises(error) as caught:
        jax.make_jaxpr(lambda: jaxlog.batch_step(logger, step, metrics, **arguments))()
    assert text in str(caught.value)


def test_a_logger_has_to_be_one() -> None:
    with pytest.raises(TypeError, match=r"logger: got dict, expected a jaxlog\.Logger"):
        jaxlog.batch_step({}, 0, GOOD)  # pyright: ignore


def test_a_metric_that_no_call_has_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger(include=["episode_retruns"])
    with pytest.raises(
        ValueError, match="include: got 'episode_retruns', which is no metric of"
    ) as e:
        jaxlog.batch_step(logger, 0, GOOD)
    assert "did you mean episode_returns?" in str(e.value)


def test_64_bits_are_kept_under_x64(make_logger: MakeLogger, logged: Any) -> None:
    with jax.enable_x64(True):
        logger = make_logger(log_frequency=1, num_samples=1, env_steps_per_update=3)
        lengths = np.array([2**40, 2**40 + 2])

        def program() -> None:
            step = jnp.int64(2**33)
            jaxlog.batch_step(logger, step, {"episode_lengths": lengths, "x": np.float64(0.1)})

        sink = logged(logger, jax.jit(program))
    (event,) = sink.metrics
    assert (event.step, event.env_step) == (2**33, 3 * (2**33 + 1))
    metrics = event.lanes[0].metrics
    assert metrics["x"] == 0.1
    assert metrics["episode_length_mean"] == 2**40 + 1
    assert metrics["episode_length_std"] == 1


def test_an_array_may_come_in_a_box(make_logger: MakeLogger, logged: Any) -> None:
    class Boxed:
        """As flax NNX's variables are."""

        def __init__(self, value: Any) -> None:
            self.value = value

        def __jax_array__(self) -> jax.Array:
            return jnp.asarray(self.value)

    Box: Any = Boxed  # jax.typing.ArrayLike does not name such a class  # noqa: N806
    logger = make_logger(statistics=["mean"])

    def program() -> None:
        jaxlog.batch_step(
            logger,
            Box(0),
            {"episode_returns": Box(RETURNS), "x": Box(2.0)},
            where=Box(RETURNS > 2.5),
            details={"state": Box(RETURNS)},
            labels={"seed": Box(3)},
            when=Box(True),
        )

    sink = logged(logger, jax.jit(program))
    assert metrics_of(sink) == {"episode_count": 2, "episode_return_mean": 4.5, "x": 2.0}
    assert sink.metrics[0].lanes[0].labels == {"seed": 3}


def test_labels_keep_their_order(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger()
    labels = {"seed": 1, "learning_rate": 0.5, "alpha": 2}
    sink = logged(logger, lambda: jaxlog.batch_step(logger, 0, {"x": 1.0}, labels=labels))
    assert list(sink.metrics[0].lanes[0].labels) == list(labels)


def test_details_may_be_empty(make_logger: MakeLogger, logged: Any) -> None:
    logger = make_logger(num_samples=1)
    details = {"nothing": jnp.zeros((4, 0))}
    sink = logged(logger, lambda: jaxlog.batch_step(logger, 0, GOOD, details=details))
    assert sink.episodes[0].details["nothing"].shape == (0,)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("loss", "log_loss_metrics"),
        ("critic_loss", "log_loss_metrics"),
        ("entropy", "log_loss_metrics"),
        ("grad_norm", "log_gradient_norms"),
        ("actor_gradient_norm", "log_gradient_norms"),
        ("actor_grad_norm", "log_gradient_norms"),
        ("weight_norm", None),
        ("lossless", None),
    ],
)
def test_a_name_is_steered_by_the_switch_of_its_kind(name: str, setting: str | None) -> None:
    assert look_up(name).setting == setting


@pytest.mark.parametrize("shape", [(6,), (4, 6)])
@pytest.mark.parametrize("masked", [False, True])
def test_environments_chosen_before_the_rollout(
    shape: tuple[int, ...], masked: bool, make_logger: MakeLogger
) -> None:
    """Their first and last states are there, though only those were carried along."""
    logger = make_logger(sample_frequency=1, num_samples=5)
    rng = np.random.default_rng(1)
    returns = rng.normal(size=shape).astype(np.float32)
    ended = rng.random(shape) < 0.4 if masked else np.ones(shape, bool)
    ended[..., 2] = False
    ended[..., 4] = True
    chosen = jaxlog.sample_indices(0, 6, 6)[jnp.array([4, 2, 1, 5])]
    initial = jnp.stack([jnp.arange(4.0)] * 3, axis=1)

    @jax.jit
    def program(returns: jax.Array, chosen: jax.Array) -> None:
        jaxlog.batch_step(
            logger,
            0,
            {"episode_returns": returns},
            where=ended,
            details={"initial_state": initial},
            indices=chosen,
        )

    with logger.open() as run:
        program(returns, chosen)
    expected = []
    for row, env in enumerate([4, 2, 1, 5]):
        steps = np.flatnonzero(ended.reshape(-1, 6)[:, env])
        if steps.size:
            expected.append((steps[-1], env, returns.reshape(-1, 6)[steps[-1], env], float(row)))
    got = [
        (
            e.episode.get("batch_index", [0])[0],
            e.episode["environment_id"],
            e.episode["total_reward"],
            e.details["initial_state"][0],
        )
        for e in run.sink("memory").episodes
    ]
    assert got == sorted(expected)
    assert 2 not in [env for _, env, *_ in got]


def test_indices_that_are_none_of_the_batch_show_nothing(make_logger: MakeLogger) -> None:
    logger = make_logger(sample_frequency=1)
    with logger.open() as run:
        metrics = {"episode_returns": jnp.arange(3.0)}
        jaxlog.batch_step(logger, 0, metrics, indices=np.array([-1, 3, 1, 7]))
    assert [e.episode["environment_id"] for e in run.sink("memory").episodes] == [1]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            {"indices": np.zeros((2, 2), int)},
            ValueError,
            "indices: got int32[2,2], expected int[k]",
        ),
        ({"indices": np.ones(2)}, TypeError, "indices: got float32[2], expected int[k]"),
        (
            {"indices": np.arange(2), "details": {"x": np.ones(3)}},
            ValueError,
            "details['x']: got float32[3], expected a shape that begins with (2,)",
        ),
    ],
)
def test_indices_that_cannot_be(
    arguments: dict[str, Any], error: type[Exception], text: str, make_logger: MakeLogger
) -> None:
    with pytest.raises(error) as caught:
        jaxlog.batch_step(make_logger(), 0, {"episode_returns": jnp.ones(3)}, **arguments)
    assert text in str(caught.value)


def test_a_sum_may_be_beyond_what_int32_holds(make_logger: MakeLogger) -> None:
    logger = make_logger(statistics=["sum", "mean", "count"])
    tokens = jnp.full(5, 2_000_000_000, np.int32)
    with logger.open() as run:
        jaxlog.batch_step(logger, 0, {"tokens": tokens}, where=tokens > 0)
    metrics = run.sink("memory").metrics[0].lanes[0].metrics
    assert float(metrics["tokens_sum"]) == pytest.approx(1e10, rel=1e-6)
    assert (float(metrics["tokens_mean"]), int(metrics["tokens_count"])) == (2e9, 5)


def test_a_sum_of_float64_is_one(make_logger: MakeLogger) -> None:
    logger = make_logger(statistics=["sum"])
    with jax.enable_x64(True), logger.open() as run:
        jaxlog.batch_step(logger, 0, {"x": np.array([0.1, 0.2])}, where=np.ones(2, bool))
    total = run.sink("memory").metrics[0].lanes[0].metrics["x_sum"]
    assert total == pytest.approx(0.1 + 0.2, rel=1e-15)


def test_statistics_and_histograms_by_name(make_logger: MakeLogger) -> None:
    logger = make_logger(
        statistics={"default": ["mean"], "episode_returns": ["p50"], "eval/score": ["max"]},
        histograms={"episode_returns": {"low": 0.0, "high": 10.0, "bins": 5}},
    )
    returns = jnp.array([-1.0, 0.0, 1.0, 5.0, 10.0, 11.0])
    with logger.open() as run:
        for name in ("batch", "eval"):
            metrics = {"episode_returns": returns, "score": returns}
            jaxlog.batch_step(logger, 0, metrics, name=name)
    train, test = (event.lanes[0] for event in run.sink("memory").metrics)
    assert set(train.values) == {
        "episode_count", "episode_return_p50", "episode_return_histogram", "score_mean"
    }  # fmt: skip
    assert train.histograms["episode_return_histogram"] == jaxlog.sinks.Histogram(
        (0.0, 2.0, 4.0, 6.0, 8.0, 10.0), (2, 0, 1, 0, 1), 1, 1
    )
    assert float(train.metrics["episode_return_p50"]) == pytest.approx(1.0, rel=0.01)
    assert "score_max" in test.values
    with pytest.raises(ValueError, match="settings: statistics: got 'eval/score', which is no"):
        jaxlog.batch_step(logger, 0, {"episode_returns": returns}, name="eval")


def test_a_histogram_is_an_object_on_its_line(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        histograms={"episode_returns": [0, 1, 2]},
        sinks=[{"kind": "jsonl"}, {"kind": "console"}],
    )
    with logger.open(tmp_path):
        jaxlog.batch_step(logger, 0, {"episode_returns": jnp.array([0.5, 1.5, 3.0])})
    (line,) = (tmp_path / "batch_metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["metrics"]["episode_return_histogram"] == {
        "edges": [0.0, 1.0, 2.0], "counts": [1, 1], "below": 0, "above": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"statistics": {"loss": ["max"]}},
            "settings: statistics: names 'loss', which is a scalar",
        ),
        (
            {"histograms": {"won": [0, 1]}},
            "settings: histograms: names 'won', which is an array of",
        ),
    ],
)
def test_statistics_that_cannot_be_told_are_refused(
    settings: dict[str, Any], text: str, make_logger: MakeLogger
) -> None:
    metrics = {"episode_returns": jnp.ones(2), "loss": 1.0, "won": jnp.ones(2, bool)}
    with pytest.raises(ValueError, match=text):
        jaxlog.batch_step(make_logger(**settings), 0, metrics)


@pytest.mark.parametrize("entry", ["train/acc", "batch/train/acc"])
def test_a_metric_may_have_a_slash(entry: str, make_logger: MakeLogger) -> None:
    logger = make_logger(include=[entry])
    with logger.open() as run:
        jaxlog.batch_step(logger, 0, {"train/acc": 1.0, "other": 2.0})
    assert set(run.sink("memory").metrics[0].lanes[0].metrics) == {"train/acc"}
    with pytest.raises(ValueError, match="settings: include: got 'train/acx', which is no metric"):
        jaxlog.batch_step(make_logger(include=["train/acx"]), 0, {"train/acc": 1.0})


def test_details_of_64_bits(make_logger: MakeLogger) -> None:
    large = np.array([2**40 + 7, 2**33])
    metrics = {"episode_returns": jnp.ones(2)}
    text = r"details\['id'\]: got 1099511627783, expected what fits into int32; switch on"
    with pytest.raises(ValueError, match=text):
        jaxlog.batch_step(make_logger(), 0, metrics, details={"id": large})
    logger = make_logger(sample_frequency=1)
    with jax.enable_x64(True), logger.open() as run:
        details = {"id": large, "z": np.array([1 - 2j, -3j])}
        jaxlog.batch_step(logger, 0, metrics, details=details)
    episodes = run.sink("memory").episodes
    assert [int(e.episode["id"]) for e in episodes] == large.tolist()
    assert [complex(e.episode["z"]) for e in episodes] == [1 - 2j, -3j]


@pytest.mark.parametrize(
    "transform",
    [jax.jit, jax.vmap, jax.grad, lambda f: lambda x: jax.linearize(f, x)],
)
@pytest.mark.parametrize("argument", ["metrics", "labels", "details"])
def test_a_name_with_a_traced_value_is_refused(
    argument: str, transform: Any, make_logger: MakeLogger
) -> None:
    logger = make_logger()

    def program(x: jax.Array) -> jax.Array:
        given: dict[str, Any] = {"metrics": {"episode_returns": jnp.ones(3)}}
        value = jnp.ones(3) if argument == "details" else x
        given[argument] = given.get(argument, {}) | {f"loss_{x}": value}
        jaxlog.batch_step(logger, 0, **given)
        return x

    start = jnp.ones(2) if transform is jax.vmap else 1.0
    with pytest.raises(
        TypeError, match=rf"^{argument}: got the name 'loss_\w*Tr.* has a traced val"
    ):
        transform(program)(start)
