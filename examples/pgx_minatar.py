"""Actor-critic on pgx's MinAtar Breakout: sampled episodes as pictures, drawn by the game itself.

All of training is one `jax.lax.scan` over updates, and seeds train side by side under `jax.vmap`.
An update takes a few steps in every game and learns from them once (A2C). In `run_update`,
`jaxlog.batch_step` logs, and occasionally samples a few of the episodes that ended. Their first and
last states are states of pgx, which draw themselves for the sink `svg`.

Run it with `python examples/pgx_minatar.py --help`. It needs the extras `demo` and `explore`, since
pgx draws MinAtar with matplotlib. Its drawing calls JAX, too. A GPU runs one program at a time, so
on a GPU the pictures are drawn when training has ended.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib
import optax
import pgx
import tyro

import jaxlog

Params = optax.Params

SETTINGS = {
    "log_frequency": 50,
    "sample_frequency": 500,
    "num_samples": 4,
    "sinks": [{"kind": "jsonl"}, {"kind": "console"}, {"kind": "svg"}],
}


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of one training run."""

    num_envs: int = 128  # games played side by side, per seed
    rollout_length: int = 16  # steps in each game per update
    num_updates: int = 2000  # updates in the whole run; each plays and learns
    learning_rate: float = 3e-3  # Adam's step size at the start, annealed linearly to zero
    gamma: float = 0.99  # discount per step
    gae_lambda: float = 0.8  # 0: one-step advantages, 1: those of the whole rollout
    entropy_coef: float = 0.005  # weight of the entropy bonus
    value_coef: float = 0.5  # weight of the value loss
    max_grad_norm: float = 0.5  # gradients with a larger global norm are scaled down to it


