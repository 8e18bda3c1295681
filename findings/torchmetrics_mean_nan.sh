#!/usr/bin/env bash
# TorchMetrics' weighted mean gives a NaN that it replaces by a number the weight 1, and writes into the caller's tensors.
#
# With `nan_strategy=0.0`, `MeanMetric` is documented to impute NaN with that number. It also sets the weight of the value
# to 1. So the NaN of an episode that weighs a thousand steps counts as one step; and a NaN of weight 0, as in
# padding that is to be left out, counts. Both are written into the tensors that were passed, so that a second metric that
# is given the same tensors gets the wrong weights too, and no NaN to warn of. Nothing says so.
#
# Seen with TorchMetrics 1.9.0 and PyTorch 2.14.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "torchmetrics==1.9.0" "torch==2.14.1" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
import torch
from torchmetrics import MeanMetric

NAN = float("nan")

for name, values, weights in (
    ("a NaN of weight 3", [8.0, NAN], [1.0, 3.0]),
    ("a NaN of weight 0", [8.0, NAN], [1.0, 0.0]),
    ("no NaN", [8.0, 0.0], [1.0, 3.0]),
):
    expected = np.average(np.nan_to_num(values), weights=weights)
    values, weights = torch.tensor(values), torch.tensor(weights)
    mean = MeanMetric(nan_strategy=0.0)
    mean.update(values, weights)
    print(f"{name}: mean {mean.compute().item():g}, by NumPy {expected:g}", end="; ")
    print(f"the tensors then: values {values.tolist()}, weights {weights.tolist()}")
PROGRAM
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
a NaN of weight 3: mean 4, by NumPy 2; the tensors then: values [8.0, 0.0], weights [1.0, 1.0]
a NaN of weight 0: mean 4, by NumPy 8; the tensors then: values [8.0, 0.0], weights [1.0, 1.0]
no NaN: mean 2, by NumPy 2; the tensors then: values [8.0, 0.0], weights [1.0, 3.0]
SEEN
