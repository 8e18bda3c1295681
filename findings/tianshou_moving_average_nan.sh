#!/usr/bin/env bash
# Tianshou's moving average keeps the NaN that it is documented to leave out.
#
# `tianshou.utils.MovAvg` says that it excludes infinity and NaN automatically. It looks whether a number is in a list
# of infinity and `np.nan`, and NaN is in a list only as the very object, since it equals nothing. So `np.nan` itself
# is left out, and a test with it passes; a NaN that was computed, in a float, an array or a tensor, is kept, and mean
# and deviation are NaN until it leaves the window, of 100 numbers by default. Infinity is always left out.
#
# Seen with Tianshou 2.0.1, NumPy 2.4.6 and PyTorch 2.13.0.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "tianshou==2.0.1" "numpy==2.4.6" "torch==2.13.0"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
import torch
from tianshou.utils import MovAvg

for name, bad in (
    ("np.nan", np.nan),
    ("a float", float("inf") - float("inf")),
    ("an array", np.zeros(1) * np.inf),
    ("a tensor", torch.zeros(1) / 0.0),
    ("a tensor of infinity", torch.ones(1) / 0.0),
):
    average = MovAvg(size=3)
    average.add(2.0)
    average.add(bad)
    print(f"2.0 and {name}: {average.add(4.0)}", end=", ")
    print("after 3 more:", [round(average.add(1.0), 2) for _ in range(3)])
PROGRAM
echo "expected: 3.0, and no nan, in each line"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
2.0 and np.nan: 3.0, after 3 more: [2.33, 2.0, 1.0]
2.0 and a float: nan, after 3 more: [nan, 2.0, 1.0]
2.0 and an array: nan, after 3 more: [nan, 2.0, 1.0]
2.0 and a tensor: nan, after 3 more: [nan, 2.0, 1.0]
2.0 and a tensor of infinity: 3.0, after 3 more: [2.33, 2.0, 1.0]
SEEN
