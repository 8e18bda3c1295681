#!/usr/bin/env bash
# With Stoa's AutoResetWrapper, the parameters of an environment hold for the first episode only.
#
# `reset` and `step` take `env_params`, and the wrapper gives them to the environment. But when an episode ends, it resets
# the environment without them, so the new episode starts from the default parameters, while its steps use those
# of the caller. No call gets other parameters, and nothing warns. Whoever trains with other goals or levels, or
# compares parameters, gets a mixture, or the default task from the second episode on. `CachedAutoResetWrapper`, which
# keeps the first state, is right. Here the goal of gymnax's point robot is on a circle with a radius of 5, not 1.
#
# Seen with Stoa 0.1.2, gymnax 0.0.9 and JAX 0.10.2.
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

robot, defaults = gymnax.make("PointRobot-misc")
params = defaults.replace(circle_radius=5.0, max_steps_in_episode=3)

for wrapper in (AutoResetWrapper, CachedAutoResetWrapper):
    environment = wrapper(GymnaxToStoa(robot))
    state, step = environment.reset(jax.random.key(0), params)
    distances = [[]]
    for _ in range(9):
        inner = getattr(state, "base_env_state", state)
        inner = getattr(inner, "base_env_state", inner)
        distances[-1].append(round(float(jnp.linalg.norm(inner.goal)), 3))
        state, step = environment.step(state, jnp.zeros(2), params)
        if step.done():
            distances.append([])
    for episode, of_one in enumerate(distances[:3], start=1):
        print(f"{wrapper.__name__}, episode {episode}: the goal is {of_one} from the center")
PROGRAM
echo "expected: the goal is 5 from the center"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
AutoResetWrapper, episode 1: the goal is [5.0, 5.0, 5.0] from the center
AutoResetWrapper, episode 2: the goal is [1.0, 1.0, 1.0] from the center
AutoResetWrapper, episode 3: the goal is [1.0, 1.0, 1.0] from the center
CachedAutoResetWrapper, episode 1: the goal is [5.0, 5.0, 5.0] from the center
CachedAutoResetWrapper, episode 2: the goal is [5.0, 5.0, 5.0] from the center
CachedAutoResetWrapper, episode 3: the goal is [5.0, 5.0, 5.0] from the center
SEEN
