#!/usr/bin/env bash
# For gymnax, Stoa's `next_obs` at the end of an episode is the first observation of an episode that never takes place.
#
# `next_obs_in_extras=True` is documented to store the terminal observation, the true last one. But Stoa's adapter calls
# gymnax's `step`, which resets an environment whose episode has ended. So Stoa's AutoResetWrapper finds the first
# observation of a new episode, stores it as the terminal one, and resets a second time. The stored observation belongs
# to neither of the two episodes. A model of the dynamics or a replay buffer learns a transition that never was.
#
# Seen with Stoa 0.1.2, gymnax 0.0.9 and JAX 0.10.2. Here the robot moves by 0.1 in each direction at each step.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "stoa-env==0.1.2" "gymnax==0.0.9" "jax==0.10.2" "jaxlib==0.10.2" gymnasium six
cat > "$folder/program.py" <<'PROGRAM'
import gymnax
import jax
import jax.numpy as jnp
from stoa.core_wrappers.auto_reset import AutoResetWrapper, CachedAutoResetWrapper
from stoa.env_adapters.gymnax import GymnaxToStoa

LENGTH = 3
robot, defaults = gymnax.make("PointRobot-misc")
params = defaults.replace(max_steps_in_episode=LENGTH, goal_radius=0.0)  # a goal would move the robot

for wrapper in (AutoResetWrapper, CachedAutoResetWrapper):
    environment = wrapper(GymnaxToStoa(robot, params), next_obs_in_extras=True)
    state, step = environment.reset(jax.random.key(0))
    for number in range(1, 2 * LENGTH + 1):
        before = step.observation[:2]
        state, step = environment.step(state, jnp.full(2, 0.1))
        moved = step.extras["next_obs"][:2] - before
        new = bool(jnp.allclose(step.extras["next_obs"], step.observation))
        print(
            f"{wrapper.__name__}, step {number}: done {bool(step.done())}, "
            f"next_obs is 0.1 further: {bool(jnp.allclose(moved, 0.1))}, is the observation that follows: {new}"
        )
PROGRAM
echo "expected: each next_obs is 0.1 further, and is the observation that follows unless the episode is done"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
AutoResetWrapper, step 1: done False, next_obs is 0.1 further: True, is the observation that follows: True
AutoResetWrapper, step 2: done False, next_obs is 0.1 further: True, is the observation that follows: True
AutoResetWrapper, step 3: done True, next_obs is 0.1 further: False, is the observation that follows: False
AutoResetWrapper, step 4: done False, next_obs is 0.1 further: True, is the observation that follows: True
AutoResetWrapper, step 5: done False, next_obs is 0.1 further: True, is the observation that follows: True
AutoResetWrapper, step 6: done True, next_obs is 0.1 further: False, is the observation that follows: False
CachedAutoResetWrapper, step 1: done False, next_obs is 0.1 further: True, is the observation that follows: True
CachedAutoResetWrapper, step 2: done False, next_obs is 0.1 further: True, is the observation that follows: True
CachedAutoResetWrapper, step 3: done True, next_obs is 0.1 further: False, is the observation that follows: False
CachedAutoResetWrapper, step 4: done False, next_obs is 0.1 further: True, is the observation that follows: True
CachedAutoResetWrapper, step 5: done False, next_obs is 0.1 further: True, is the observation that follows: True
CachedAutoResetWrapper, step 6: done True, next_obs is 0.1 further: False, is the observation that follows: False
SEEN
