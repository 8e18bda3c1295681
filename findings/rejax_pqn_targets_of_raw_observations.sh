#!/usr/bin/env bash
# With `normalize_observations=True`, rejax's PQN learns targets from observations that it forgot to normalise.
#
# PQN's targets are rewards plus the discounted largest value of the next observation. `collect_trajectories` asks
# the network for these values before it normalises the observation, while all other inputs of the network are normalised.
# So the values in the targets are those of other inputs: the network is trained towards them, and nothing warns. The
# last step of a rollout is right, because its value is asked for elsewhere. The value of one observation appears twice
# in a rollout: as the next one of a step, and as that of the following step. They must agree, and do without the option.
#
# Seen with rejax 0.1.3, gymnax 0.0.9 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "rejax==0.1.3" "gymnax==0.0.9" "jax==0.10.2" "jaxlib==0.10.2" six
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jax.numpy as jnp
import rejax

for normalize in (False, True):
    for environment in ("MountainCar-v0", "Acrobot-v1"):
        algorithm = rejax.get_algo("pqn").create(
            env=environment, normalize_observations=normalize, num_envs=16, num_steps=64
        )
        state = algorithm.init_state(jax.random.PRNGKey(0))
        state, _ = algorithm.collect_trajectories(state, 1.0)  # the statistics settle
        state, steps = algorithm.collect_trajectories(state, 1.0)
        values = jax.vmap(lambda observation: algorithm.agent.apply(state.q_ts.params, observation))(steps.obs)
        difference = jnp.abs(steps.next_q[:-1] - values[1:])
        print(
            f"{environment}, normalize_observations={normalize}: all values agree: {bool(difference.max() < 1e-3)}, "
            f"differ by more than half their mean size: {bool(difference.mean() > jnp.abs(values).mean() / 2)}"
        )
PROGRAM
echo "expected: all values agree"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
MountainCar-v0, normalize_observations=False: all values agree: True, differ by more than half their mean size: False
Acrobot-v1, normalize_observations=False: all values agree: True, differ by more than half their mean size: False
MountainCar-v0, normalize_observations=True: all values agree: False, differ by more than half their mean size: True
Acrobot-v1, normalize_observations=True: all values agree: False, differ by more than half their mean size: True
SEEN
