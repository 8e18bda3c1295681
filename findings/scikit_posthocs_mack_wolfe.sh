#!/usr/bin/env bash
# The Mack-Wolfe test of scikit-posthocs gives a p-value of 0 to data that every arrangement of them equals.
#
# `test_mackwolfe` without a known peak compares the data with random permutations of them. Its p-value is the share of
# permutations whose statistic is larger, where a p-value is the share of those that are at least as large. The statistic
# counts pairs, so that for the few seeds of an experiment many permutations have the same. Two groups of one value each
# always have their peak at one of the two: the p-value is 1, and the answer is 0. Where all arrangements of three
# groups of two are equally likely, 6.7 % of them are below 0.05; of three groups of one, a third. Nothing warns.
#
# Seen with scikit-posthocs 0.17.1, NumPy 2.4.6 and SciPy 1.17.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "scikit-posthocs==0.17.1" "numpy==2.4.6" "scipy==1.17.1" "pandas==3.1.1"
cat > "$folder/program.py" <<'PROGRAM'
import itertools

import numpy as np
from scikit_posthocs import test_mackwolfe


def in_groups(values, sizes):
    values = iter(values)
    return [list(itertools.islice(values, size)) for size in sizes]


np.random.seed(0)
for sizes in ((1, 1), (1, 1, 1), (2, 2), (2, 2, 2)):
    increasing = [float(value) for value in range(sum(sizes))]
    p_value, statistic = test_mackwolfe(in_groups(increasing, sizes), n_perm=1000)
    arrangements = [in_groups(values, sizes) for values in itertools.permutations(increasing)]
    arrangements = [groups for groups in arrangements if groups == [sorted(group) for group in groups]]
    statistics = np.array([test_mackwolfe(groups, n_perm=1)[1] for groups in arrangements])
    exact = np.mean(statistics >= statistic - 1e-9)
    strict = np.array([np.mean(statistics > one + 1e-9) for one in statistics])
    print(f"groups of {sizes}, increasing: p-value {p_value}, exactly {exact:.3f}")
    print(f"  below 0.05 if only larger statistics count: {np.mean(strict < 0.05):.3f} of {len(statistics)} arrangements")
PROGRAM
echo "expected: the exact p-values, and shares of at most 0.05"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
groups of (1, 1), increasing: p-value 0.0, exactly 1.000
  below 0.05 if only larger statistics count: 1.000 of 2 arrangements
groups of (1, 1, 1), increasing: p-value 0.0, exactly 0.333
  below 0.05 if only larger statistics count: 0.333 of 6 arrangements
groups of (2, 2), increasing: p-value 0.0, exactly 0.333
  below 0.05 if only larger statistics count: 0.333 of 6 arrangements
groups of (2, 2, 2), increasing: p-value 0.0, exactly 0.022
  below 0.05 if only larger statistics count: 0.067 of 90 arrangements
SEEN
