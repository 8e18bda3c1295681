#!/usr/bin/env bash
# The one-sided test of scikit-posthocs for increasing means has the same small p-value when the means decrease.
#
# `test_osrt`, Hayter's one-sided studentised range test, asks whether means increase from group to group, such as returns
# with the size of a network. Its statistic is the largest difference of a later mean to an earlier one. The library takes
# the absolute difference, and the distribution of the two-sided test: this is Tukey's range test. So means that
# decrease are "significant" for an increase, and the p-value of those that do increase is about twice too large.
# The documentation says that the p-values are computed from Tukey's distribution, but calls the test one-sided.
#
# Seen with scikit-posthocs 0.17.1, NumPy 2.4.6 and SciPy 1.17.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "scikit-posthocs==0.17.1" "numpy==2.4.6" "scipy==1.17.1" "pandas==3.1.1"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
import scipy.stats
from scikit_posthocs import test_osrt

GROUPS, SEEDS = 3, 3


def largest_increase(returns):
    """Hayter's statistic of arrays of groups and seeds."""
    means = returns.mean(axis=-1)
    deviation = np.sqrt(returns.var(axis=-1, ddof=1).mean(axis=-1) / SEEDS)
    increases = [means[..., j] - means[..., i] for i in range(GROUPS) for j in range(i + 1, GROUPS)]
    return np.max(increases, axis=0) / deviation


chance = largest_increase(np.random.default_rng(0).normal(size=(400_000, GROUPS, SEEDS)))
increasing = np.array([[1.0, 2, 3], [2, 3, 4], [5, 6, 7]])
for name, returns in (("increasing", increasing), ("decreasing", increasing[::-1])):
    p_value, _, _ = test_osrt(returns.tolist())
    share = np.mean(chance >= largest_increase(returns))
    tukey = scipy.stats.tukey_hsd(*returns).pvalue.min()
    print(f"{name} means: p-value {p_value:.4f}, by simulation {share:.3f}, Tukey's two-sided test {tukey:.4f}")
PROGRAM
echo "expected: the p-values by simulation"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
increasing means: p-value 0.0065, by simulation 0.003, Tukey's two-sided test 0.0065
decreasing means: p-value 0.0065, by simulation 0.995, Tukey's two-sided test 0.0065
SEEN
