#!/usr/bin/env bash
# pyarrow imports pandas, if it is installed, to make an array of a list and to hand a column to NumPy.
#
# Neither has to do with pandas. The first such call of a process takes the time and the memory of that import. An
# array that is made of buffers does not cause it.
#
# Seen with pyarrow 26.0.1, pandas 3.1.1 and NumPy 2.4.6.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  "pyarrow==26.0.1" "pandas==3.1.1" "numpy==2.4.6"
cat > "$folder/program.py" <<'PYTHON'
import sys
import time

import numpy as np
import pyarrow as pa

numbers = np.arange(3.0)
from_buffers = pa.Array.from_buffers(pa.float64(), 3, [None, pa.py_buffer(numbers)])
print("from_buffers:", from_buffers.type, "- pandas is imported:", "pandas" in sys.modules)
assert "pandas" not in sys.modules
start = time.perf_counter()
if sys.argv[1] == "array":
    pa.array([1.0, 2.0, 3.0])
else:
    from_buffers.to_numpy()
seconds = time.perf_counter() - start
print(f"{sys.argv[1]}: pandas is imported: {'pandas' in sys.modules}; the call took {seconds:.2f} s")
assert "pandas" in sys.modules
PYTHON
echo "expected: pandas is not imported"
"$folder/venv/bin/python" "$folder/program.py" array
"$folder/venv/bin/python" "$folder/program.py" to_numpy
