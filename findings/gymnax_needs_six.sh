#!/usr/bin/env bash
# gymnax cannot be imported in an environment that has only what gymnax requires.
#
# It imports six, which is not among its requirements. Where another package brings six along, nobody notices.
#
# Seen with gymnax 1.0.1 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "gymnax==1.0.1" "jax==0.10.2"
"$folder/venv/bin/python" -m pip check
status=0
"$folder/venv/bin/python" -c "import gymnax" > "$folder/out" 2>&1 || status=$?
echo "expected: it is imported; status $status:"
tail -n 1 "$folder/out"
test "$status" = 1
grep -q "ModuleNotFoundError: No module named 'six'" "$folder/out"
