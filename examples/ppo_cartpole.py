"""PPO on gymnax's CartPole-v1: all of training in one compiled program, logged while it runs.

One `jax.lax.scan` over updates collects a rollout, estimates advantages and learns, and four seeds
train side by side under one `jax.vmap`. `run_update` calls `jaxlog.window_step`, which logs; the
window in the carry makes each line cover all updates since the last. `main` opens the run.

Run it with `jaxlog demo`, or `python examples/ppo_cartpole.py --help`. It needs the extra `demo`.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import gymnax
import jax
import jax.numpy as jnp
import optax
import tyro
from gymnax.wrappers import LogWrapper
from jax.typing import ArrayLike

import jaxlog

Params = optax.Params
Outputs = dict[str, jax.Array]
Keep = Callable[[Outputs, jax.Array], Any]


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of one training run."""

    num_envs: int = 32  # environments stepped side by side, per seed
    rollout_length: int = 128  # steps each environment takes per update
    num_updates: int = 300  # updates in the whole run; each collects a rollout and learns
    learning_rate: float = 5e-4  # Adam's step size at the start, annealed linearly to zero
    gamma: float = 0.99  # discount per step
    gae_lambda: float = 0.95  # 0: one-step advantages, 1: whole-episode advantages
    clip: float = 0.2  # the probability ratio is clipped to 1 - clip and 1 + clip
    epochs: int = 4  # passes over each rollout
    minibatches: int = 8  # gradient steps per pass; divides rollout_length * num_envs
    entropy_coef: float = 0.01  # weight of the entropy bonus
    value_coef: float = 0.5  # weight of the value loss
    max_grad_norm: float = 0.5  # gradients with a larger global norm are scaled down to it


