"""A program whose episodes are known, recorded and returned by `scan` at once, and their cuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxlog

NUM_ENVS, LENGTH, UPDATES = 12, 7, 12


def lengths(env: Any, number: Any) -> Any:
    """The lengths of episodes, from 1 to 29: those of some environments are short."""
    return 1 + (env * 7 + number * 5) % jnp.where(env % 3 == 0, 29, 4)


def begin(num_envs: int = NUM_ENVS, first_env: Any = 0, seed: Any = 0) -> dict[str, jax.Array]:
    """The state in which all environments were just reset."""
    env = jnp.arange(num_envs, dtype=np.int32) + first_env
    return {
        "env": env,
        "number": jnp.zeros(num_envs, np.int32) + first_env * 0,
        "count": jnp.zeros(num_envs, np.int32) + first_env * 0,
        "x": jnp.sin(env.astype(np.float32) + jnp.asarray(seed, np.float32)),
    }


def play(state: Mapping[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, Any]]:
    """One step: the next state, with automatic resets, and what the step was."""
    x, env, count = state["x"], state["env"], state["count"]
    over = count + 1 >= lengths(env, state["number"])
    key = jax.vmap(jax.random.key)(env * 1000 + count)
    row = {
        "obs": jnp.stack([x, -x, x * x], axis=-1),
        "state": {
            "count": count,
            "flags": (count[:, None] >> np.arange(3, dtype=np.int32)[None]) % 2 == 1,
        },
        "pair": (x.astype(jnp.bfloat16), jnp.where(count % 4 == 3, jnp.nan, x)),
        "key": key,
    }
    step = {
        "row": row,
        "reward": x + 0.5,
        "terminated": over & (env % 2 == 0),
        "truncated": over & (env % 2 == 1),
    }
    number = state["number"] + over.astype(np.int32)
    fresh = jnp.sin(env.astype(np.float32) + 0.1 * number.astype(np.float32))
    moved = jnp.sin(3.0 * x + 0.2)
    following = {
        "env": env,
        "number": number,
        "count": jnp.where(over, 0, count + 1),
        "x": jnp.where(over, fresh, moved),
    }
    return following, step


def example(num_envs: int = NUM_ENVS) -> Any:
    return jax.eval_shape(lambda: play(begin(num_envs))[1]["row"])


def record(recorder: jaxlog.EpisodeRecorder, step: Mapping[str, Any]) -> jaxlog.EpisodeRecorder:
    return jaxlog.record_step(
        recorder, step["row"], step["reward"], step["terminated"], step["truncated"]
    )


def program(
    logger: jaxlog.Logger, every: int = 3, **how: Any
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A training loop that records, and returns all its steps `[updates, steps, envs]`."""

    def rollout(carry: Any, _: None) -> Any:
        state, recorder = carry
        state, step = play(state)
        return (state, record(recorder, step)), step

    def update(carry: Any, step: Any) -> Any:
        carry, steps = lax.scan(rollout, carry, None, LENGTH)
        made, recorder = jaxlog.log_episodes(logger, carry[1], step, every=every, **how)
        return (carry[0], recorder), (steps, made)

    return lambda carry, steps: lax.scan(update, carry, steps)


def cut(steps: Any) -> dict[tuple[int, int], dict[str, Any]]:
    """All whole episodes of the steps `[updates, steps, envs]`, by environment and number."""
    steps = jax.tree.map(numpy, steps)
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), steps)
    over = flat["terminated"] | flat["truncated"]
    found = {}
    for env in range(over.shape[1]):
        start = 0
        for number, end in enumerate(np.flatnonzero(over[:, env]).tolist()):
            own = slice(start, end + 1)
            found[env, number] = jax.tree.map(lambda a, own=own, env=env: a[own, env], flat) | {
                "begin": start,
                "end": end,
            }
            start = end + 1
    return found


def numpy(array: Any) -> np.ndarray:
    is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if is_key else array)


def same(one: Any, other: Any) -> None:
    """Both trees are equal, bit for bit."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def episodes_of(run: jaxlog.Run) -> list[Any]:
    """The `EpisodeEvent`s that the sink `memory` of a run has."""
    return run.sink("memory").episodes


def check(event: Any, whole: Mapping[str, Any]) -> None:
    """A recorded episode is that of the returned steps."""
    same(event.recording.tree, jax.tree.map(lambda a: a[event.recording.steps], whole["row"]))
    same(event.recording.rewards, whole["reward"][event.recording.steps])
    assert event.episode["total_steps"] == len(whole["reward"])
    total = np.float32(0)
    for reward in whole["reward"]:
        total += reward
    assert event.episode["total_reward"] == total
    assert event.episode["end"] == ("terminated" if whole["terminated"][-1] else "truncated")


def of(event: Any) -> tuple[int, int]:
    return event.episode["environment_id"], event.episode["episode_number"]
