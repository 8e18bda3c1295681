"""What does it cost to record a few whole episodes of many environments?

A recorder that follows 4 environments is compared with the same program without it, in a PPO update
and in bare rollouts of 64 to 16 384 environments, and with a program that returns the states of all
environments from `scan`. The environments are gymnax's CartPole, whose steps are the cheapest, and
its Breakout-MinAtar. Times are those of the processor, for one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import gymnax
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

import jaxlog
from benchmarks.timing import (
    Program,
    Row,
    fastest,
    measured_on_one_thread,
    print_measured,
    tell,
    typical,
)
from examples.ppo_cartpole import ActorCritic, Config, Steps, estimate_advantages, log_prob_of

Mode = Literal["plain", "recorded", "returned"]
EPISODES = 4
NUM_ENVS = 2048
SIZES = (64, 2048, 16384)
CARTPOLE, BREAKOUT = "CartPole-v1", "Breakout-MinAtar"
MAX_STEPS = 500
LENGTH = 128
CONFIG = Config(num_envs=NUM_ENVS, rollout_length=16)
LOGGER = jaxlog.Logger({"sample_frequency": 1, "sinks": []})


class Carry(NamedTuple):
    """The state that one step passes to the next."""

    params: Any
    opt_state: Any
    state: Any
    obs: jax.Array
    key: jax.Array
    recorder: jaxlog.EpisodeRecorder


class Rollout(NamedTuple):
    """A program's parts: the first carry, and a function that plays some steps."""

    start: Carry
    play: Callable[[Carry, int], tuple[Carry, tuple[Steps, Any]]]
    forward: Callable[[Any, jax.Array], tuple[jax.Array, jax.Array]]
    optimizer: optax.GradientTransformation


def rollout_of(name: str, num_envs: int, mode: Mode, *, policy: bool) -> Rollout:
    """Makes the rollout of an environment, with random actions or those of a network."""
    env, params = gymnax.make(name)
    reset, step = (
        jax.vmap(f, in_axes=(*axes, None))
        for f, axes in (
            (env.reset, (0,)),
            (env.step, (0, 0, 0)),
        )
    )
    network = ActorCritic(env.num_actions)
    forward = cast("Any", network.apply)
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(CONFIG.learning_rate))

    def act(carry: Carry, _: None) -> Any:
        key, action_key, step_key = jax.random.split(carry.key, 3)
        if policy:
            logits, value = forward(carry.params, carry.obs.reshape(num_envs, -1))
            action = jax.random.categorical(action_key, logits)
            log_prob = log_prob_of(logits, action)
        else:
            action = jax.random.randint(action_key, (num_envs,), 0, env.num_actions)
            log_prob = value = jnp.zeros(num_envs)
        obs, state, reward, terminated, truncated, _ = step(
            jax.random.split(step_key, num_envs), carry.state, action, params
        )
        recorder = carry.recorder
        if mode == "recorded":
            taken = {"state": carry.state, "action": action}
            recorder = jaxlog.record_step(recorder, taken, reward, terminated, truncated)
        done = terminated | truncated
        steps = Steps(carry.obs, action, log_prob, value, reward, terminated, done)
        made = (steps if policy else reward.sum(), carry.state if mode == "returned" else None)
        return carry._replace(state=state, obs=obs, key=key, recorder=recorder), made

    obs, state = reset(jax.random.split(jax.random.key(0), num_envs), params)
    weights = network.init(jax.random.key(1), obs.reshape(num_envs, -1))
    recorder = jaxlog.EpisodeRecorder()
    if mode == "recorded":
        recorder = jaxlog.empty_recorder(
            LOGGER,
            {"state": state, "action": jnp.zeros(num_envs, int)},
            num_episodes=EPISODES,
            max_steps=MAX_STEPS,
        )
    start = Carry(weights, optimizer.init(weights), state, obs, jax.random.key(2), recorder)
    return Rollout(
        start, lambda carry, length: jax.lax.scan(act, carry, None, length), forward, optimizer
    )


