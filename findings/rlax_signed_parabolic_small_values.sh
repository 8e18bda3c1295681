#!/usr/bin/env bash
# RLax's signed_parabolic is no inverse of signed_hyperbolic for small values: they come back with errors, or another sign.
#
# The pair is the value transform of R2D2 and MuZero (`SIGNED_HYPERBOLIC_PAIR`); the docstring of one calls it the inverse
# of the other. `signed_parabolic` subtracts two numbers near 500 and then two near 1, so that in float32 each result
# has an error of about 6e-5. A value of 0.001 is wrong by 2 %, one of
# 0.0001 by 39 %, and a smaller one may come back with the other sign. The same formula in float64 is exact to 1e-12.
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
import rlax

for value in (1.0, 0.1, 0.01, 0.001, 0.0001, 0.000001):
    back = float(rlax.signed_parabolic(rlax.signed_hyperbolic(jnp.float32(value))))
    print(f"{value:g} comes back as {back:.2g}")
PROGRAM
echo "expected: each value comes back as itself"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
1 comes back as 1
0.1 comes back as 0.1
0.01 comes back as 0.01
0.001 comes back as 0.00098
0.0001 comes back as 6.1e-05
1e-06 comes back as -6.1e-05
SEEN
