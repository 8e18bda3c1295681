#!/usr/bin/env bash
# In trackio, two projects whose names differ only in spaces or signs are one: each shows the runs of both.
#
# The name of a project becomes the name of its database, without any character but letters, digits, `-` and `_`. So
# `walk fast` and `walkfast` have one file, and the runs of both are listed under either name. The documentation of
# `trackio.init` says that `project` is the name of the project; `init` takes both names, prints each as it was given,
# and warns of nothing.
#
# Seen with trackio 0.43.0.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "trackio==0.43.0"
export TRACKIO_DIR="$folder/trackio"
cat > "$folder/program.py" <<'PYTHON'
import trackio

for project, name in (("walk fast", "first"), ("walkfast", "second")):
    run = trackio.init(project=project, name=name, embed=False, auto_log_cpu=False, auto_log_gpu=False)
    run.log({"loss": 1.0})
    run.finish()
for project in ("walk fast", "walkfast"):
    print("found:", repr(project), sorted(run.name for run in trackio.Api().runs(project)))
PYTHON
echo "trackio 0.43.0; expected: 'walk fast' has the run first, 'walkfast' the run second"
found="$("$folder/venv/bin/python" "$folder/program.py" | grep "^found:")"
echo "$found"
test "$(grep -c "\['first', 'second'\]" <<< "$found")" = 2