class ActorCritic(nn.Module):
    """Two hidden layers, shared by the action's logits and the state's value."""

    num_actions: int
    width: int = 128

    @nn.compact
    def __call__(self, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the logits, [batch, num_actions], and the value, [batch], of boards."""
        hidden = obs.reshape(obs.shape[0], -1).astype(jnp.float32)
        for _ in range(2):
            hidden = nn.relu(nn.Dense(self.width)(hidden))
        return nn.Dense(self.num_actions)(hidden), nn.Dense(1)(hidden)[:, 0]


class Steps(NamedTuple):
    """A rollout: observations, actions, rewards; leaves are [rollout_length, num_envs, ...]."""

    obs: jax.Array
    action: jax.Array
    value: jax.Array
    reward: jax.Array
    ended: jax.Array


class Episodes(NamedTuple):
    """Metrics and states to log, of the episodes that ended at each step."""

    metrics: dict[str, jax.Array]
    states: dict[str, pgx.State]


class Carry(NamedTuple):
    """The state that one update passes to the next."""

    params: Params
    opt_state: optax.OptState
    state: pgx.State  # of each game, now
    initial_state: pgx.State  # of each game, when its episode began
    tracker: jaxlog.EpisodeTracker
    key: jax.Array


def estimate_advantages(rollout: Steps, last_value: jax.Array, config: Config) -> jax.Array:
    """Return generalised advantage estimates, [rollout_length, num_envs]."""

    def backwards(
        later: tuple[jax.Array, jax.Array], step: Steps
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        next_advantage, next_value = later
        discount = jnp.where(step.ended, 0.0, config.gamma)
        delta = step.reward + discount * next_value - step.value
        advantage = delta + discount * config.gae_lambda * next_advantage
        return (advantage, step.value), advantage

    start = (jnp.zeros_like(last_value), last_value)
    return jax.lax.scan(backwards, start, rollout, reverse=True)[1]


def make_train(config: Config, logger: jaxlog.Logger) -> Callable[[jax.Array], Params]:
    """Return `train(seed)`, to be jitted and vmapped over seeds. It returns the parameters."""
    env = pgx.make("minatar-breakout")
    init, step = jax.vmap(env.init), jax.vmap(env.step)
    network = ActorCritic(env.num_actions)
    forward = cast("Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]]", network.apply)
    schedule = optax.linear_schedule(config.learning_rate, 0.0, config.num_updates)
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule, eps=1e-5)
    )

    def act(carry: Carry, key: jax.Array) -> tuple[Carry, tuple[Steps, Episodes]]:
        """Take one step in every game, and restart the games that end.

        It does not use pgx's `auto_reset`, which replaces the final state by the next episode's.
        """
        action_key, step_key, init_key = jax.random.split(key, 3)
        logits, value = forward(carry.params, carry.state.observation)
        action = jax.random.categorical(action_key, logits)
        state = step(carry.state, action, jax.random.split(step_key, config.num_envs))
        reward = state.rewards[:, 0]  # there is one player
        tracker, metrics, ended = carry.tracker.step(reward, state.terminated, state.truncated)

        fresh = init(jax.random.split(init_key, config.num_envs))
        steps = Steps(carry.state.observation, action, value, reward, ended)
        episodes = Episodes(metrics, {"initial_state": carry.initial_state, "final_state": state})
        carry = carry._replace(
            state=where(ended, fresh, state),
            initial_state=where(ended, fresh, carry.initial_state),
            tracker=tracker,
        )
        return carry, (steps, episodes)

    def loss_of(
        params: Params, rollout: Steps, advantage: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        logits, value = jax.vmap(partial(forward, params))(rollout.obs)
        log_probs = nn.log_softmax(logits)
        log_prob = jnp.take_along_axis(log_probs, rollout.action[..., None], axis=-1)[..., 0]
        policy_loss = -(log_prob * advantage).mean()
        value_loss = 0.5 * jnp.square(value - (rollout.value + advantage)).mean()
        entropy = -(jnp.exp(log_probs) * log_probs).sum(axis=-1).mean()
        loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
        return loss, {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}

    def run_update(seed: jax.Array, carry: Carry, update: jax.Array) -> tuple[Carry, None]:
        """Play a few steps, learn from them, and log."""
        key, act_key = jax.random.split(carry.key)
        carry, (rollout, episodes) = jax.lax.scan(
            act, carry._replace(key=key), jax.random.split(act_key, config.rollout_length)
        )
        last_value = forward(carry.params, carry.state.observation)[1]
        advantage = estimate_advantages(rollout, last_value, config)
        gradients, losses = jax.grad(loss_of, has_aux=True)(carry.params, rollout, advantage)
        changes, opt_state = optimizer.update(gradients, carry.opt_state, carry.params)

        jaxlog.batch_step(
            logger,
            update,
            episodes.metrics | losses,
            where=rollout.ended,
            details=episodes.states,
            labels={"seed": seed},
        )
        params = optax.apply_updates(carry.params, changes)
        return carry._replace(params=params, opt_state=opt_state), None

    def train(seed: jax.Array) -> Params:
        key, params_key, init_key = jax.random.split(jax.random.key(seed), 3)
        state = init(jax.random.split(init_key, config.num_envs))
        params = network.init(params_key, state.observation)
        tracker = jaxlog.EpisodeTracker.empty(config.num_envs)
        carry = Carry(params, optimizer.init(params), state, state, tracker, key)
        updates = jnp.arange(config.num_updates)
        return jax.lax.scan(partial(run_update, seed), carry, updates)[0].params

    return train


@jax.vmap
def where(ended: jax.Array, fresh: pgx.State, state: pgx.State) -> pgx.State:
    """Return for each game `fresh` if its episode has ended, otherwise `state`."""
    return jax.tree.map(partial(jnp.where, ended), fresh, state)


def main(
    directory: Path | None = None,
    num_updates: int = Config.num_updates,
    num_envs: int = Config.num_envs,
    num_seeds: int = 2,
) -> None:
    """A2C on MinAtar Breakout, logged from inside jit, with pictures of sampled episodes.

    Args:
      directory: Directory of the run; by default a new one in `runs`.
      num_updates: Number of updates of each seed.
      num_envs: Number of games that each seed plays side by side.
      num_seeds: Number of seeds that train side by side.
    """
    matplotlib.use("agg")  # the sink draws on a thread of its own, where no window may be opened
    config = Config(num_updates=num_updates, num_envs=num_envs)
    settings: dict[str, Any] = SETTINGS | {
        "env_steps_per_update": config.num_envs * config.rollout_length
    }
    logger = jaxlog.Logger(settings, total_updates=config.num_updates)
    directory = directory or Path("runs") / time.strftime("pgx_minatar-%Y%m%d-%H%M%S")
    train = jax.jit(jax.vmap(make_train(config, logger)))
    with logger.open(directory, config=dataclasses.asdict(config)):
        jax.block_until_ready(train(jnp.arange(num_seeds)))

    print(f"\nThe run is in {directory}. Pictures of its sampled episodes, for a browser:")
    for sheet in sorted(directory.glob("svg/batch/*/sheet.svg")):
        print(f"  {sheet}")
    print("\nCurves and pictures in one file:")
    print(f"  jaxlog report {directory} -o report.html")


if __name__ == "__main__":
    tyro.cli(main)
