#!/usr/bin/env bash
# skrl's RunningStandardScaler for JAX counts one observation that nobody made, and one alone makes it NaN for ever.
#
# It begins with a mean of 0, a variance of 1 and a count of 1, as if it had seen an observation. For observations far
# from 0, or of small size, that one weighs more than thousands of real ones: the variance below is wrong by factors of
# 300 and of 100. A batch of one observation, as a single environment gives, has a sample variance of NaN, which the running
# variance and the standardized observations keep. Nothing warns.
#
# Seen with skrl 2.1.1, JAX 0.10.2 and Flax 0.12.8.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "skrl==2.1.1" "jax[cpu]==0.10.2" "flax==0.12.8"
cat > "$folder/program.py" <<'PROGRAM'
import jax.numpy as jnp
import numpy as np
from skrl.resources.preprocessors.jax import RunningStandardScaler


def variance(batches):
    scaler = RunningStandardScaler(size=1)
    for batch in batches:
        scaler(jnp.asarray(batch), train=True)
    return float(scaler.running_variance[0])


rng = np.random.default_rng(0)
far = rng.normal(1000.0, 1.0, (50, 64, 1)).astype(np.float32)
small = rng.normal(0.0, 0.001, (50, 200, 1)).astype(np.float32)
single = rng.normal(0.0, 1.0, (50, 1, 1)).astype(np.float32)
for name, batches in {"far from 0": far, "small": small, "one at a time": single}.items():
    print(f"{name}: {batches.size} observations, NumPy {batches.var():.2g}, skrl {variance(batches):.2g}")
PROGRAM
echo "expected: the variance of NumPy, nearly"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
far from 0: 3200 observations, NumPy 1, skrl 3.1e+02
small: 10000 observations, NumPy 9.9e-07, skrl 0.0001
one at a time: 50 observations, NumPy 0.7, skrl nan
SEEN
