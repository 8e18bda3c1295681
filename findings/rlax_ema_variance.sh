#!/usr/bin/env bash
# The moments of RLax's create_ema have a wrong variance, or 0, for values whose mean is far from 0.
#
# `EmaMoments` tracks the mean and the mean of squares in float32, and subtracts one from the other. Returns near 1,000 that
# vary by 1 get a variance of 0 or of a multiple of 1, and whoever divides by its root, as for normalized advantages,
# scales them by anything. The docstring says nothing of it. The mean of squared distances from the mean has no
# such error.
#
# Seen with RLax 0.1.9 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "rlax==0.1.9" "jax[cpu]==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import jax.numpy as jnp
import numpy as np
import rlax

for mean in (0.0, 100.0, 1000.0, 10000.0):
    values = np.random.default_rng(0).normal(mean, 1.0, (300, 64)).astype(np.float32)
    start, update = rlax.create_ema(0.99)
    state = start(jnp.zeros(64))
    for batch in values:
        moments, state = update(jnp.asarray(batch), state)
    print(f"mean {mean:.0f}: variance {float(moments.variance):.2g}")
PROGRAM
echo "expected: a variance near 1 in each line"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
mean 0: variance 0.98
mean 100: variance 0.97
mean 1000: variance 0
mean 10000: variance 0
SEEN
