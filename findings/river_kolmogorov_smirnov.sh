#!/usr/bin/env bash
# river's Kolmogorov-Smirnov statistic of two equal streams is 1, the largest it can be, when their values repeat.
#
# `stats.KolmogorovSmirnov` is documented as the largest difference of the two empirical distribution functions. It looks
# at their difference after each single observation, so also in the middle of equal values, where one stream is
# already counted and the other is not. Such a difference exists for no number x. For distinct values the result is
# that of SciPy; for lengths of episodes, 0/1 successes or sparse rewards it is too large, and for constants it is 1.
# Kuiper's statistic, of the same class, is wrong likewise. Nothing says that values must be distinct: the example of
# the documentation repeats values, but is one of those where the result is right.
#
# Seen with river 0.26.1, NumPy 2.4.6 and SciPy 1.17.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "river==0.26.1" "numpy==2.4.6" "scipy==1.17.1"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
import scipy.stats
from river.stats import KolmogorovSmirnov

rng = np.random.default_rng(0)


def exact(first, second):
    """The largest and the smallest difference of the distribution functions, which change at the values only."""
    values = np.union1d(first, second)
    differences = np.array([np.mean(first <= value) - np.mean(second <= value) for value in values])
    return max(abs(differences)), max(differences.max(), 0) - min(differences.min(), 0)


for name, first, second in (
    ("distinct numbers", rng.normal(size=200), rng.normal(size=200)),
    ("constants", np.ones(200), np.ones(200)),
    ("the same 0/1 successes", np.arange(200) % 2, np.arange(200) % 2),
    ("successes of 0.8 and 0.7", np.arange(200) % 10 < 8, np.arange(200) % 10 < 7),
):
    results = []
    for statistic, by_hand in zip(("ks", "kuiper"), exact(first, second)):
        stream = KolmogorovSmirnov(statistic)
        for pair in zip(first.astype(float), second.astype(float)):
            stream.update(*pair)
        results.append(f"{statistic} {abs(stream.get()):.3f}, by hand {by_hand:.3f}")
    by_scipy = scipy.stats.ks_2samp(first.astype(float), second.astype(float)).statistic
    print(f"{name}: {'; '.join(results)}; SciPy's ks {by_scipy:.3f}")
PROGRAM
echo "expected: the numbers by hand, which are those of SciPy"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
distinct numbers: ks 0.105, by hand 0.105; kuiper 0.135, by hand 0.135; SciPy's ks 0.105
constants: ks 1.000, by hand 0.000; kuiper 1.000, by hand 0.000; SciPy's ks 0.000
the same 0/1 successes: ks 0.500, by hand 0.000; kuiper 0.500, by hand 0.000; SciPy's ks 0.000
successes of 0.8 and 0.7: ks 0.700, by hand 0.100; kuiper 0.800, by hand 0.100; SciPy's ks 0.100
SEEN
