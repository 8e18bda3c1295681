#!/usr/bin/env bash
# jax.effects_barrier raises the error of a program that failed again and again, and JAX raises it twice more
# when Python ends.
#
# A callback of a program on two devices raises. The user catches the error where the result is used, and goes
# on with other programs, which work. jax.effects_barrier is documented to wait until callbacks have run. It
# raises the old error at each call, since the token of the failed program is only dropped after a wait
# that succeeded; no public function drops it. At Python's end, two functions that JAX registered with
# atexit raise it, and two tracebacks are printed, although the program ended well.
#
# Seen with jax 0.10.2 on the CPU: barriers 3 of 3 raise, and 2 tracebacks at the end. (On one device, JAX runs
# a program with a Python callback while it is dispatched, so that no token is left.)
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check "jax[cpu]==0.10.2" "numpy==2.3.4"
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jax.numpy as jnp
from jax.experimental import io_callback
from jax.sharding import AxisType, NamedSharding, PartitionSpec

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
mesh = jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Auto,))


def fails(total):
    raise ValueError("from the callback")


@jax.jit
def program(x):
    io_callback(fails, None, x.sum())
    return x + 1


x = jax.device_put(jnp.arange(4.0), NamedSharding(mesh, PartitionSpec("devices")))
try:
    jax.block_until_ready(program(x))
except Exception:
    print("caught")
raised = 0
for _ in range(3):
    try:
        jax.effects_barrier()
    except Exception:
        raised += 1
print("barriers that raise:", raised, "of 3")
print("another program:", float(jax.jit(lambda x: x * 2)(1.0)))
PROGRAM
"$folder/env/bin/python" "$folder/program.py" > "$folder/out" 2> "$folder/errors"
"$folder/env/bin/python" -c 'import jax; print("jax", jax.__version__)'
cat "$folder/out"
at_the_end="$(grep -c "Exception ignored in atexit callback" "$folder/errors" || true)"
echo "expected: caught, barriers that raise: 0 of 3, tracebacks at the end: 0"
echo "tracebacks at the end: $at_the_end"
grep -qx "caught" "$folder/out"
grep -qx "barriers that raise: 3 of 3" "$folder/out"
grep -qx "another program: 2.0" "$folder/out"
test "$at_the_end" = 2
