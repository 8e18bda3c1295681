"""Whole episodes of gymnax's CartPole, recorded in the compiled program and drawn afterwards.

A small policy learns with REINFORCE. All of training is one `jax.lax.scan` over updates, and each
update plays some steps in every environment. The recorder in the carry follows four episodes of
them step by step, over the borders of rollouts: `jaxlog.record_step` records each step, and
`jaxlog.log_episodes` logs the episodes that have ended. `films` reads them and draws them.

Run it with `python examples/record_cartpole.py`, or with `--help`. It needs the extra `demo`, and
Pillow, which matplotlib brings, for the film.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import jaxlog

SETTINGS = {
    "log_frequency": 20,
    "sample_frequency": 20,
    "sampling_enabled": {"batch": False},  # episodes are recorded whole instead
    "sinks": [{"kind": "jsonl", "keep_episodes": 40}, {"kind": "console"}],
}


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of one training run."""

    num_envs: int = 256  # environments stepped side by side
    rollout_length: int = 64  # steps each environment takes per update
    num_updates: int = 200  # updates in the whole run
    learning_rate: float = 0.02  # Adam's step size
    gamma: float = 0.97  # discount per step
    num_episodes: int = 4  # episodes that are followed at a time
    max_steps: int = 500  # steps that are kept of an episode; CartPole ends at 500
    seed: int = 0


class Carry(NamedTuple):
    """The state that one update passes to the next."""

    weights: jax.Array  # of a policy that is linear in the observation
    opt_state: Any
    env_state: Any
    obs: jax.Array
    key: jax.Array
    tracker: jaxlog.EpisodeTracker
    recorder: jaxlog.EpisodeRecorder


def train(config: Config, logger: jaxlog.Logger) -> jax.Array:
    """Train in one program; return the weights of the policy."""
    env, params = gymnax.make("CartPole-v1")
    reset = jax.vmap(env.reset, in_axes=(0, None))
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
    optimizer = optax.adam(config.learning_rate)

    def play(carry: Carry, _: None) -> tuple[Carry, Any]:
        """Take one step in every environment, and record it."""
        key, action_key, step_key = jax.random.split(carry.key, 3)
        action = jax.random.bernoulli(action_key, jax.nn.sigmoid(carry.obs @ carry.weights))
        obs, env_state, reward, terminated, truncated, _ = step(
            jax.random.split(step_key, config.num_envs),
            carry.env_state,
            action.astype(jnp.int32),
            params,
        )
        taken = {"state": carry.env_state, "action": action}  # before the environment resets
        recorder = jaxlog.record_step(carry.recorder, taken, reward, terminated, truncated)
        tracker, metrics, ended = carry.tracker.step(reward, terminated, truncated)
        steps = carry.obs, action, reward, terminated | truncated
        carry = carry._replace(
            env_state=env_state, obs=obs, key=key, tracker=tracker, recorder=recorder
        )
        return carry, (steps, metrics, ended)

    def loss_of(weights: jax.Array, obs: jax.Array, action: jax.Array, gain: jax.Array) -> Any:
        logits = jnp.where(action, 1.0, -1.0) * (obs @ weights)
        return -(jax.nn.log_sigmoid(logits) * gain).mean()

    def update(carry: Carry, number: jax.Array) -> tuple[Carry, None]:
        """Play, learn and log."""
        carry, (steps, metrics, ended) = jax.lax.scan(play, carry, None, config.rollout_length)
        obs, action, reward, done = steps

        def backwards(later: jax.Array, one: Any) -> Any:
            reward, done = one
            gain = reward + config.gamma * jnp.where(done, 0.0, later)
            return gain, gain

        _, gain = jax.lax.scan(backwards, jnp.zeros_like(reward[0]), (reward, done), reverse=True)
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        loss, gradient = jax.value_and_grad(loss_of)(carry.weights, obs, action, gain)
        changes, opt_state = optimizer.update(gradient, carry.opt_state)
        jaxlog.batch_step(logger, number, metrics | {"policy_loss": loss}, where=ended)
        _, recorder = jaxlog.log_episodes(logger, carry.recorder, number)
        carry = carry._replace(
            weights=cast("jax.Array", optax.apply_updates(carry.weights, changes)),
            opt_state=opt_state,
            recorder=recorder,
        )
        return carry, None

    key, reset_key = jax.random.split(jax.random.key(config.seed))
    obs, env_state = reset(jax.random.split(reset_key, config.num_envs), params)
    weights = jnp.zeros(4)
    recorder = jaxlog.empty_recorder(
        logger,
        {"state": env_state, "action": jnp.zeros(config.num_envs, bool)},
        num_episodes=config.num_episodes,
        max_steps=config.max_steps,
    )
    tracker = jaxlog.EpisodeTracker.empty(config.num_envs)
    carry = Carry(weights, optimizer.init(weights), env_state, obs, key, tracker, recorder)
    run = jax.jit(lambda carry: jax.lax.scan(update, carry, jnp.arange(config.num_updates))[0])
    return run(carry).weights


