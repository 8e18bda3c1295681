#!/usr/bin/env bash
# One NaN among the metrics makes Orbax delete the best checkpoint, and call a worse one the best.
#
# With `best_fn` and `max_to_keep=2`, a CheckpointManager keeps the two checkpoints with the best metrics, by its
# documentation. It sorts them by the metric, and a NaN is neither less nor more than a number, so numbers on different
# sides of the NaN are never compared. An evaluation that gave NaN once costs the best checkpoint of all, which has the
# metric 9.0 here, with "max" and in the same way with "min"; a NaN that comes last is itself the best. Nothing warns.
#
# A `best_fn` that turns a NaN into -inf (inf with "min") avoids it.
#
# Seen with Orbax 0.12.8 and JAX 0.10.2; JAX 0.12.0.1 gives the same.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "orbax-checkpoint==0.12.8" "jax==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import math
import tempfile

import numpy as np
import orbax.checkpoint as ocp


def train(mode, metrics, best=lambda metrics: metrics["metric"]):
    options = ocp.CheckpointManagerOptions(max_to_keep=2, best_fn=best, best_mode=mode, enable_async_checkpointing=False)
    with tempfile.TemporaryDirectory() as folder, ocp.CheckpointManager(folder, options=options) as manager:
        for step, metric in enumerate(metrics):
            manager.save(step, args=ocp.args.StandardSave({"weights": np.zeros(2)}), metrics={"metric": metric})
        kept = manager.all_steps()
        print(f"{mode} of {metrics}: kept {[metrics[step] for step in kept]}, the best is {metrics[manager.best_step()]}")


for unfinished in (1.0, math.nan):
    train("max", [1.0, 9.0, unfinished, 2.0])
    train("min", [-1.0, -9.0, unfinished, -2.0])
train("max", [3.0, 9.0, math.nan])
train("max", [1.0, 9.0, math.nan, 2.0], lambda metrics: -math.inf if math.isnan(metrics["metric"]) else metrics["metric"])
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
max of [1.0, 9.0, 1.0, 2.0]: kept [9.0, 2.0], the best is 9.0
min of [-1.0, -9.0, 1.0, -2.0]: kept [-9.0, -2.0], the best is -9.0
max of [1.0, 9.0, nan, 2.0]: kept [nan, 2.0], the best is 2.0
min of [-1.0, -9.0, nan, -2.0]: kept [nan, -2.0], the best is -2.0
max of [3.0, 9.0, nan]: kept [9.0, nan], the best is nan
max of [1.0, 9.0, nan, 2.0]: kept [9.0, 2.0], the best is 9.0
SEEN
