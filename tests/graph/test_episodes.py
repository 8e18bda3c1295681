from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlog import EpisodeTracker


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


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((np.ones(3), np.ones(2, bool)), ValueError, r"reward: got shape \(3,\), expected \(2,\)"),
        ((np.ones(2), np.ones(2)), TypeError, "terminated: got float32, expected bool"),
        ((np.ones(2), np.ones(2, bool), np.zeros(1, bool)), ValueError, "truncated: got shape"),
    ],
)
def test_what_is_no_step(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        EpisodeTracker.empty(2).step(*arguments)
