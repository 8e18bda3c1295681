"""Returns and lengths of episodes, for environments that have no log wrapper."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxlog._program.shapes import Bool, Num


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EpisodeTracker:
    """The return and length so far of each running episode: a pytree to carry through the rollout.

    Carry it from one rollout to the next, so that episodes which span rollouts are counted whole.

    Attributes:
      returns: `float32[*envs]`, the sum of the rewards so far.
      lengths: `int32[*envs]`, the number of steps so far.
    """

    returns: jax.Array
    lengths: jax.Array

    @staticmethod
    def empty(shape: int | tuple[int, ...] = ()) -> EpisodeTracker:
        """Creates the tracker of environments that were just reset.

        Args:
          shape: the shape of the rewards: the number of environments, or several axes.

        >>> EpisodeTracker.empty(3).lengths.tolist()
        [0, 0, 0]
        """
        return EpisodeTracker(jnp.zeros(shape, np.float32), jnp.zeros(shape, np.int32))

    def step(
        self,
        reward: ArrayLike,
        terminated: ArrayLike,
        truncated: ArrayLike | None = None,
        *,
        first: ArrayLike | None = None,
    ) -> tuple[EpisodeTracker, dict[str, Num[Array, "*envs"]], Bool[Array, "*envs"]]:
        """Adds one step of every environment, and reports which episodes ended.

        Works under `jit`, `vmap` and `scan`. The numbers agree with those of gymnax's `LogWrapper`.
        Lengths count calls: with an action repeat of 4, eight steps of a simulation are two.

        An environment that resets itself in the step that ends an episode (gymnax, brax, pgx) needs
        no `first`. One that resets itself in the step *after* it (dm_env, navix, gymnasium's vector
        environments) has a row between two episodes that belongs to neither; mark it by `first`.

        Args:
          reward: real, of the tracker's shape.
          terminated: `bool`, of that shape: the episode ended, or is done for any reason.
          truncated: `bool`, of that shape: the episode was cut off; None for never.
          first: `bool`, of that shape: this row only resets the environment, as `first()` of a
            dm_env `TimeStep` says. Its reward is ignored, it ends no episode, and the next episode
            begins at 0. None for never.

        Returns:
          The tracker for the next step; the metrics `episode_returns` and `episode_lengths`; and a
          `bool` array that marks the episodes that ended. The last two are `metrics` and `where` of
          `batch_step`, for one step, or stacked by `scan` for a whole rollout. An entry of an
          episode that is still running has its return and length so far.

        Raises:
          TypeError: `terminated`, `truncated` or `first` is not bool.
          ValueError: a shape differs from the tracker's.

        >>> tracker = EpisodeTracker.empty(2)
        >>> tracker, metrics, ended = tracker.step(jnp.ones(2), jnp.array([False, True]))
        >>> tracker, metrics, ended = tracker.step(jnp.ones(2), jnp.array([True, False]))
        >>> metrics["episode_returns"][ended].tolist(), metrics["episode_lengths"][ended].tolist()
        ([2.0], [2])

        In the third step the second environment only resets itself, which is not counted:

        >>> tracker, metrics, ended = tracker.step(
        ...     jnp.ones(2), jnp.array([False, False]), first=jnp.array([False, True])
        ... )
        >>> tracker.returns.tolist(), tracker.lengths.tolist()
        ([1.0, 0.0], [1, 0])
        """
        reward = jnp.asarray(reward)
        optional = {"terminated": terminated, "truncated": truncated, "first": first}
        flags = {name: flag for name, flag in optional.items() if flag is not None}
        for name, value in (("reward", reward), *flags.items()):
            if np.shape(value) != self.returns.shape:
                raise ValueError(
                    f"{name}: got shape {np.shape(value)}, expected {self.returns.shape}, that of "
                    "the tracker; give EpisodeTracker.empty the number of environments"
                )
        for name, value in flags.items():
            if jnp.result_type(value) != np.bool_:
                raise TypeError(
                    f"{name}: got {jnp.result_type(value).name}, expected bool, like `done > 0`"
                )
        ended = jnp.asarray(terminated)
        if truncated is not None:
            ended |= jnp.asarray(truncated)
        returns = self.returns + reward.astype(self.returns.dtype)
        lengths = self.lengths + np.int32(1)
        if first is not None:
            first = jnp.asarray(first)
            ended &= ~first
            returns, lengths = (jnp.where(first, 0, counted) for counted in (returns, lengths))
        tracker = EpisodeTracker(
            jnp.where(ended, np.float32(0), returns), jnp.where(ended, np.int32(0), lengths)
        )
        return tracker, {"episode_returns": returns, "episode_lengths": lengths}, ended
