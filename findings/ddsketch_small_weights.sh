#!/usr/bin/env bash
# With weights that add up to less than one, all quantiles of a DDSketch of positive values are one negative number.
#
# `add` takes a positive weight. The rank of a quantile is computed as q times (total weight - 1), which is negative when
# the total is below one, and a negative rank is read as a rank among the negative values, of which there are none. The
# value is then minus the middle of an empty bucket. So normalised weights, or a few episodes whose importance is
# small, give numbers of the wrong sign, where the sketch promises a relative error of 1 %. The mean of the same sketch is
# right. With a larger total of fractions the quantiles are too low: the median of ten values of weight 0.2 is the third.
#
# Seen with ddsketch 3.0.1 (sketches-py of Datadog).
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "ddsketch==3.0.1"
cat > "$folder/program.py" <<'PROGRAM'
from ddsketch import DDSketch

VALUES = range(10, 110, 10)
for weight in (1.0, 0.5, 0.2, 0.15, 0.09):
    sketch = DDSketch(relative_accuracy=0.01)
    for value in VALUES:
        sketch.add(value, weight=weight)
    quantiles = [round(sketch.get_quantile_value(q), 1) for q in (0.1, 0.5, 0.9)]
    print(f"10, 20, ..., 100 of weight {weight}: mean {sketch.avg:.1f}, quantiles of 0.1, 0.5 and 0.9: {quantiles}")
PROGRAM
echo "expected: the same quantiles in each line, within 1 %, or the next value"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
10, 20, ..., 100 of weight 1.0: mean 55.0, quantiles of 0.1, 0.5 and 0.9: [10.1, 49.9, 89.1]
10, 20, ..., 100 of weight 0.5: mean 55.0, quantiles of 0.1, 0.5 and 0.9: [10.1, 49.9, 80.6]
10, 20, ..., 100 of weight 0.2: mean 55.0, quantiles of 0.1, 0.5 and 0.9: [10.1, 30.3, 49.9]
10, 20, ..., 100 of weight 0.15: mean 55.0, quantiles of 0.1, 0.5 and 0.9: [10.1, 19.9, 30.3]
10, 20, ..., 100 of weight 0.09: mean 55.0, quantiles of 0.1, 0.5 and 0.9: [-1.0, -1.0, -1.0]
SEEN
