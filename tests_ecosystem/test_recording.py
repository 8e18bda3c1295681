"""Whole episodes of real environments, recorded in the scan that plays them.

The reference are the steps that the same scan returns, cut into episodes with NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog

NUM_ENVS, LENGTH, UPDATES, LIMIT = 5, 20, 4, 13
pytestmark = pytest.mark.timeout(1200)  # brax compiles for minutes on a slow machine


class Step(NamedTuple):
    """One step of all environments, or a rollout of them as `scan` stacks it.

    Attributes:
      values: what is recorded: the state from which the step was taken, and the action.
      reward: `[*batch]`.
      terminated: `bool[*batch]`.
      truncated: `bool[*batch]`.
      first: `bool[*batch]`, whether the step only resets; None if the library resets at the end.
    """

    values: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    first: jax.Array | None = None


Played = tuple[Callable[[jax.Array], Any], Callable[[Any, jax.Array], tuple[Any, Step]]]


def brax(environment: str) -> Played:
    from brax import envs

    env = envs.training.wrap(
        envs.get_environment(environment, backend="spring"), episode_length=LIMIT
    )

    def play(state: Any, key: jax.Array) -> tuple[Any, Step]:
        action = jax.random.uniform(key, (NUM_ENVS, env.action_size), minval=-1.0)
        after = env.step(state, action)
        cut_off = after.info["truncation"] > 0
        values = {"q": state.pipeline_state.q, "obs": state.obs, "action": action}
        return after, Step(values, after.reward, (after.done > 0) & ~cut_off, cut_off)

    return lambda key: env.reset(jax.random.split(key, NUM_ENVS)), play


def navix(environment: str) -> Played:
    import navix as nx

    env = nx.make(environment, max_steps=LIMIT)

    def play(timestep: Any, key: jax.Array) -> tuple[Any, Step]:
        action = jax.random.randint(key, (NUM_ENVS,), 0, 4)
        after = jax.vmap(env.step)(timestep, action)
        own = timestep.state  # without the cache of its sprites, 95 % of it
        state = {"grid": own.grid, "entities": own.entities, "events": own.events}
        kind, first = after.step_type, timestep.step_type > 0
        values = {"state": state, "action": action}
        return after, Step(values, after.reward, kind == 2, kind == 1, first)

    return lambda key: jax.vmap(env.reset)(jax.random.split(key, NUM_ENVS)), play


def recorded(directory: Path, played: Played, name: str) -> Step:
    """Records the episodes of a program, and returns its steps `[steps, envs]`."""
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    reset, play = played

    def step(carry: Any, key: jax.Array) -> tuple[Any, Step]:
        state, recorder = carry
        state, one = play(state, key)
        recorder = jaxlog.record_step(
            recorder, one.values, one.reward, one.terminated, one.truncated, first=one.first
        )
        return (state, recorder), one

    @jax.jit
    def program(key: jax.Array) -> Step:
        state = reset(key)
        example = jax.eval_shape(play, state, key)[1].values
        recorder = jaxlog.empty_recorder(
            logger, example, num_episodes=3, max_steps=LIMIT, renderer=name
        )

        def update(carry: Any, number: jax.Array) -> tuple[Any, Step]:
            keys = jax.random.split(jax.random.fold_in(key, number), LENGTH)
            (state, recorder), steps = jax.lax.scan(step, carry, keys)
            _, recorder = jaxlog.log_episodes(logger, recorder, number, every=1)
            return (state, recorder), steps

        return jax.lax.scan(update, (state, recorder), jnp.arange(UPDATES))[1]

    with logger.open(directory):
        steps = jax.block_until_ready(program(jax.random.PRNGKey(0)))
    return jax.tree.map(lambda array: np.asarray(array).reshape(-1, *array.shape[2:]), steps)


def places(steps: Step) -> dict[tuple[int, int], np.ndarray]:
    """The steps of each episode that ended, by environment and number."""
    found: dict[tuple[int, int], np.ndarray] = {}
    ended = np.asarray(steps.terminated | steps.truncated)
    resets = np.zeros_like(ended) if steps.first is None else np.asarray(steps.first)
    for env in range(NUM_ENVS):
        own: list[int] = []
        number = 0
        for at in np.flatnonzero(~resets[:, env]).tolist():
            own.append(at)
            if ended[at, env]:
                found[env, number] = np.array(own)
                own, number = [], number + 1
    return found


@pytest.mark.parametrize(
    ("library", "environment"), [(brax, "inverted_pendulum"), (navix, "Navix-DoorKey-5x5-v0")]
)
def test_recorded_episodes_are_those_that_the_scan_returns(
    library: Callable[[str], Played], environment: str, tmp_path: Path
) -> None:
    steps = recorded(tmp_path, library(environment), f"{library.__name__}/{environment}")
    whole = places(steps)
    episodes = jaxlog.read_run(tmp_path).recordings
    assert len(episodes) >= UPDATES
    for one in episodes:
        env, number = one.episode["environment_id"], one.episode["episode_number"]
        at = whole[env, number]
        assert one.is_whole
        assert one.steps.tolist() == list(range(len(at)))
        end = "truncated" if steps.truncated[at[-1], env] else "terminated"
        assert one.episode["end"] == end
        np.testing.assert_array_equal(one.rewards, steps.reward[at, env].astype(np.float32))
        leaves = jax.tree.leaves(steps.values)
        for array, expected in zip(one.arrays.values(), leaves, strict=True):
            assert array.dtype == expected.dtype
            assert array.tobytes() == np.ascontiguousarray(expected[at, env]).tobytes()
