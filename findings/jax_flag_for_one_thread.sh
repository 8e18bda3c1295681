#!/usr/bin/env bash
# The XLA flag for one thread, `--xla_cpu_multi_thread_eigen=false`, changes nothing: a program on the CPU goes on
# using a thread for each core.
#
# The flag is what guides give for measuring on one thread, and XLA takes it without a word. Several threads still share
# the work. With the environment variable `NPROC=1` one thread does all of it: this program took 0.51 s instead of 0.47,
# and 0.51 s of processor time instead of 0.80. Who measures "on one thread" with the flag measures what the threads take
# from each other, and from whatever else the process does, such as loading data or writing logs.
#
# Seen with JAX 0.5.3, 0.7.2 and 0.10.2, on two cores.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "jax[cpu]==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import os
from pathlib import Path

import jax
import jax.numpy as jnp

matrix = jnp.sin(jnp.arange(256.0).reshape(16, 16))


@jax.jit
def program(rows):
    def step(rows, _):
        for _ in range(20):
            rows = jnp.tanh(rows @ matrix)
        return rows, None

    return jax.lax.scan(step, rows, None, length=600)[0]


def ticks():
    """The processor time of each thread."""
    found = {}
    for thread in Path("/proc/self/task").iterdir():
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        found[thread.name] = int(fields[11]) + int(fields[12])
    return found


rows = jnp.sin(jnp.arange(160_000.0)).reshape(10_000, 16)
program(rows).block_until_ready()
before = ticks()
program(rows).block_until_ready()
spent = [now - before.get(name, 0) for name, now in ticks().items()]
busy = sum(one > sum(spent) / 10 for one in spent)
print("several threads were busy" if busy > 1 else "one thread was busy")
PROGRAM
echo "cores: $(nproc); two at least are needed"
echo "expected: several, one, one"
{
    echo "without a setting: $("$folder/venv/bin/python" "$folder/program.py")"
    echo "the flag: $(XLA_FLAGS=--xla_cpu_multi_thread_eigen=false "$folder/venv/bin/python" "$folder/program.py")"
    echo "NPROC=1: $(NPROC=1 "$folder/venv/bin/python" "$folder/program.py")"
} | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
without a setting: several threads were busy
the flag: several threads were busy
NPROC=1: one thread was busy
SEEN
