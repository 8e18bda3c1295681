#!/usr/bin/env bash
# With action_repeat, Brax divides the metrics of episodes by it, beside a sum of rewards that is whole, and steps
# over the ends of episodes.
#
# The wrappers for training (`brax.envs.training.wrap`, which PPO and SAC use) make several steps of the environment
# with one action. The rewards of all of them are added, but the metrics and `done` are those of the last one. So in
# `episode_metrics`, which are logged, the parts of a reward have sums that are too small by the factor. And an
# episode goes on, with rewards, when its end was not flagged in the last of the steps, as with a robot that falls
# and is up again; it then counts as cut off by the limit of time. Nothing warns.
#
# Seen with Brax 0.14.2, MuJoCo 4.0.0 and JAX 0.10.2. Here each step goes one forward and gives 1, and at position 6 is
# a hole that ends the episode.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "brax==0.14.2" "mujoco==4.0.0" "mujoco-mjx==3.17.0" "jax[cpu]==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jax.numpy as jnp
from brax.envs import training
from brax.envs.base import Env, State

HOLE, LIMIT = 6, 24


class Walk(Env):
    observation_size = action_size = 1
    backend = "none"

    def reset(self, rng):
        zero = jnp.zeros(())
        return State(None, zero, zero, zero, {"reward_forward": zero}, {})

    def step(self, state, action):
        position = state.obs + 1
        one, done = jnp.ones(()), jnp.where(position == HOLE, 1.0, 0.0)
        return state.replace(obs=position, reward=one, done=done, metrics={"reward_forward": one})


for repeats in (1, 2, 3, 4):
    environment = training.wrap(Walk(), episode_length=LIMIT, action_repeat=repeats)
    state = jax.jit(environment.reset)(jax.random.PRNGKey(0)[None])
    step = jax.jit(environment.step)
    while not state.done[0]:
        state = step(state, jnp.zeros((1, 1)))
    episode = {name: int(value[0]) for name, value in sorted(state.info["episode_metrics"].items())}
    print(f"action_repeat={repeats}:", episode, "cut off" if state.info["truncation"][0] else "ended")
PROGRAM
echo "expected: reward_forward, the only part of the reward, is sum_reward; no episode leaves the hole"
"$folder/venv/bin/python" "$folder/program.py" 2> "$folder/errors" | grep "^action_repeat" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
action_repeat=1: {'length': 6, 'reward_forward': 6, 'sum_reward': 6} ended
action_repeat=2: {'length': 6, 'reward_forward': 3, 'sum_reward': 6} ended
action_repeat=3: {'length': 6, 'reward_forward': 2, 'sum_reward': 6} ended
action_repeat=4: {'length': 24, 'reward_forward': 6, 'sum_reward': 24} cut off
SEEN
