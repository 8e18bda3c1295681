"""The tracker of episodes, against the log wrapper that the field uses."""

from __future__ import annotations

from typing import Any

import gymnax
import jax
import numpy as np
from gymnax.wrappers import LogWrapper

import jaxlog
from jaxlog import EpisodeTracker


def test_the_numbers_are_those_of_the_usual_wrapper() -> None:
    """On one stream of steps, in rollouts whose borders episodes span."""
    environment, params = gymnax.make("CartPole-v1")
    env = LogWrapper(environment)
    num_envs, length = 5, 30

    def step(carry: Any, key: jax.Array) -> Any:
        state, tracker = carry
        action_key, step_key = jax.random.split(key)
        action = jax.random.randint(action_key, (num_envs,), 0, 2)
        keys = jax.random.split(step_key, num_envs)
        _, state, reward, terminated, truncated, info = jax.vmap(env.step, (0, 0, 0, None))(
            keys, state, action, params
        )
        tracker, metrics, ended = tracker.step(reward, terminated, truncated)
        return (state, tracker), (info, metrics, ended)

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        keys = jax.random.split(jax.random.key(0), num_envs)
        _, state = jax.vmap(env.reset, (0, None))(keys, params)
        carry = (state, EpisodeTracker.empty(num_envs))
        rollout = jax.jit(
            lambda carry, key: jax.lax.scan(step, carry, jax.random.split(key, length))
        )
        ended_in_all = 0
        for key in jax.random.split(jax.random.key(1), 4):
            carry, (info, metrics, ended) = rollout(carry, key)
            wanted, finished = jaxlog.from_info(info)
            assert np.array_equal(ended, finished)
            for name in wanted:
                got = np.asarray(metrics[name])[np.asarray(ended)]
                assert got.tolist() == np.asarray(wanted[name])[np.asarray(ended)].tolist()
            ended_in_all += int(ended.sum())
    assert ended_in_all > 10