class ActorCritic(nn.Module):
    """Two separate tanh networks: one for the action's logits, one for the state's value."""

    num_actions: int
    width: int = 64

    @nn.compact
    def __call__(self, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the logits, [..., num_actions], and the value, [...]."""

        def mlp(size: int) -> jax.Array:
            hidden = obs
            for _ in range(2):
                hidden = nn.tanh(nn.Dense(self.width)(hidden))
            # With small weights the first actions are almost uniform, the first values near zero.
            # They are not orthogonal: on a CPU, XLA's thread pool can stall in a batched matrix
            # decomposition. It does so with JAXLOG=off, too, so jaxlog is not the cause.
            return nn.Dense(size, kernel_init=nn.initializers.normal(0.01))(hidden)

        return mlp(self.num_actions), mlp(1)[..., 0]


class Steps(NamedTuple):
    """A rollout of the policy; leaves are [rollout_length, num_envs, ...], or flat."""

    obs: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array


Batch = tuple[Steps, jax.Array, jax.Array]  # the steps, their advantages, their value targets


class Carry(NamedTuple):
    """The state that one update passes to the next."""

    params: Params
    opt_state: optax.OptState
    env_state: Any
    obs: jax.Array
    key: jax.Array
    window: jaxlog.Window  # statistics of the updates since the last line


def log_prob_of(logits: jax.Array, action: jax.Array) -> jax.Array:
    """Return the log-probability of each action under its logits."""
    return jnp.take_along_axis(nn.log_softmax(logits), action[..., None], axis=-1)[..., 0]


def estimate_advantages(rollout: Steps, next_value: jax.Array, config: Config) -> jax.Array:
    """Return generalised advantage estimates, [rollout_length, num_envs].

    `next_value` is the value of the state that each step led to, before any reset. After a
    termination there is no future reward, so its bootstrap value is 0; after a truncation there is,
    so the value is kept. At both, the sum over later steps ends, since they are another episode.
    """
    bootstrap = jnp.where(rollout.terminated, 0.0, next_value)
    delta = rollout.reward + config.gamma * bootstrap - rollout.value
    decay = jnp.where(rollout.done, 0.0, config.gamma * config.gae_lambda)

    def backwards(
        later: jax.Array, step: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        delta, decay = step
        advantage = delta + decay * later
        return advantage, advantage

    return jax.lax.scan(backwards, jnp.zeros_like(delta[0]), (delta, decay), reverse=True)[1]


class Training(NamedTuple):
    """Training as two functions, to be jitted and vmapped over seeds."""

    start: Callable[[jax.Array], Carry]  # from a seed
    advance: Callable[[jax.Array, Carry, jax.Array], tuple[Carry, Any]]  # seed, carry, updates


def make_train(
    config: Config,
    logger: jaxlog.Logger,
    keep: Keep = lambda *_: None,
    labels: Mapping[str, jax.Array] | None = None,
) -> Callable[[jax.Array], tuple[Params, Any]]:
    """Return `train(seed)`, to be jitted and vmapped over seeds.

    It returns the parameters, and the result of `keep(metrics, finished)` for each update. By
    default `keep` returns nothing: the metrics are logged, and arrays of every step would fill the
    memory. `labels` are further labels of the lane, beside its seed.
    """
    start, advance = make_training(config, logger, keep, labels)

    def train(seed: jax.Array) -> tuple[Params, Any]:
        carry, kept = advance(seed, start(seed), jnp.arange(config.num_updates))
        return carry.params, kept

    return train


def make_training(
    config: Config,
    logger: jaxlog.Logger,
    keep: Keep = lambda *_: None,
    labels: Mapping[str, jax.Array] | None = None,
) -> Training:
    """Return the two parts of `make_train`, to train for a few updates at a time."""
    base_env, env_params = gymnax.make("CartPole-v1")
    env = LogWrapper(base_env)
    reset = jax.vmap(env.reset, in_axes=(0, None))
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
    network = ActorCritic(env.num_actions)
    forward = cast("Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]]", network.apply)
    gradient_steps = config.epochs * config.minibatches
    schedule = optax.linear_schedule(config.learning_rate, 0.0, config.num_updates * gradient_steps)
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule, eps=1e-5)
    )

    def act(carry: Carry, key: jax.Array) -> tuple[Carry, tuple[Steps, Outputs]]:
        """Take one step in every environment."""
        action_key, step_key = jax.random.split(key)
        logits, value = forward(carry.params, carry.obs)
        action = jax.random.categorical(action_key, logits)
        obs, env_state, reward, terminated, truncated, info = step(
            jax.random.split(step_key, config.num_envs), carry.env_state, action, env_params
        )
        log_prob, done = log_prob_of(logits, action), terminated | truncated
        taken = Steps(carry.obs, action, log_prob, value, reward, terminated, done)
        return carry._replace(env_state=env_state, obs=obs), (taken, info)

    def loss_of(params: Params, batch: Batch) -> tuple[jax.Array, Outputs]:
        steps, advantage, target = batch
        logits, value = forward(params, steps.obs)
        ratio = jnp.exp(log_prob_of(logits, steps.action) - steps.log_prob)
        clipped = jnp.clip(ratio, 1.0 - config.clip, 1.0 + config.clip)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        policy_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
        value_loss = 0.5 * jnp.square(value - target).mean()
        entropy = -(nn.softmax(logits) * nn.log_softmax(logits)).sum(axis=-1).mean()
        loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
        return loss, {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}

    def learn(
        state: tuple[Params, optax.OptState], batch: Batch
    ) -> tuple[tuple[Params, optax.OptState], Outputs]:
        """Take one gradient step on one minibatch."""
        params, opt_state = state
        gradients, losses = jax.grad(loss_of, has_aux=True)(params, batch)
        changes, opt_state = optimizer.update(gradients, opt_state, params)
        losses["gradient_norm"] = optax.tree.norm(gradients)
        return (optax.apply_updates(params, changes), opt_state), losses

    def improve(carry: Carry, update: ArrayLike) -> tuple[Carry, Outputs, jax.Array, Outputs]:
        """Collect one rollout and learn from it; return metrics, mask and details to log, too."""
        key, act_key, order_key = jax.random.split(carry.key, 3)
        carry, (rollout, info) = jax.lax.scan(
            act, carry._replace(key=key), jax.random.split(act_key, config.rollout_length)
        )

        next_value = forward(carry.params, info["final_observation"])[1]
        advantage = estimate_advantages(rollout, next_value, config)
        target = advantage + rollout.value
        batch = (rollout, advantage, target)
        batch = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch)

        shuffle = jax.vmap(lambda key: jax.random.permutation(key, target.size))
        order = shuffle(jax.random.split(order_key, config.epochs)).reshape(gradient_steps, -1)
        (params, opt_state), losses = jax.lax.scan(
            lambda state, rows: learn(state, jax.tree.map(lambda leaf: leaf[rows], batch)),
            (carry.params, carry.opt_state),
            order,
        )

        metrics, finished = jaxlog.from_info(info)
        metrics |= jax.tree.map(jnp.mean, losses)
        metrics["explained_variance"] = 1.0 - advantage.var() / (target.var() + 1e-8)
        metrics["learning_rate"] = schedule(update * gradient_steps)
        details = {"final_state": info["final_observation"]}
        return carry._replace(params=params, opt_state=opt_state), metrics, finished, details

    def run_update(seed: jax.Array, carry: Carry, update: jax.Array) -> tuple[Carry, Any]:
        """Collect one rollout, learn from it, and log."""
        carry, metrics, finished, details = improve(carry, update)
        _, window = jaxlog.window_step(
            logger,
            carry.window,
            update,
            metrics,
            where=finished,
            details=details,
            labels={**(labels or {}), "seed": seed},
        )
        return carry._replace(window=window), keep(metrics, finished)

    def start(seed: jax.Array) -> Carry:
        key, init_key, reset_key = jax.random.split(jax.random.key(seed), 3)
        obs, env_state = reset(jax.random.split(reset_key, config.num_envs), env_params)
        params = network.init(init_key, obs)
        carry = Carry(params, optimizer.init(params), env_state, obs, key, jaxlog.Window())
        _, metrics, _, _ = jax.eval_shape(improve, carry, 0)  # the shapes of the metrics
        return carry._replace(window=jaxlog.empty_window(logger, metrics))

    def advance(seed: jax.Array, carry: Carry, updates: jax.Array) -> tuple[Carry, Any]:
        return jax.lax.scan(partial(run_update, seed), carry, updates)

    return Training(start, advance)


def make_logger(config: Config, settings: Path) -> jaxlog.Logger:
    """Return a logger with the settings of a file, which knows how many updates there are."""
    env_steps = config.num_envs * config.rollout_length
    return jaxlog.Logger(
        jaxlog.load_config(settings, env_steps_per_update=env_steps),
        total_updates=config.num_updates,
    )


SETTINGS = Path(__file__).parent.parent / "configs" / "batched.yaml"


def main(
    settings: Path = SETTINGS,
    directory: Path | None = None,
    num_updates: int = Config.num_updates,
    num_seeds: int = 4,
) -> None:
    """PPO on CartPole-v1, logged from inside jit: trains several seeds and prints their returns.

    Args:
      settings: Settings file of the logger.
      directory: Directory of the run; by default a new one in `runs`.
      num_updates: Number of updates of each seed.
      num_seeds: Number of seeds that train side by side.
    """
    config = Config(num_updates=num_updates)
    logger = make_logger(config, settings)
    directory = directory or Path("runs") / time.strftime("ppo_cartpole-%Y%m%d-%H%M%S")
    train = jax.jit(jax.vmap(make_train(config, logger)))
    with logger.open(directory, config=dataclasses.asdict(config)):
        jax.block_until_ready(train(jnp.arange(num_seeds)))

    metrics = directory / "batch_metrics.jsonl"
    if not metrics.exists():  # the settings have no sink jsonl
        return
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    last = {
        line["labels"]["seed"]: line
        for line in lines  # lines over all seeds have no labels
        if "labels" in line and "episode_return_mean" in line["metrics"]
    }
    print("\nMean return of the episodes that the last line covers:")
    for seed, line in last.items():
        print(f"  seed {seed}: {line['metrics']['episode_return_mean']:.1f}")
    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog serve {directory.parent}")
    print(f"  jaxlog show {directory}")
    print(f"  head -n 1 {directory / 'episodes.jsonl'} | python3 -m json.tool")


if __name__ == "__main__":
    tyro.cli(main)
