#!/usr/bin/env bash
# Of two models with equal scores everywhere, baycomp says that the first is better, with a probability of about 0.7.
#
# The Bayesian signed-rank test of `two_on_multiple` draws samples of the probability that either model is better, and
# counts which is the larger. For equal scores each sample is 0.5 and 0.5 but for the rounding of its sum, so that the
# rounding decides, and a sample of exactly 0.5 counts for the first model. Two agents that both solve every task are
# such models. Changing their places changes nothing: whoever comes first is better. A difference of one task in each
# direction gives 0.5, and with `rope=1e-9` the answer is right: neither is better.
#
# Seen with baycomp 1.0.3, NumPy 2.4.6 and SciPy 1.17.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "baycomp==1.0.3" "numpy==2.4.6" "scipy==1.17.1" matplotlib
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
from baycomp import SignedRankTest


def first_is_better(first, second):
    return float(SignedRankTest.probs(np.array(first), np.array(second), random_state=0)[0])


for tasks in (3, 5, 10, 20):
    solved = [1.0] * tasks
    equal = first_is_better(solved, solved)
    mixed = first_is_better([0.5, *solved], [*solved, 0.5])
    assert equal > 0.6 and abs(mixed - 0.5) < 0.02, (equal, mixed)
    print(f"{tasks} tasks, all solved by both: {equal:.2f}; one task more for each: {mixed:.2f}")
rope = SignedRankTest.probs(np.ones(5), np.ones(5), 1e-9, random_state=0)
assert rope == (0, 1, 0), rope
print("first better, neither, second better, with a rope:", [float(part) for part in rope])
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
