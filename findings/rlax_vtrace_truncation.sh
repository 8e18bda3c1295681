#!/usr/bin/env bash
# RLax's V-trace takes the value of another episode for its policy gradient where an episode was truncated.
#
# `vtrace_td_error_and_advantage` has the values before the steps (`v_tm1`) and after the steps (`v_t`) as two arrays.
# They differ where an episode is cut by a limit of time and another begins in the same trajectory: `v_t` has the
# value of the last state, and the next `v_tm1` that of the next first state. A `lambda_` of 0 there ends the trace.
# The errors for the value are then right. But the advantages and the estimates of q bootstrap from the next
# `v_tm1`, even where lambda is 0, and never from `v_t` before the last step. Where lambda is 0 and the weight is 1,
# the advantage should be the error. Nothing warns.
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


def estimates(before, after, lambda_):
    ones = jnp.ones(len(before))
    out = rlax.vtrace_td_error_and_advantage(
        jnp.array(before), jnp.array(after), r_t=ones, discount_t=ones, rho_tm1=ones, lambda_=jnp.array(lambda_)
    )
    return out.errors.tolist(), out.pg_advantage.tolist(), out.q_estimate.tolist()


first = estimates([1.0, 2.0], [2.0, 3.0], [1.0, 1.0])
second = estimates([50.0, 60.0], [60.0, 70.0], [1.0, 1.0])
both = estimates([1.0, 2.0, 50.0, 60.0], [2.0, 3.0, 60.0, 70.0], [1.0, 0.0, 1.0, 1.0])
for name, alone, later, together in zip(("errors", "advantages", "estimates of q"), first, second, both):
    print(f"{name}: alone {alone + later}, in one trajectory {together}")
PROGRAM
echo "expected: twice the same numbers in each line, since lambda ends the trace between the two episodes"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
errors: alone [4.0, 2.0, 22.0, 11.0], in one trajectory [4.0, 2.0, 22.0, 11.0]
advantages: alone [4.0, 2.0, 22.0, 11.0], in one trajectory [4.0, 49.0, 22.0, 11.0]
estimates of q: alone [5.0, 4.0, 72.0, 71.0], in one trajectory [5.0, 51.0, 72.0, 71.0]
SEEN
