#!/usr/bin/env bash
# navix's observation spaces end at 8, and the player is a 10: a one-hot code made from the space loses the player.
#
# Observations of navix are grids of small integers: what is in a cell, its colour and its state. `observation_space` of
# an environment says 0 to 8. The player is a 10 in the first channel, and some doors of KeyCorridor have the state
# 254, a negative number in uint8. A network that makes `jax.nn.one_hot(grid, maximum + 1)` of it gets zeros for these
# cells, because `one_hot` has no error for a class that does not exist: the agent does not see where it is, and
# learns badly without a word.
#
# Seen with navix 0.7.4 and JAX 0.10.2, in all 41 environments whose values were looked at.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "navix==0.7.4" "jax==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import jax
import navix
import numpy as np

for name in ("Navix-Empty-5x5-v0", "Navix-KeyCorridorS3R1-v0"):
    env = navix.make(name)
    first = env.reset(jax.random.PRNGKey(0)).observation
    most = int(np.max(env.observation_space.maximum))
    things = np.asarray(first)[..., 0]
    codes = jax.nn.one_hot(things, most + 1)
    lost = int((np.asarray(codes).sum(-1) == 0).sum())
    print(f"{name}: space up to {most}, seen up to {int(first.max())}, cells without a code: {lost}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
grep -q "Navix-Empty-5x5-v0: space up to 8, seen up to 10, cells without a code: 1$" "$folder/out"
grep -q "Navix-KeyCorridorS3R1-v0: space up to 8, seen up to 254, cells without a code: [1-9]" "$folder/out"
