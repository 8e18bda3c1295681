"""`from_info` on infos with the names, shapes and dtypes of each library, against NumPy.

The infos are written by hand from one rollout, as the library's wrapper makes them.
`tests_ecosystem` has the same comparison on the libraries themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from tests.conftest import MakeLogger

LENGTH, NUM_ENVS, NUM_AGENTS = 40, 6, 3


class Rollout(NamedTuple):
    """What a wrapper sees, and what it knows about running and about ended episodes.

    Attributes:
      done: `bool[steps, envs]`, the ends of episodes.
      solved: `bool[steps, envs]`, whether the step solved the task.
      running: the return and length of the episode of this step so far, this step included.
      last: the return and length of the episode that ended last, this step included, or 0.
    """

    done: np.ndarray
    solved: np.ndarray
    running: tuple[np.ndarray, np.ndarray]
    last: tuple[np.ndarray, np.ndarray]


def a_rollout() -> Rollout:
    rng = np.random.default_rng(0)
    reward = rng.integers(-4, 5, (LENGTH, NUM_ENVS)) / 4  # exact in float32, in any order
    done = rng.random((LENGTH, NUM_ENVS)) < 0.15
    arrays = np.zeros((4, LENGTH, NUM_ENVS))
    for env in range(NUM_ENVS):
        total, steps, last = 0.0, 0, (0.0, 0.0)
        for step in range(LENGTH):
            total, steps = total + reward[step, env], steps + 1
            if done[step, env]:
                last = (total, steps)
            arrays[:, step, env] = total, steps, *last
            if done[step, env]:
                total, steps = 0.0, 0
    solved = rng.random((LENGTH, NUM_ENVS)) < 0.5
    return Rollout(done, solved, (arrays[0], arrays[1]), (arrays[2], arrays[3]))


ROLLOUT = a_rollout()


def float32(array: np.ndarray) -> jax.Array:
    return jnp.asarray(array, np.float32)


def int32(array: np.ndarray) -> jax.Array:
    return jnp.asarray(array, np.int32)


def per_agent(array: np.ndarray, dtype: Any) -> jax.Array:
    return jnp.asarray(np.repeat(array[..., None], NUM_AGENTS, axis=-1), dtype)


def gymnax(rollout: Rollout) -> dict[str, Any]:
    returns, lengths = rollout.last
    return {
        "discount": float32(1 - rollout.done),
        "terminated": jnp.asarray(rollout.done),
        "truncated": jnp.zeros_like(rollout.done),
        "final_observation": jnp.zeros((*rollout.done.shape, 4)),
        "returned_episode_returns": float32(returns),
        "returned_episode_lengths": int32(lengths),
        "returned_episode": jnp.asarray(rollout.done),
        "returned_episode_valid": jnp.asarray(lengths > 0),
    }


def kinetix(rollout: Rollout) -> dict[str, Any]:
    info = gymnax(rollout)
    solved = jnp.asarray(rollout.solved)
    kept = {key: info[key] for key in info if key.startswith("returned_episode")}
    return kept | {"returned_episode_solved": solved, "GoalR": solved, "timestep": info["discount"]}


def jaxmarl(rollout: Rollout) -> dict[str, Any]:
    returns, lengths = rollout.last
    return {
        "returned_episode_returns": per_agent(returns, np.float32),
        "returned_episode_lengths": per_agent(lengths, np.float32),
        "returned_episode": per_agent(rollout.done, np.bool_),
        "inner_episode_done": jnp.asarray(rollout.done),  # coin_game
    }


def smax(rollout: Rollout) -> dict[str, Any]:
    last = np.zeros(NUM_ENVS)
    won = np.array([last := np.where(d, s, last) for d, s in zip(*rollout[:2], strict=True)])
    return jaxmarl(rollout) | {"returned_won_episode": per_agent(won, np.float32)}


def brax(rollout: Rollout) -> dict[str, Any]:
    returns, lengths = rollout.running
    return {
        "steps": float32(lengths),
        "truncation": float32(np.zeros_like(rollout.done)),
        "episode_done": float32(rollout.done),
        "episode_metrics": {
            "sum_reward": float32(returns),
            "length": float32(lengths),
            "reward": float32(np.zeros_like(returns)),
            "forward_reward": float32(returns * 2),
        },
        "first_obs": jnp.zeros((*rollout.done.shape, 4)),
    }


def playground(rollout: Rollout) -> dict[str, Any]:
    info = brax(rollout)
    metrics = dict(info["episode_metrics"])
    metrics["reward/upright"] = metrics.pop("forward_reward")
    count = int32(np.cumsum(rollout.done, axis=0))
    return info | {"episode_metrics": metrics, "AutoResetWrapper_done_count": count}


def stoix(rollout: Rollout) -> dict[str, Any]:
    returns, lengths = rollout.last
    return {
        "next_obs": jnp.zeros((*rollout.done.shape, 4)),
        "episode_metrics": {
            "episode_return": float32(returns),
            "episode_length": int32(lengths),
            "is_terminal_step": jnp.asarray(rollout.done),
        },
    }


def mava(rollout: Rollout) -> dict[str, Any]:
    return stoix(rollout) | {"env_metrics": {"won_episode": jnp.asarray(rollout.solved)}}


def mava_merged(rollout: Rollout) -> dict[str, Any]:
    extras = mava(rollout)
    return extras["episode_metrics"] | extras["env_metrics"]


ACHIEVEMENTS = ("collect_wood", "place_table", "eat_cow")


def achieved(rollout: Rollout) -> np.ndarray:
    """Whether the episode of an entry has each achievement so far, `bool[steps, envs, 3]`."""
    return np.arange(3) * 4 < rollout.running[1][..., None]


def craftax(rollout: Rollout) -> dict[str, Any]:
    at_ends = achieved(rollout) & rollout.done[..., None]
    info = {f"Achievements/{n}": float32(at_ends[..., i] * 100) for i, n in enumerate(ACHIEVEMENTS)}
    return info | {"score": float32(rollout.done), "discount": float32(1 - rollout.done)}


def craftax_with_log_wrapper(rollout: Rollout) -> dict[str, Any]:
    return craftax(rollout) | {
        key: value for key, value in gymnax(rollout).items() if key.startswith("returned_episode")
    }


PLAIN = {"episode_returns", "episode_lengths"}
LIBRARIES: dict[Callable[[Rollout], dict[str, Any]], set[str]] = {
    gymnax: PLAIN,
    kinetix: PLAIN | {"success_mask"},
    jaxmarl: PLAIN,
    smax: PLAIN | {"success_mask"},
    brax: PLAIN | {"episode/forward_reward"},
    playground: PLAIN | {"episode/reward/upright"},
    stoix: PLAIN,
    mava: PLAIN | {"success_mask"},
    mava_merged: PLAIN | {"success_mask"},
    craftax_with_log_wrapper: PLAIN | {"achievements"},
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("traced", [False, True])
def test_what_is_logged_is_what_numpy_counts(
    library: Callable[[Rollout], dict[str, Any]], traced: bool, make_logger: MakeLogger
) -> None:
    logger = make_logger()

    def program(info: dict[str, Any]) -> None:
        metrics, finished = jaxlog.from_info(info)
        assert set(metrics) == LIBRARIES[library]
        assert finished.dtype == np.bool_
        assert metrics["episode_lengths"].dtype == np.int32
        jaxlog.batch_step(logger, 0, metrics, where=finished)

    with logger.open() as run:
        (jax.jit(program) if traced else program)(library(ROLLOUT))
    line = run.sink("memory").metrics[0].lanes[0].metrics
    done, agents = ROLLOUT.done, NUM_AGENTS if library in (jaxmarl, smax) else 1
    assert line["episode_count"] == done.sum() * agents > 20 * agents
    for key, values in zip(("episode_return", "episode_length"), ROLLOUT.running, strict=True):
        ended = values[done]
        for statistic in (np.mean, np.min, np.max, np.std):
            got = float(line[f"{key}_{statistic.__name__}"])
            np.testing.assert_allclose(got, statistic(ended), rtol=1e-6)
    if "success_mask" in LIBRARIES[library]:
        rate = float(line["success_rate"])
        np.testing.assert_allclose(rate, ROLLOUT.solved[done].mean(), rtol=1e-6)
    if "achievements" in LIBRARIES[library]:
        check_achievements(line)
    for name in LIBRARIES[library] - PLAIN - {"success_mask", "achievements"}:
        wanted = 2 * ROLLOUT.running[0][done].mean()
        np.testing.assert_allclose(float(line[f"{name}_mean"]), wanted, rtol=1e-6)


def check_achievements(line: Mapping[str, Any]) -> None:
    for i, name in enumerate(ACHIEVEMENTS):
        wanted = achieved(ROLLOUT)[..., i][ROLLOUT.done].mean()
        assert wanted > 0
        np.testing.assert_allclose(line[f"achievements/{name}_rate"], wanted, rtol=1e-6)
    assert len([key for key in line if key.startswith("achievements")]) == len(ACHIEVEMENTS)


def test_craftax_without_a_log_wrapper_has_achievements_beside_a_tracker(
    make_logger: MakeLogger,
) -> None:
    logger = make_logger()
    tracked = {key: gymnax(ROLLOUT)[f"returned_{key}"] for key in PLAIN}
    metrics, finished = jaxlog.from_info(craftax(ROLLOUT))
    assert set(metrics) == {"achievements"}
    np.testing.assert_array_equal(finished, ROLLOUT.done)
    with logger.open() as run:
        jaxlog.batch_step(logger, 0, tracked | metrics, where=finished)
    line = run.sink("memory").metrics[0].lanes[0].metrics
    check_achievements(line)
    assert line["episode_count"] == ROLLOUT.done.sum()
    assert line["episode_length_mean"] == pytest.approx(ROLLOUT.running[1][ROLLOUT.done].mean())


def test_arrays_that_fit_are_the_ones_of_the_info() -> None:
    info = gymnax(ROLLOUT)
    metrics, finished = jaxlog.from_info(info)
    assert list(metrics) == ["episode_returns", "episode_lengths"]
    assert finished is info["returned_episode"]
    assert metrics["episode_returns"] is info["returned_episode_returns"]
    assert metrics["episode_lengths"] is info["returned_episode_lengths"]


def test_numpy_arrays_are_taken_too() -> None:
    for library in LIBRARIES:
        info = library(ROLLOUT)
        from_jax = jaxlog.from_info(info)
        from_numpy = jaxlog.from_info(jax.tree.map(np.asarray, info))
        jax.tree.map(np.testing.assert_array_equal, from_jax, from_numpy)


def test_scripts_that_keep_no_lengths_get_none() -> None:
    info = jaxmarl(ROLLOUT)
    del info["returned_episode_lengths"]
    metrics, _ = jaxlog.from_info(info)
    assert list(metrics) == ["episode_returns"]


def test_an_info_of_two_layouts_is_not_guessed() -> None:
    both = brax(ROLLOUT) | gymnax(ROLLOUT)
    with pytest.raises(ValueError, match="info: has the episodes of LogWrapper ") as error:
        jaxlog.from_info(both)
    assert str(error.value) == (
        "info: has the episodes of LogWrapper (gymnax, PureJaxRL, JaxMARL, Kinetix) and of "
        "EpisodeWrapper (brax, MuJoCo Playground), which may count differently; pass only the "
        "entries of one, as in from_info({key: info[key] for key in ('returned_episode', "
        "'returned_episode_returns', 'returned_episode_lengths')})"
    )
    own = {key: both[key] for key in ("episode_done", "episode_metrics")}
    assert "episode/forward_reward" in jaxlog.from_info(own)[0]


def test_an_info_with_two_successes_is_not_guessed() -> None:
    info = kinetix(ROLLOUT) | {"returned_won_episode": jnp.asarray(ROLLOUT.solved)}
    with pytest.raises(ValueError, match="has returned_episode_solved and returned_won_episode, "):
        jaxlog.from_info(info)


def without(info: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in info.items() if key not in keys}


@pytest.mark.parametrize(
    ("info", "advice"),
    [
        ({}, "(it has: nothing); wrap the environment with a LogWrapper (gymnax.wrappers, "),
        ({"shaped_reward": 0}, "(it has: shaped_reward); wrap the environment with a LogWrapper"),
        (
            without(gymnax(ROLLOUT), "returned_episode"),
            "a LogWrapper adds returned_episode, returned_episode_returns and "
            "returned_episode_lengths; keep them together where you choose entries",
        ),
        (
            {"discount": 1.0},
            "wrap the environment with gymnax.wrappers.LogWrapper, or carry a jaxlog.EpisodeTr",
        ),
        (
            without(brax(ROLLOUT), "episode_metrics", "episode_done"),
            "wrap the environment with brax.envs.wrappers.training.EpisodeWrapper, as "
            "brax.envs.training.wrap does, or with",
        ),
        (without(brax(ROLLOUT), "episode_done"), "keep episode_done beside them (brax), or"),
        (brax(ROLLOUT)["episode_metrics"], "pass the whole state.info, which has episode_done"),
        (
            without(stoix(ROLLOUT)["episode_metrics"], "is_terminal_step"),
            "call from_info before get_final_step_metrics, which removes it",
        ),
        (
            {"return": 0.0},
            "navix's timestep.info does not say where episodes end; carry a jaxlog.EpisodeTracker, "
            "and call tracker, metrics, finished = tracker.step(timestep.reward, "
            "timestep.is_done(), first=timestep.t == 0)",
        ),
    ],
)
def test_a_missing_key_is_answered_with_what_the_library_has(
    info: dict[str, Any], advice: str
) -> None:
    with pytest.raises(KeyError, match=re.escape(advice)) as error:
        jaxlog.from_info(info)
    assert error.value.args[0].startswith("info has no returns and ends of episodes (it has: ")


class TimeStep(NamedTuple):
    """As those of dm_env, Jumanji and XLand-MiniGrid."""

    step_type: int
    reward: float

    def first(self) -> bool:
        return self.step_type == 0

    def last(self) -> bool:
        return self.step_type == 2


@chex.dataclass
class MappedTimeStep:
    """As that of Jumanji, which is a mapping, too."""

    step_type: int
    reward: float
    discount: float

    first = last = TimeStep.last


def test_a_time_step_that_is_a_mapping_is_answered_as_one() -> None:
    timestep = MappedTimeStep(step_type=0, reward=0.0, discount=1.0)
    with pytest.raises(KeyError, match=re.escape("tracker.step(timestep.reward, timestep.last()")):
        jaxlog.from_info(timestep)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("info", "advice"),
    [
        (
            TimeStep(0, 0.0),
            "info: got TimeStep, expected a mapping; carry a jaxlog.EpisodeTracker, and call "
            "tracker, metrics, finished = tracker.step(timestep.reward, timestep.last(), "
            "first=timestep.first()); or pass timestep.extras",
        ),
        (
            SimpleNamespace(t=0, is_done=lambda: False, reward=0.0, info={"return": 0.0}),
            "tracker.step(timestep.reward, timestep.is_done(), first=timestep.t == 0)",
        ),
        (
            SimpleNamespace(rewards=np.zeros(2), terminated=False, truncated=False),
            "tracker.step(state.rewards[:, player], state.terminated, state.truncated)",
        ),
        (
            SimpleNamespace(obs=0, reward=0.0, done=0.0, info=brax(ROLLOUT)),
            "info: got SimpleNamespace, expected a mapping; pass state.info",
        ),
        (
            np.zeros(3),
            "info: got ndarray, expected a mapping; pass the info of a log wrapper, or carry a "
            "jaxlog.EpisodeTracker, and call tracker, metrics, finished = tracker.step(reward, do",
        ),
    ],
)
def test_an_object_is_answered_with_the_lines_for_it(info: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=re.escape(advice)):
        jaxlog.from_info(info)
