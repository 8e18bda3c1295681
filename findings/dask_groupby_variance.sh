#!/usr/bin/env bash
# Dask loses the standard deviation of groups whose values are large beside their spread, and gives negative variances.
#
# `std` and `var` of groups have the docstrings of pandas, and stand for the same numbers. Dask takes the difference
# between the sum of the squares and the square of the sum, both in float64. Where the mean is some ten million times
# the spread, as with times in seconds since 1970, nothing is left of the difference: the deviation is 0, or too
# large, or, by `agg`, the root of a negative variance, which is NaN. `std()` of the whole column is right.
# Nothing warns, except NumPy of the root.
#
# Seen with Dask 2026.8.0, pandas 3.1.1 and NumPy 2.4.6.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "dask[dataframe]==2026.8.0" "pandas==3.1.1" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import dask.dataframe
import numpy as np
import pandas as pd

spread = np.array([0.0, 1.0, 2.0, 3.0, 0.0, 0.1, 0.2, 0.3])


def text(numbers):
    return " ".join(f"{number:.2f}" for number in numbers)


for start in (0.0, 1e8, 1.7e9):
    rows = pd.DataFrame({"seed": [0] * 4 + [1] * 4, "time": start + spread})
    lazy = dask.dataframe.from_pandas(rows, npartitions=2)
    print(f"from {start:.0f}")
    print("  deviation, pandas:", text(rows.groupby("seed").time.std()), "all:", text([rows.time.std()]))
    print(
        "  deviation, Dask:  ",
        text(lazy.groupby("seed").time.std().compute()),
        "all:",
        text([lazy.time.std().compute()]),
    )
    print("  variance, pandas: ", text(rows.groupby("seed").time.var()))
    print("  variance, Dask:   ", text(lazy.groupby("seed").time.var().compute()))
    both = lazy.groupby("seed").time.agg(["std", "var"]).compute()
    print("  by agg, Dask:     ", text(both["std"]), "and", text(both["var"]))
PROGRAM
echo "expected: the numbers of pandas, which are the same for each start"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
from 0
  deviation, pandas: 1.29 0.13 all: 1.11
  deviation, Dask:   1.29 0.13 all: 1.11
  variance, pandas:  1.67 0.02
  variance, Dask:    1.67 0.02
  by agg, Dask:      1.29 0.13 and 1.67 0.02
from 100000000
  deviation, pandas: 1.29 0.13 all: 1.11
  deviation, Dask:   1.63 0.00 all: 1.11
  variance, pandas:  1.67 0.02
  variance, Dask:    2.67 0.00
  by agg, Dask:      1.63 nan and 2.67 -2.67
from 1700000000
  deviation, pandas: 1.29 0.13 all: 1.11
  deviation, Dask:   0.00 0.00 all: 1.11
  variance, pandas:  1.67 0.02
  variance, Dask:    0.00 0.00
  by agg, Dask:      0.00 0.00 and 0.00 0.00
SEEN
