#!/usr/bin/env bash
# Memorax's prioritised episode buffer, filled step by step, returns only the first sequence that was stored, for ever.
#
# A sampled sequence starts where an episode does, with a probability by priority. Adding is documented to give
# new items the largest priority, and 0 to those that the ring overwrites or breaks. The code takes the wrong side
# of the write position: it gives 0 to the items just before it, which have become complete. So each step takes the
# priority of the one before, and only the newest item, which is not complete, has one. As no complete start has a
# priority, `sample` falls back to position 0, with a made-up probability. With sequences of 16 steps, the last starts
# of each one are lost: here, those at 13, 14 and 15 of 16. The buffer without priorities samples all starts.
#
# Seen with Memorax 1.0.1, flashbax 0.1.3 and JAX 0.10.2. 960 steps are stored, and an episode starts at each fifth.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "memorax==1.0.1" "flashbax==0.1.3" "gymnax==0.0.9" "jax==0.10.2" "jaxlib==0.10.2" six
cat > "$folder/program.py" <<'PROGRAM'
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
from memorax.buffers import make_episode_buffer, make_prioritised_episode_buffer

warnings.simplefilter("ignore")
STEPS, EPISODE, SEQUENCE, CHUNK = 960, 5, 4, 16


class Step(NamedTuple):
    number: jax.Array
    prev_done: jax.Array


steps = Step(jnp.arange(STEPS), jnp.arange(STEPS) % EPISODE == 0)
starts = set(range(0, STEPS - SEQUENCE + 1, EPISODE))

for make in (make_episode_buffer, make_prioritised_episode_buffer):
    for chunk in (1, CHUNK):
        buffer = make(
            max_length=1000, min_length=1, sample_batch_size=1000, sample_sequence_length=SEQUENCE, add_sequences=True
        )
        state = buffer.init(Step(jnp.array(0), jnp.array(True)))
        chunks = jax.tree.map(lambda values: values.reshape(-1, chunk), steps)
        state, _ = jax.lax.scan(lambda state, steps: (buffer.add(state, steps), None), state, chunks)
        sampled = set()
        for seed in range(10):
            sampled |= set(buffer.sample(state, jax.random.key(seed)).experience.number[:, 0].tolist())
        never = starts - sampled
        places = sorted({start % chunk for start in never})
        print(
            f"{make.__name__}, {chunk} at a time: {len(sampled)} of {len(starts)} starts are sampled"
            + (f"; never those at {places} of {chunk}" if chunk > 1 and never else "")
        )
PROGRAM
echo "expected: 192 of 192 starts are sampled"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
make_episode_buffer, 1 at a time: 192 of 192 starts are sampled
make_episode_buffer, 16 at a time: 192 of 192 starts are sampled
make_prioritised_episode_buffer, 1 at a time: 1 of 192 starts are sampled
make_prioritised_episode_buffer, 16 at a time: 156 of 192 starts are sampled; never those at [13, 14, 15] of 16
SEEN
