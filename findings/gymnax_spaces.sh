#!/usr/bin/env bash
# Observations of four gymnax environments are not in the observation space of their environment.
#
# A buffer that is made from the space, `jnp.zeros((n, *space.shape), space.dtype)`, then has another dtype than
# what is written into it, and an encoding by the bounds of the space gets values outside of them:
# - Catch-bsuite says int32 and gives float32; FourRooms-misc says float32 and gives int32;
# - MemoryChain-bsuite says 0 and more, and gives -1; GaussianBandit-misc says 0 and more, and gives the rewards.
# The other environments that need no download were looked at in the same way; theirs are in the space, in 250 random steps.
#
# Seen with gymnax 1.0.1 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "gymnax==1.0.1" "jax==0.10.2" six
cat > "$folder/program.py" <<'PROGRAM'
import gymnax
import jax
import numpy as np

for name in ("Catch-bsuite", "FourRooms-misc", "MemoryChain-bsuite", "GaussianBandit-misc", "CartPole-v1"):
    env, params = gymnax.make(name)
    space, actions = env.observation_space(params), env.action_space(params)

    @jax.jit
    def rollout(key):
        observation, state = env.reset(key, params)

        def step(carry, key):
            by, to = jax.random.split(key)
            observation, state, *_ = env.step(to, carry, actions.sample(by), params)
            return state, observation

        return jax.lax.scan(step, state, jax.random.split(key, 100))[1]

    seen = np.asarray(rollout(jax.random.key(0)))
    within = bool((seen >= space.low).all() and (seen <= space.high).all())
    print(f"{name}: {np.dtype(space.dtype)} in the space, {seen.dtype} seen; within its bounds: {within}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
Catch-bsuite: int32 in the space, float32 seen; within its bounds: True
FourRooms-misc: float32 in the space, int32 seen; within its bounds: True
MemoryChain-bsuite: float32 in the space, float32 seen; within its bounds: False
GaussianBandit-misc: float32 in the space, float32 seen; within its bounds: False
CartPole-v1: float32 in the space, float32 seen; within its bounds: True
SEEN
