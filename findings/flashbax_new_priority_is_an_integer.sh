#!/usr/bin/env bash
# flashbax cuts the priority of new items to an integer, so that it can be half of what is promised.
#
# In prioritised replay, a new item gets the largest priority seen so far, so that it is sampled soon. The documentation
# of flashbax says so too. Its prioritised buffers fill the priorities of new items into an array like that of
# the items' indices, which are int32. So the fraction is lost: after a priority of 1.99, a new item gets 1. The priorities
# of old items are exact, and the state still holds the right largest priority. The probabilities that `sample`
# returns agree with the cut priorities, so a correction by importance weights hides it. All three prioritised buffers
# share this code. Priorities of at most 1 are not hurt, because the largest one starts at 1.
#
# Seen with flashbax 0.1.3 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "flashbax==0.1.3" "jax==0.10.2" "jaxlib==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import warnings

import flashbax
import jax
import jax.numpy as jnp

warnings.simplefilter("ignore")

buffer = flashbax.make_prioritised_item_buffer(max_length=2, min_length=1, sample_batch_size=1, priority_exponent=1.0)
sample = jax.jit(jax.vmap(buffer.sample, in_axes=(None, 0)))
OLD, NEW = {"name": jnp.array(0)}, {"name": jnp.array(1)}

for priority in (0.5, 1.0, 1.5, 1.99, 2.0, 3.75):
    state = buffer.add(buffer.init(OLD), OLD)
    state = buffer.set_priorities(state, jnp.array([0]), jnp.array([priority]))
    largest = state.sum_tree_state.max_recorded_priority
    state = buffer.add(state, NEW)
    old, new = state.sum_tree_state.nodes[-2:]
    share = sample(state, jax.random.split(jax.random.key(0), 10_000)).experience["name"].mean()
    print(
        f"old item {old:.2f}, largest so far {largest:.2f}: new item {new:.2f}, "
        f"sampled {share:.2f}, promised {largest / (old + largest):.2f}"
    )
PROGRAM
echo "expected: the new item has the largest priority so far, and is sampled as promised"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
old item 0.50, largest so far 1.00: new item 1.00, sampled 0.66, promised 0.67
old item 1.00, largest so far 1.00: new item 1.00, sampled 0.50, promised 0.50
old item 1.50, largest so far 1.50: new item 1.00, sampled 0.40, promised 0.50
old item 1.99, largest so far 1.99: new item 1.00, sampled 0.34, promised 0.50
old item 2.00, largest so far 2.00: new item 2.00, sampled 0.50, promised 0.50
old item 3.75, largest so far 3.75: new item 3.00, sampled 0.44, promised 0.50
SEEN
