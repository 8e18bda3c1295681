"""The example with Optuna: each trial is a run, and its value is that of the run's files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna
import pytest

import jaxlog

EXAMPLE = Path(__file__).parents[1] / "examples" / "optuna_search.py"


def test_trials_of_two_processes_are_runs_and_have_their_values(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), str(tmp_path)]
    processes = [subprocess.Popen(command), subprocess.Popen(command)]
    assert [process.wait(timeout=600) for process in processes] == [0, 0]
    file = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(file))
    runs = {run.info["config"]["trial"]: run for run in jaxlog.read_runs(tmp_path)}
    assert sorted(runs) == list(range(24))
    for trial in study.trials:
        run = runs[trial.number]
        assert run.info["status"] == "finished"
        last = run.metrics.filter(run.metrics["step"] == run.metrics["step"].max())
        assert trial.value == pytest.approx(float(last["return"].mean() or 0.0), rel=1e-6)
        pruned = trial.state == optuna.trial.TrialState.PRUNED
        assert bool(run.health.unfinished) == (pruned and len(trial.intermediate_values) < 5)
