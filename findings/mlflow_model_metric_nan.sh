#!/usr/bin/env bash
# MLflow shows a NaN metric of a logged model as 0.0, and finds the diverged model when asked for the smallest loss.
#
# The SQL store, the default of MLflow 3, keeps a NaN as the number 0 with a mark. The history of a run reads the mark,
# and `search_runs` puts runs whose metric is NaN last, and leaves them out of comparisons. The table of the metrics of
# logged models (`log_metric` with `model_id`) has no mark. So the same number is NaN in the run and 0.0 in the model, and
# `search_logged_models` treats it as 0.0 in filters and in the order. Nothing warns.
#
# Seen with MLflow 3.17.2 (mlflow-skinny), SQLAlchemy 2.1.9 and SQLite.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "mlflow-skinny==3.17.2" "sqlalchemy==2.1.9" "alembic==1.20.1" "pandas==3.1.1"
cat > "$folder/program.py" <<'PROGRAM'
import math
import sys

import mlflow

LOSSES = {"diverged": math.nan, "good": 0.25, "bad": 4.0}
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/mlflow.db")
for name, loss in LOSSES.items():
    with mlflow.start_run(run_name=name):
        model = mlflow.initialize_logged_model(name=name)
        mlflow.log_metric("loss", loss, model_id=model.model_id)

runs = mlflow.search_runs(order_by=["metrics.loss ASC"], output_format="list")
print("runs, smallest loss first:", *(f"{run.info.run_name} {run.data.metrics['loss']}," for run in runs))
runs = mlflow.search_runs(filter_string="metrics.loss < 1", output_format="list")
print("runs with a loss below 1:", *(run.info.run_name for run in runs))
models = mlflow.search_logged_models(
    order_by=[{"field_name": "metrics.loss", "ascending": True}], output_format="list"
)
print("models, smallest loss first:", *(f"{model.name} {model.metrics[0].value}," for model in models))
models = mlflow.search_logged_models(filter_string="metrics.loss < 0.1", output_format="list")
print("models with a loss below 0.1:", *(model.name for model in models))
PROGRAM
echo "expected: the same order for runs and models, and no model below 0.1"
"$folder/venv/bin/python" -W ignore "$folder/program.py" "$folder" 2> "$folder/errors" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
runs, smallest loss first: good 0.25, bad 4.0, diverged nan,
runs with a loss below 1: good
models, smallest loss first: diverged 0.0, good 0.25, bad 4.0,
models with a loss below 0.1: diverged
SEEN
