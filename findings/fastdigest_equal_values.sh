#!/usr/bin/env bash
# fastdigest says that the probability of a value is 0 when every value is that one.
#
# `cdf(x)` is the cumulative probability of x, and `probability(x1, x2)` that of the closed interval from x1 to x2. The
# digest joins its points by lines, and takes for x the lower end of a vertical line, where many values are equal. So
# of a thousand episodes that all have 200 steps, none has at most 200 by `cdf`, and none has 0 to 200 by `probability`;
# `quantile` of the same digest gives 200. The share of 0/1 successes that are 0 is 0 too. `cdf` of the largest value is
# 1 if it occurs once only. Nothing says that values must be distinct.
#
# Seen with fastdigest 0.12.0 and NumPy 2.4.6. All values here are in the digest as they are, or joined with equal ones.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "fastdigest==0.12.0" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
from fastdigest import TDigest

for name, values in (
    ("200 for 1000 times", np.full(1000, 200.0)),
    ("0 for 900, 1 for 100 times", np.repeat([0.0, 1.0], [900, 100])),
    ("0, 1, 1, 1", np.array([0.0, 1.0, 1.0, 1.0])),
):
    digest = TDigest.from_values(values)
    largest, smallest = float(values.max()), float(values.min())
    print(f"{name}: quantile(0.5) {digest.quantile(0.5):g}")
    for x in sorted({smallest, largest}):
        print(f"  cdf({x:g}) {digest.cdf(x):.3f}, counted {np.mean(values <= x):.3f}")
    inside = digest.probability(smallest - 1, largest)
    print(f"  probability({smallest - 1:g}, {largest:g}) {inside:.3f}, counted 1.000")
PROGRAM
echo "expected: the counted shares"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
200 for 1000 times: quantile(0.5) 200
  cdf(200) 0.000, counted 1.000
  probability(199, 200) 0.000, counted 1.000
0 for 900, 1 for 100 times: quantile(0.5) 0
  cdf(0) 0.000, counted 0.900
  cdf(1) 0.901, counted 1.000
  probability(-1, 1) 0.901, counted 1.000
0, 1, 1, 1: quantile(0.5) 1
  cdf(0) 0.000, counted 0.250
  cdf(1) 0.333, counted 1.000
  probability(-1, 1) 0.333, counted 1.000
SEEN