def ppo(name: str, mode: Mode, updates: int) -> tuple[Any, Carry]:
    """A program of some PPO updates, and its first carry."""
    parts = rollout_of(name, NUM_ENVS, mode, policy=True)

    def loss_of(params: Any, batch: tuple[Steps, jax.Array, jax.Array]) -> jax.Array:
        steps, advantage, target = batch
        logits, value = parts.forward(params, steps.obs.reshape(len(target), -1))
        ratio = jnp.exp(log_prob_of(logits, steps.action) - steps.log_prob)
        clipped = jnp.clip(ratio, 1.0 - CONFIG.clip, 1.0 + CONFIG.clip)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        entropy = -(nn.softmax(logits) * nn.log_softmax(logits)).sum(axis=-1).mean()
        loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
        return loss + 0.25 * jnp.square(value - target).mean() - CONFIG.entropy_coef * entropy

    def learn(state: Any, batch: Any) -> Any:
        params, opt_state = state
        gradients = jax.grad(loss_of)(params, batch)
        changes, opt_state = parts.optimizer.update(gradients, opt_state, params)
        return (optax.apply_updates(params, changes), opt_state), None

    def update(carry: Carry, number: jax.Array) -> Any:
        carry, (steps, kept) = parts.play(carry, CONFIG.rollout_length)
        last = parts.forward(carry.params, carry.obs.reshape(NUM_ENVS, -1))[1]
        following = jnp.concatenate([steps.value[1:], last[None]])
        advantage = estimate_advantages(steps, following, CONFIG)
        batch = (steps, advantage, advantage + steps.value)
        batch = jax.tree.map(
            lambda leaf: leaf.reshape(CONFIG.minibatches, -1, *leaf.shape[2:]), batch
        )
        state = carry.params, carry.opt_state
        for _ in range(CONFIG.epochs):
            state, _ = jax.lax.scan(learn, state, batch)
        carry = carry._replace(params=state[0], opt_state=state[1])
        if mode == "recorded":
            _, recorder = jaxlog.log_episodes(LOGGER, carry.recorder, number)
            carry = carry._replace(recorder=recorder)
        return carry, kept

    program = jax.jit(lambda carry: jax.lax.scan(update, carry, 1 + jnp.arange(updates)))
    return program, parts.start


def bare(name: str, num_envs: int, mode: Mode) -> tuple[Any, Carry]:
    """A program of one long rollout with random actions, and its first carry."""
    parts = rollout_of(name, num_envs, mode, policy=False)
    return jax.jit(lambda carry: parts.play(carry, LENGTH)), parts.start


def runs(program: Any, carry: Carry) -> Program:
    """Calls a program, and waits for it."""
    return lambda: jax.block_until_ready(program(carry))


def memory(program: Any, carry: Carry) -> int:
    """The bytes of the results of a program and of what it needs in between."""
    found = program.lower(carry).compile().memory_analysis()
    return found.output_size_in_bytes + found.temp_size_in_bytes


def main(turns: int) -> list[Row]:
    """Measures, prints, and returns the figures."""
    rows, grid = measured_on_one_thread("benchmarks.episodes", turns)
    tell("episodes", rows, grid, "one step of a rollout with random actions, one thread")
    return rows


def measured(turns: int) -> tuple[list[Row], list[dict[str, float | int | str]]]:
    """The figures and the grid."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows: list[Row] = []
    with LOGGER.open():
        for name in (CARTPOLE, BREAKOUT):
            modes: tuple[Mode, ...] = ("plain", "recorded")
            programs = {mode: runs(*ppo(name, mode, 1)) for mode in modes}
            ratio = typical(programs, turns, "plain", time.process_time)["recorded"]
            what = f"PPO update, {EPISODES} of {NUM_ENVS:,} environments of {name} recorded"
            rows.append(Row(what, "without", ratio, "x", 1.02))
        grid: list[dict[str, float | int | str]] = []
        for name in (CARTPOLE, BREAKOUT):
            for num_envs in SIZES:
                made = {
                    mode: bare(name, num_envs, mode)
                    for mode in cast("tuple[Mode, ...]", ("plain", "recorded", "returned"))
                }
                times = fastest(
                    {mode: runs(*one) for mode, one in made.items()},
                    turns * max(1, min(8, 4 * NUM_ENVS // num_envs)),  # the short ones more often
                    time.process_time,
                )
                own = {mode: 1e6 * seconds / LENGTH for mode, seconds in times.items()}
                grid.append(
                    {
                        "environment": name,
                        "environments": num_envs,
                        "bare rollout, us a step": own["plain"],
                        "recording adds, us": own["recorded"] - own["plain"],
                        "returning all states adds, us": own["returned"] - own["plain"],
                    }
                )
                if num_envs == NUM_ENVS:
                    sizes = {mode: memory(*one) for mode, one in made.items()}
                    more = sizes["recorded"] - sizes["plain"], sizes["returned"] - sizes["plain"]
                    # Of a rollout as long as the longest episode.
                    share = more[0] / (more[1] * MAX_STEPS / LENGTH)
                    what = f"memory of recording {EPISODES} of {NUM_ENVS:,}, {name}"
                    rows.append(Row(what, "returning all states", share, "x", 0.02))
                if num_envs == NUM_ENVS and name == BREAKOUT:
                    added = max(own["recorded"] - own["plain"], 0.0)
                    share = added / (own["returned"] - own["plain"])
                    what = f"time that recording {EPISODES} of {num_envs:,} adds, {name}"
                    rows.append(Row(what, "returning all states", share, "x", 0.1))
    return rows, grid


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=25)
    parser.add_argument("--here", action="store_true", help="measure, and print JSON")
    given = parser.parse_args()
    if given.here:
        print_measured(*measured(given.turns))
    else:
        main(given.turns)
