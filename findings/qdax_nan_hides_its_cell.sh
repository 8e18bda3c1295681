#!/usr/bin/env bash
# A NaN fitness in QDax loses the good individuals of the same batch in the same cell; a NaN descriptor ousts an elite.
#
# A MAP-Elites repertoire keeps the best individual of each cell. `add` looks for the largest fitness of the batch in
# each cell, which is NaN if one of them is, and then for the individuals that have it, which none has. So one
# simulation that diverged makes `add`, and `init`, drop all others of its cell without a word; the same individuals
# are kept where it is added in a batch of its own. The larger the batch, the more is lost.
# An individual whose descriptor is NaN is put into the first cell, where its finite fitness can replace the elite.
#
# Seen with QDax 0.5.0 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "qdax==0.5.0" "jax==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import math

import jax.numpy as jnp
from qdax.core.containers.mapelites_repertoire import MapElitesRepertoire, compute_euclidean_centroids

centroids = compute_euclidean_centroids((2, 1), jnp.zeros(2), jnp.ones(2))
first, second, nowhere = (0.1, 0.5), (0.9, 0.5), (math.nan, math.nan)


def add(repertoire, *individuals):
    """Adds pairs of a descriptor and a fitness in one batch; the genotype is the fitness."""
    descriptors, fitnesses = (jnp.array(part, jnp.float32) for part in zip(*individuals))
    return repertoire.add(fitnesses[:, None], descriptors, fitnesses[:, None])


start = MapElitesRepertoire.init(jnp.ones((1, 1)), jnp.ones((1, 1)), jnp.array([first]), centroids)
good, diverged = [(first, 9.0), (second, 5.0)], [(first, math.nan), (second, math.nan)]
for what, repertoire in {
    "start": start,
    "good": add(start, *good),
    "good, then diverged": add(add(start, *good), *diverged),
    "good and diverged in one batch": add(start, *good, *diverged),
    "a NaN descriptor": add(start, (nowhere, 2.0)),
}.items():
    print(f"{what}: fitness by cell {repertoire.fitnesses.ravel().tolist()}, descriptor {repertoire.descriptors[0].round(1)}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
start: fitness by cell [1.0, -inf], descriptor [0.1 0.5]
good: fitness by cell [9.0, 5.0], descriptor [0.1 0.5]
good, then diverged: fitness by cell [9.0, 5.0], descriptor [0.1 0.5]
good and diverged in one batch: fitness by cell [1.0, -inf], descriptor [0.1 0.5]
a NaN descriptor: fitness by cell [2.0, -inf], descriptor [nan nan]
SEEN
