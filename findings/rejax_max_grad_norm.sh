#!/usr/bin/env bash
# rejax's `max_grad_norm` does not limit the norm of a gradient: it limits each of its numbers.
#
# The parameter is named like that of CleanRL and Stable-Baselines3, which scale a gradient down when its norm is too
# large. rejax passes it to `optax.clip`, which cuts every number on its own; `optax.clip_by_global_norm` was meant. So a
# common value like 0.5 hardly ever does anything, and a gradient of a norm of 27 passes as it is. Where a number is
# larger, only it is cut, which changes the direction of the step. All six algorithms do this. A sweep over the
# parameter, or a plot of the norms, cannot show what its name says.
#
# Seen with rejax 0.1.3, gymnax 0.0.9, Optax 0.2.8 and JAX 0.10.2. The gradient that Adam gets is its first mean / 0.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "rejax==0.1.3" "gymnax==0.0.9" "optax==0.2.8" "jax==0.10.2" "jaxlib==0.10.2" six
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jax.numpy as jnp
import optax
import rejax
from optax.tree_utils import tree_get

LIMIT = 0.5
STATES = {"ppo": "actor_ts", "dqn": "q_ts", "iqn": "q_ts", "pqn": "q_ts", "sac": "actor_ts", "td3": "actor_ts"}

for name, state in STATES.items():
    environment = "Pendulum-v1" if name == "td3" else "CartPole-v1"
    algorithm = rejax.get_algo(name).create(env=environment, max_grad_norm=LIMIT)
    network = getattr(algorithm.init_state(jax.random.PRNGKey(0)), state)
    for number in (0.4, 4.0):
        gradient = jax.tree.map(lambda values: jnp.full_like(values, number), network.params)
        mean = tree_get(network.apply_gradients(grads=gradient).opt_state, "mu")
        print(
            f"{name}: a gradient of {number}s keeps {optax.global_norm(mean) / 0.1 / optax.global_norm(gradient):.3f} "
            f"of its norm, is at most {LIMIT}: {bool(optax.global_norm(mean) / 0.1 <= LIMIT * 1.001)}"
        )
PROGRAM
echo "expected: no gradient that Adam gets has a norm above 0.5"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
ppo: a gradient of 0.4s keeps 1.000 of its norm, is at most 0.5: False
ppo: a gradient of 4.0s keeps 0.125 of its norm, is at most 0.5: False
dqn: a gradient of 0.4s keeps 1.000 of its norm, is at most 0.5: False
dqn: a gradient of 4.0s keeps 0.125 of its norm, is at most 0.5: False
iqn: a gradient of 0.4s keeps 1.000 of its norm, is at most 0.5: False
iqn: a gradient of 4.0s keeps 0.125 of its norm, is at most 0.5: False
pqn: a gradient of 0.4s keeps 1.000 of its norm, is at most 0.5: False
pqn: a gradient of 4.0s keeps 0.125 of its norm, is at most 0.5: False
sac: a gradient of 0.4s keeps 1.000 of its norm, is at most 0.5: False
sac: a gradient of 4.0s keeps 0.125 of its norm, is at most 0.5: False
td3: a gradient of 0.4s keeps 1.000 of its norm, is at most 0.5: False
td3: a gradient of 4.0s keeps 0.125 of its norm, is at most 0.5: False
SEEN
