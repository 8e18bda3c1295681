from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlog import EpisodeTracker
from jaxlog.statistics import Moments


def test_a_truncated_episode_has_ended() -> None:
    tracker = EpisodeTracker.empty()
    tracker, _, ended = tracker.step(1.0, False, False)
    assert not bool(ended)
    tracker, metrics, ended = tracker.step(2.0, False, True)
    assert bool(ended)
    assert (float(metrics["episode_returns"]), int(metrics["episode_lengths"])) == (3.0, 2)
    assert (float(tracker.returns), int(tracker.lengths)) == (0.0, 0)


def test_lanes_and_any_axes() -> None:
    tracker = jax.vmap(lambda _: EpisodeTracker.empty((2, 3)))(jnp.arange(4))
    step = jax.vmap(lambda tracker, reward, done: tracker.step(reward, done))
    reward = jnp.arange(24.0).reshape(4, 2, 3)
    tracker, metrics, _ = step(tracker, reward, reward > 5)
    assert metrics["episode_returns"].tolist() == reward.tolist()
    assert tracker.returns.tolist() == jnp.where(reward > 5, 0.0, reward).tolist()


LENGTHS = np.array([[3, 1, 4, 2, 6], [1, 1, 5, 3, 2]])  # of the episodes of two environments


def reset_in_the_next_step(state: tuple[jax.Array, jax.Array]) -> Any:
    """A step of two environments as dm_env has them: the call after an end resets, and is no step.

    Its reward there is NaN, where dm_env has None, and its flag of the end stays up.
    """
    episode, moved = state  # moved is -1 after an end
    first = moved < 0
    moved = moved + 1
    length = jnp.take_along_axis(jnp.asarray(LENGTHS), episode[:, None] % 5, axis=1)[:, 0]
    last = ~first & (moved == length)
    reward = jnp.where(first, jnp.nan, (10 * episode + moved).astype(float))
    state = (jnp.where(last, episode + 1, episode), jnp.where(last, -1, moved))
    return state, (reward, last | first, first)


def test_rows_that_only_reset_are_no_steps() -> None:
    def step(carry: Any, _: None) -> Any:
        tracker, state = carry
        state, (reward, done, first) = reset_in_the_next_step(state)
        tracker, metrics, ended = tracker.step(reward, done, first=first)
        return (tracker, state), (metrics, ended, reward, first)

    begin = (EpisodeTracker.empty(2), (jnp.zeros(2, np.int32), jnp.zeros(2, np.int32)))
    _, (metrics, ended, rewards, first) = jax.jit(lambda: jax.lax.scan(step, begin, None, 30))()
    for env, lengths in enumerate(LENGTHS):
        mine = np.asarray(ended[:, env])
        assert metrics["episode_lengths"][mine, env].tolist()[:5] == lengths.tolist()
        returns = [sum(10.0 * i + t for t in range(1, n + 1)) for i, n in enumerate(lengths)]
        assert metrics["episode_returns"][mine, env].tolist()[:5] == returns
        assert first[:, env].sum() >= 4
    # Means over steps leave these rows out by the mask.
    steps = Moments.of(rewards, where=~first)
    kept = np.asarray(rewards, np.float64)[~np.asarray(first)]
    assert (int(steps.count), int(steps.nonfinite)) == (kept.size, 0)
    np.testing.assert_allclose(steps.mean, kept.mean(), rtol=1e-6)


def test_a_reset_in_the_middle_of_an_episode_begins_another() -> None:
    tracker, _, _ = EpisodeTracker.empty().step(5.0, False)
    tracker, metrics, ended = tracker.step(7.0, False, first=True)
    assert (float(metrics["episode_returns"]), bool(ended)) == (0.0, False)
    tracker, metrics, ended = tracker.step(2.0, True, first=False)
    assert (float(metrics["episode_returns"]), int(metrics["episode_lengths"])) == (2.0, 1)
    assert bool(ended)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((np.ones(3), np.ones(2, bool)), ValueError, r"reward: got shape \(3,\), expected \(2,\)"),
        ((np.ones(2), np.ones(2)), TypeError, "terminated: got float32, expected bool"),
        ((np.ones(2), np.ones(2, bool), np.zeros(1, bool)), ValueError, "truncated: got shape"),
        ((np.ones(2), np.ones(2, bool), None, np.zeros(3, bool)), ValueError, "first: got shape"),
        ((np.ones(2), np.ones(2, bool), None, np.zeros(2)), TypeError, "first: got float32, exp"),
    ],
)
def test_what_is_no_step(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        EpisodeTracker.empty(2).step(*arguments[:3], first=(*arguments, *[None] * 4)[3])
