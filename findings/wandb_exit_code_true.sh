#!/usr/bin/env bash
# A program that has used W&B and ends with sys.exit(True) gets a traceback of W&B's when Python ends.
#
# A bool is an int in Python, and sys.exit(True) ends a program with the status 1; scripts write
# sys.exit(not main()) or sys.exit(failed). W&B notes the value in its own sys.exit, takes it for an exit code
# because it is an int, and passes it to a message of protobuf. Protobuf 7 refuses bools in integer fields,
# where protobuf 6 took them as 0 or 1. So W&B's hook at Python's end raises, and the service is not told
# that the program has ended, and how. The status of the program is right.
#
# Seen with wandb 0.31.0, offline: a TypeError with protobuf 7.36.2, none with protobuf 6.33.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cat > "$folder/program.py" <<'PROGRAM'
import sys

import wandb

run = wandb.init(project="project", mode="offline", settings=wandb.Settings(silent=True))
run.log({"x": 1})
run.finish()
sys.exit(True)
PROGRAM
errors() {  # the number of TypeErrors with a version of protobuf
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/python" -m pip install --quiet --disable-pip-version-check "wandb==0.31.0" "protobuf==$1"
    status=0
    (cd "$folder" && "./$1/bin/python" program.py > "out_$1" 2>&1) || status=$?
    test "$status" = 1
    grep -c "TypeError: Field wandb_internal.ServerInformTeardownRequest.exit_code" "$folder/out_$1" || true
}
old="$(errors 6.33.2)"
new="$(errors 7.36.2)"
echo "wandb 0.31.0; expected: no error at the end"
echo "TypeErrors at the end with protobuf 6.33.2: $old; with protobuf 7.36.2: $new"
tail -n 1 "$folder/out_7.36.2"
test "$old" = 0
test "$new" = 1
