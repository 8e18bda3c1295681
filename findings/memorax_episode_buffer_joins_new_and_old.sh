#!/usr/bin/env bash
# Once it is full, Memorax's episode buffer returns sequences that jump from the newest step to the oldest ones.
#
# The buffer is a ring, and samples sequences from the starts of episodes. While it fills, it takes only starts that a whole
# sequence follows. When it is full, it takes all, also those just before the write position, where the ring joins the
# newest step with the oldest. Such a sequence begins in a new episode and goes on in one that was played long before,
# without the end of an episode between them, so a recurrent network learns a transition that never was. flashbax's
# trajectory buffer, from which it is made, avoids this. The share of such sequences is largest for small buffers.
#
# Seen with Memorax 1.0.1, flashbax 0.1.3 and JAX 0.10.2. The steps are numbered; here the ring holds 61 to 100.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "memorax==1.0.1" "flashbax==0.1.3" "gymnax==0.0.9" "jax==0.10.2" "jaxlib==0.10.2" six
cat > "$folder/program.py" <<'PROGRAM'
import warnings
from typing import NamedTuple

import flashbax
import jax
import jax.numpy as jnp
from memorax.buffers import make_episode_buffer

warnings.simplefilter("ignore")


class Step(NamedTuple):
    number: jax.Array
    prev_done: jax.Array


episodes = make_episode_buffer(
    max_length=40, min_length=1, sample_batch_size=40, sample_sequence_length=4, add_sequences=True
)
trajectories = flashbax.make_trajectory_buffer(
    add_batch_size=1,
    sample_batch_size=40,
    sample_sequence_length=4,
    period=1,
    min_length_time_axis=1,
    max_length_time_axis=40,
)
for name, buffer, axes in (("Memorax", episodes, ()), ("flashbax", trajectories, (0,))):
    sample = jax.jit(jax.vmap(buffer.sample, in_axes=(None, 0)))
    for last in (35, 100):
        state = buffer.init(Step(jnp.array(0), jnp.array(True)))
        for first in range(1, last + 1, 5):
            numbers = jnp.expand_dims(jnp.arange(first, first + 5), axes)
            state = buffer.add(state, Step(numbers, numbers % 3 == 0))
        experience = sample(state, jax.random.split(jax.random.key(0), 50)).experience
        sampled = set(map(tuple, experience.number.reshape(-1, 4).tolist()))
        jumps = sorted(numbers for numbers in sampled if numbers[-1] != numbers[0] + 3)
        print(f"{name} after step {last}: {len(sampled)} different sequences, not in a row: {jumps}")
PROGRAM
echo "expected: all sequences are in a row"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
Memorax after step 35: 10 different sequences, not in a row: []
Memorax after step 100: 13 different sequences, not in a row: [(99, 100, 61, 62)]
flashbax after step 35: 32 different sequences, not in a row: []
flashbax after step 100: 37 different sequences, not in a row: []
SEEN
