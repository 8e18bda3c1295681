#!/usr/bin/env bash
# EvoX counts solutions that are worse than the reference point as if they were better.
#
# The hypervolume of a set of solutions is the volume that they dominate up to a reference point; one that is worse
# than the reference in any objective adds nothing. `evox.metrics.hv` takes the absolute difference from the reference,
# so that a bad solution counts like its mirror image on the good side. A curve of the hypervolume of a run starts
# high, where the first solutions are far off, and falls while they come nearer. Nothing warns. (EvoX minimises.)
#
# Seen with EvoX 1.4.0 and PyTorch 2.13.0. The metric is an estimate, here of 100 000 samples.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "evox==1.4.0" "torch==2.13.0"
cat > "$folder/program.py" <<'PROGRAM'
import torch
from evox.metrics import hv

torch.manual_seed(0)
reference = torch.tensor([1.0, 1.0])
for name, expected, solutions in (
    ("one good solution", 0.25, [[0.5, 0.5]]),
    ("worse in both objectives", 0.0, [[2.0, 2.0]]),
    ("farther off", 0.0, [[5.0, 5.0]]),
    ("a good one, and one that is worse in one objective", 0.25, [[0.5, 0.5], [4.0, 0.5]]),
):
    print(f"{name}: {hv(torch.tensor(solutions), reference):.2f}, expected {expected}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
one good solution: 0.25, expected 0.25
worse in both objectives: 1.00, expected 0.0
farther off: 16.00, expected 0.0
a good one, and one that is worse in one objective: 1.50, expected 0.25
SEEN
