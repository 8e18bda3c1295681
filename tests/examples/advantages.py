"""Generalised advantage estimates as Schulman et al. (2016) define them: sums, in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Rollout(NamedTuple):
    """Six steps of two environments; in one an episode comes to its end, in the other it is cut."""

    value: np.ndarray
    reward: np.ndarray
    next_value: np.ndarray  # of the state that each step led to
    terminated: np.ndarray
    done: np.ndarray


def a_rollout() -> Rollout:
    value, reward, next_value = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
    terminated, truncated = np.zeros((2, 6, 2), bool)
    terminated[1, 0] = truncated[3, 1] = True
    return Rollout(value, reward, next_value, terminated, terminated | truncated)


def advantages_of(rollout: Rollout, settings: Any) -> np.ndarray:
    future = np.where(rollout.terminated, 0.0, settings.gamma * rollout.next_value.astype(float))
    deltas = rollout.reward + future - rollout.value
    found = np.zeros(deltas.shape)
    for start, env in np.ndindex(found.shape):
        (ends,) = np.nonzero(rollout.done[start:, env])
        seen = deltas[start:, env][: ends[0] + 1 if ends.size else None]
        weights = (settings.gamma * settings.gae_lambda) ** np.arange(len(seen))
        found[start, env] = weights @ seen
    return found
