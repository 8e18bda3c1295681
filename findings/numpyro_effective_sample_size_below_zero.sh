#!/usr/bin/env bash
# NumPyro's effective sample size is negative, or grows without limit, if draws alternate around their mean.
#
# `numpyro.diagnostics.effective_sample_size`, and so the column `n_eff` of `print_summary`, divides the number of draws by
# the estimated autocorrelation time. Samplers such as NUTS make antithetic draws: each tends to lie on the other side
# of the mean than the one before. The time is then near 0, its estimate may be below 0, and so is the result. A check
# such as `n_eff < 400` fails for chains that mix best. BlackJAX bounds the time from below, by the inverse of
# the decimal logarithm of the number of draws.
#
# Seen with NumPyro 0.22.0, BlackJAX 1.7.1 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "numpyro==0.22.0" "blackjax==1.7.1" "jax[cpu]==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import blackjax.diagnostics
import jax.numpy as jnp
import numpy as np
from numpyro.diagnostics import effective_sample_size

CHAINS, DRAWS = 4, 1000
for correlation in (-0.3, -0.7, -0.9):
    rng = np.random.default_rng(0)
    draws = np.zeros((CHAINS, DRAWS))
    for t in range(1, DRAWS):
        draws[:, t] = correlation * draws[:, t - 1] + rng.normal(size=CHAINS)
    found = float(effective_sample_size(draws))
    bounded = float(blackjax.diagnostics.effective_sample_size(jnp.asarray(draws)))
    exact = CHAINS * DRAWS * (1 - correlation) / (1 + correlation)
    print(f"correlation {correlation}: exact {exact:.0f}, BlackJAX {bounded:.0f}, NumPyro {found:.0f}")
PROGRAM
echo "expected: a positive number in each column, at most 4,000 times its decimal logarithm"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
correlation -0.3: exact 7429, BlackJAX 7051, NumPyro 7057
correlation -0.7: exact 22667, BlackJAX 14408, NumPyro 42074
correlation -0.9: exact 76000, BlackJAX 14408, NumPyro -76998
SEEN
