#!/usr/bin/env bash
# The mean of Flax's `nnx.metrics.Average` overflows with float16 and int32 values, where `jnp.mean` does not.
#
# `update` adds the values of a batch in their own dtype, and only then to its float32 total. The sum of a hundred
# float16 losses of 1000 is infinity, and so is their average from then on. The sum of int32 values wraps: the average
# length of 3000 episodes of one million steps is printed as a negative number. `jnp.mean` of the same array is right,
# also for float16; so is `Welford`, the other metric for a mean in the same module.
#
# Seen with Flax 0.12.8 and JAX 0.10.2; Flax 0.12.12 and JAX 0.12.0.1 give the same.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "flax==0.12.8" "jax==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import jax.numpy as jnp
from flax import nnx

for values in (jnp.full(100, 1000, jnp.float16), jnp.full(3000, 1_000_000, jnp.int32), jnp.full(3000, 1000, jnp.float32)):
    average, welford = nnx.metrics.Average(), nnx.metrics.Welford()
    for metric in (average, welford):
        metric.update(values=values)
    means = f"Average {average.compute()}, Welford {welford.compute().mean}, jnp.mean {jnp.mean(values)}"
    print(f"{len(values)} times {values[0]}, {values.dtype}: {means}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
100 times 1000.0, float16: Average inf, Welford 1000.0, jnp.mean 1000.0
3000 times 1000000, int32: Average -431655.75, Welford 1000000.0, jnp.mean 1000000.0
3000 times 1000.0, float32: Average 1000.0, Welford 1000.0, jnp.mean 1000.0
SEEN
