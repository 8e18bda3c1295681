#!/usr/bin/env bash
# Autorank's tables begin with the worst population by default, and their effect sizes compare all others with it.
#
# Its documentation promises an effect size "in comparison to the highest mean value" or, for data that are not normal, "to
# the highest ranking approach", and says that `order="descending"`, the default, gives higher ranks to larger values.
# Populations are ordered by their mean ranks, of which 1 is the best. For "descending" these numbers are sorted in
# descending order, too: the worst population comes first in `rankdf`, and `effect_size` and `magnitude` compare the others
# with it. For "ascending" the best comes first, so that both orders give the same table of names.
#
# Seen with Autorank 1.3.0, pandas 2.3.3 and NumPy 2.3.5.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "autorank==1.3.0" "pandas==2.3.3" "numpy==2.3.5"
cat > "$folder/program.py" <<'PROGRAM'
import contextlib
import io
import warnings

import numpy as np
import pandas as pd
from autorank import autorank

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
names = {"low": 1.0, "middle": 2.0, "high": 8.0}
skewed = pd.DataFrame({name: rng.exponential(scale, 40) for name, scale in names.items()})
normal = pd.DataFrame({name: rng.normal(scale, 1.0, 40) for name, scale in names.items()})
for kind, data in {"skewed": skewed, "normal": normal}.items():
    for order in ("descending", "ascending"):
        with contextlib.redirect_stdout(io.StringIO()):
            ranks = autorank(data, order=order).rankdf
        print(f"{kind}, {order}:", ", ".join(f"{name} ({ranks.magnitude[name]})" for name in ranks.index))
PROGRAM
echo "expected: high, middle, low where larger is better, with effects against high; low, middle, high where smaller is better"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
skewed, descending: low (negligible), middle (small), high (large)
skewed, ascending: low (negligible), middle (small), high (large)
normal, descending: low (negligible), middle (large), high (large)
normal, ascending: low (negligible), middle (large), high (large)
SEEN
