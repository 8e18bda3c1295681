#!/usr/bin/env bash
# EvoTorch's RunningNorm writes its sum into the first observation that it is given, and takes NaN from masked ones.
#
# `update` with a single observation keeps that very tensor, or the memory of the array, as its sum, and adds the later
# observations to it in place. So the first observation of the caller, which may lie in a replay buffer or be the state of
# an environment, changes with each update. Where an environment fills one array again and again, as many do, the
# sum is overwritten, and the mean is wrong. With a batch and a `mask`, only the observations whose mask is true are to
# be taken into account; the others are multiplied by 0, so that a NaN among them makes the mean NaN for ever.
#
# Seen with EvoTorch 0.6.1, PyTorch 2.14.1 and NumPy 2.4.6.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "evotorch==0.6.1" "torch==2.14.1" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
import torch
from evotorch.neuroevolution.net.runningnorm import RunningNorm


def new_norm():
    return RunningNorm(shape=1, dtype="float32", device="cpu")


norm = new_norm()
observations = [np.array([value], np.float32) for value in (1, 2, 3, 4)]
for observation in observations:
    norm.update(observation)
print(f"four arrays: mean {norm.mean.item():g}; the arrays then: {[array.item() for array in observations]}")

norm = new_norm()
state = np.zeros(1, np.float32)
for value in (1, 2, 3, 4):
    state[0] = value
    norm.update(state)
print(f"one array, filled four times: mean {norm.mean.item():g}; the array then: {state.item():g}")

norm = new_norm()
norm.update(torch.tensor([[1.0], [2.0], [3.0], [4.0], [float("nan")]]), mask=[True] * 4 + [False])
print(f"a batch with a masked NaN: mean {norm.mean.item():g} of {norm.count} observations")
PROGRAM
echo "expected: a mean of 2.5 everywhere, the arrays 1, 2, 3, 4, and the one array 4"
"$folder/venv/bin/python" -W ignore "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
four arrays: mean 2.5; the arrays then: [10.0, 2.0, 3.0, 4.0]
one array, filled four times: mean 2; the array then: 8
a batch with a masked NaN: mean nan of 4 observations
SEEN
