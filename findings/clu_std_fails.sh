#!/usr/bin/env bash
# The standard deviation of CLU, `clu.metrics.Std`, raises an error with the JAX of today, when the metrics are computed.
#
# `compute` calls `jnp.clip` with the argument `a_min`, which JAX has removed; CLU asks for any JAX, and its newest release
# has the call. Making and merging the metric works, as do the mean and the others, so that the error comes at the end of
# an evaluation.
#
# Seen with CLU 0.0.12 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "clu==0.0.12" "jax[cpu]==0.10.2" "flax==0.12.8"
cat > "$folder/program.py" <<'PROGRAM'
import jax.numpy as jnp
from clu import metrics

values = jnp.arange(10.0)
print("Average:", metrics.Average.from_model_output(values).compute())
try:
    print("Std:", metrics.Std.from_model_output(values).compute())
except TypeError as error:
    print("Std:", error)
PROGRAM
echo "expected: 4.5 and 2.87"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
Average: 4.5
Std: clip() got an unexpected keyword argument 'a_min'
SEEN
