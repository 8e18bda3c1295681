#!/usr/bin/env bash
# What a cell of a notebook does to sys.stdout.write is undone when the cell ends.
#
# Tools that copy the output of a program into a log replace sys.stdout.write by a function that also writes
# elsewhere, since Jupyter's kernel checks the class of the stream. IPython 9 does the same to keep outputs in its
# history: it replaces `write` at the beginning of each cell, and at the end puts back the one that it found. So the
# function that a cell has set is gone in the next cell, without a word: the tool copies the output of
# one cell only. In IPython 8, where nothing is put back, it stays. Registering the function again for the
# event pre_run_cell helps.
#
# Seen with IPython 9.18.1 (undone) and 8.37.0 (kept).
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cat > "$folder/program.py" <<'PROGRAM'
import sys

import IPython
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(history_length=0)
shell.run_cell("""
import sys
copied = []
original = sys.stdout.write

def write(text):
    copied.append(text)
    return original(text)

sys.stdout.write = write
print("first cell")
""", store_history=True)
shell.run_cell("print('second cell')", store_history=True)
copied = "".join(shell.user_ns["copied"]).split("\n")[:-1]
print(f"IPython {IPython.__version__}; expected: both cells; copied: {copied}", file=sys.stderr)
print(len(copied), file=sys.stderr)
PROGRAM
cells() {  # how many cells are copied with a version of IPython
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/python" -m pip install --quiet --disable-pip-version-check "ipython==$1" 2> "$folder/pip_$1" \
        || { cat "$folder/pip_$1" >&2; exit 2; }
    IPYTHONDIR="$folder/profile_$1" "$folder/$1/bin/python" "$folder/program.py" > /dev/null 2> "$folder/out_$1"
    sed -n '$!p' "$folder/out_$1" >&2
    tail -n 1 "$folder/out_$1"
}
kept="$(cells 8.37.0)"
undone="$(cells 9.18.1)"
test "$kept" = 2
test "$undone" = 1
