"""Whole episodes of pgx's MinAtar Breakout, as films that the game draws itself.

It learns as `pgx_minatar.py` does, with one seed. In `play`, `jaxlog.record_step` follows a few
games step by step, each from its first ball to its last. The recorder is told the name of the
environment, so that `jaxlog export --renderer pgx` draws the recorded states afterwards.

Run it with `python examples/record_minatar.py`, or with `--help`. It needs the extras `demo`,
`explore` and `film`, since pgx draws MinAtar with matplotlib.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
import pgx
import tyro
from flax import linen as nn
from pgx_minatar import ActorCritic, Config, Params, Steps, estimate_advantages, where

import jaxlog

GAME = "minatar-breakout"
SETTINGS = {
    "log_frequency": 50,
    "sample_frequency": 500,
    "sampling_enabled": {"batch": False},  # episodes are recorded whole instead
    # Of the films, those of the newest, the best and the worst episodes are kept.
    "sinks": [{"kind": "jsonl", "keep_episodes": 6}, {"kind": "console"}],
}


class Carry(NamedTuple):
    """The state that one update passes to the next."""

    params: Params
    opt_state: optax.OptState
    state: pgx.State  # of each game
    tracker: jaxlog.EpisodeTracker
    recorder: jaxlog.EpisodeRecorder


def train(config: Config, logger: jaxlog.Logger, key: jax.Array) -> Params:
    """Train in one program; return the parameters."""
    env = pgx.make(GAME)
    init, step = jax.vmap(env.init), jax.vmap(env.step)
    network = ActorCritic(env.num_actions)
    forward = cast("Any", network.apply)
    schedule = optax.linear_schedule(config.learning_rate, 0.0, config.num_updates)
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule, eps=1e-5)
    )

    def play(carry: Carry, key: jax.Array) -> tuple[Carry, Any]:
        """Take one step in every game, record it, and restart the games that end."""
        action_key, step_key, init_key = jax.random.split(key, 3)
        logits, value = forward(carry.params, carry.state.observation)
        action = jax.random.categorical(action_key, logits)
        state = step(carry.state, action, jax.random.split(step_key, config.num_envs))
        reward = state.rewards[:, 0]  # there is one player
        recorder = jaxlog.record_step(
            carry.recorder, {"state": carry.state, "action": action}, reward, state.terminated
        )
        tracker, metrics, ended = carry.tracker.step(reward, state.terminated)
        steps = Steps(carry.state.observation, action, value, reward, ended)
        fresh = init(jax.random.split(init_key, config.num_envs))
        state = where(ended, fresh, state)
        return carry._replace(state=state, tracker=tracker, recorder=recorder), (steps, metrics)

    def loss_of(params: Params, rollout: Steps, advantage: jax.Array) -> jax.Array:
        logits, value = jax.vmap(partial(forward, params))(rollout.obs)
        log_probs = nn.log_softmax(logits)
        log_prob = jnp.take_along_axis(log_probs, rollout.action[..., None], axis=-1)[..., 0]
        value_loss = 0.5 * jnp.square(value - (rollout.value + advantage)).mean()
        entropy = -(jnp.exp(log_probs) * log_probs).sum(axis=-1).mean()
        policy_loss = -(log_prob * advantage).mean()
        return policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy

    def update(carry: Carry, inputs: tuple[jax.Array, jax.Array]) -> tuple[Carry, None]:
        """Play a few steps, learn from them, and log."""
        number, key = inputs
        carry, (rollout, metrics) = jax.lax.scan(
            play, carry, jax.random.split(key, config.rollout_length)
        )
        last_value = forward(carry.params, carry.state.observation)[1]
        advantage = estimate_advantages(rollout, last_value, config)
        loss, gradients = jax.value_and_grad(loss_of)(carry.params, rollout, advantage)
        changes, opt_state = optimizer.update(gradients, carry.opt_state, carry.params)
        jaxlog.batch_step(logger, number, metrics | {"loss": loss}, where=rollout.ended)
        _, recorder = jaxlog.log_episodes(logger, carry.recorder, number)
        params = optax.apply_updates(carry.params, changes)
        return carry._replace(params=params, opt_state=opt_state, recorder=recorder), None

    params_key, init_key, play_key = jax.random.split(key, 3)
    state = init(jax.random.split(init_key, config.num_envs))
    params = network.init(params_key, state.observation)
    recorder = jaxlog.empty_recorder(
        logger,
        {"state": state, "action": jnp.zeros(config.num_envs, int)},
        num_episodes=2,
        renderer=f"pgx/{GAME}",
    )
    tracker = jaxlog.EpisodeTracker.empty(config.num_envs)
    carry = Carry(params, optimizer.init(params), state, tracker, recorder)
    updates = jnp.arange(config.num_updates), jax.random.split(play_key, config.num_updates)
    return jax.lax.scan(update, carry, updates)[0].params


def main(
    directory: Path | None = None,
    num_updates: int = Config.num_updates,
    num_envs: int = Config.num_envs,
) -> None:
    """A2C on MinAtar Breakout, with films of episodes recorded from inside jit.

    Args:
      directory: Directory of the run; by default a new one in `runs`.
      num_updates: Number of updates.
      num_envs: Number of games played side by side.
    """
    config = Config(num_updates=num_updates, num_envs=num_envs)
    settings = jaxlog.load_config(
        SETTINGS, env_steps_per_update=config.num_envs * config.rollout_length
    )
    logger = jaxlog.Logger(settings, total_updates=config.num_updates)
    directory = directory or Path("runs") / time.strftime("record_minatar-%Y%m%d-%H%M%S")
    with logger.open(directory, config=dataclasses.asdict(config)):
        jax.block_until_ready(jax.jit(partial(train, config, logger))(jax.random.key(0)))
    films = ["export", str(directory), "--episodes", "gif", "--renderer", "pgx"]
    print(f"\nThe run is in {directory}. Its films: jaxlog {' '.join(films)}")
    subprocess.run([sys.executable, "-m", "jaxlog", *films], check=True)


if __name__ == "__main__":
    tyro.cli(main)