def draw(step: Any, height: int = 80, width: int = 240) -> np.ndarray:
    """Draw the cart and its pole in one step: uint8[height, width, 3]."""
    picture = np.full((height, width, 3), 255, np.uint8)
    ground, length = height - 12, height // 2
    picture[ground] = 0
    x = width / 2 + step["state"]["x"] / 2.4 * (width / 2 - 20)
    row, column = np.mgrid[:height, :width]
    picture[(abs(column - x) <= 14) & (row < ground) & (row >= ground - 10)] = (60, 60, 60)
    # The distance of each pixel from the pole, a line from the cart's top.
    sine, cosine = np.sin(step["state"]["theta"]), np.cos(step["state"]["theta"])
    right, up = column - x, ground - 10 - row
    along = np.clip(right * sine + up * cosine, 0, length)
    distance = np.hypot(right - along * sine, up - along * cosine)
    picture[distance <= 2] = (200, 120, 40)
    side = 1 if step["action"] else -1  # where the cart is pushed to
    picture[(abs(column - x - side * 20) <= 3) & (abs(row - ground + 5) <= 3)] = (40, 90, 200)
    return picture


def films(directory: Path) -> list[Path]:
    """Draw the first and the longest recorded episode of a run as animated WebP."""
    from PIL import Image

    episodes = jaxlog.read_run(directory).recordings
    if not episodes:
        return []
    longest = max(episodes, key=lambda one: one.episode["total_steps"])
    made = []
    for name, episode in (("first", episodes[0]), ("longest", longest)):
        first, *rest = [Image.fromarray(frame) for frame in episode.frames(draw)]
        path = directory / f"{name}.webp"
        # CartPole has 50 steps a second.
        first.save(path, save_all=True, append_images=rest, duration=20, loop=0, lossless=True)
        made.append(path)
        print(f"{path}: update {episode.step}, {episode.episode['total_steps']} steps")
    return made


def main(directory: Path | None = None, num_updates: int = Config.num_updates) -> jax.Array:
    """CartPole, with whole episodes recorded from inside jit, and films of two of them.

    Args:
      directory: Directory of the run; by default a new one in `runs`.
      num_updates: Number of updates.
    """
    config = Config(num_updates=num_updates)
    env_steps = config.num_envs * config.rollout_length
    settings = jaxlog.load_config(SETTINGS, env_steps_per_update=env_steps)
    logger = jaxlog.Logger(settings, total_updates=num_updates)
    directory = directory or Path("runs") / time.strftime("record_cartpole-%Y%m%d-%H%M%S")
    with logger.open(directory, config=dataclasses.asdict(config)):
        weights = jax.block_until_ready(train(config, logger))
    films(directory)
    print(f"The run is in {directory}. Its episodes: jaxlog.read_run({str(directory)!r}).episodes")
    return weights


if __name__ == "__main__":
    tyro.cli(main)
