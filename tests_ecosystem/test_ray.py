"""The example with Ray Tune: each trial is a run, also where Ray ends it early."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxlog

EXAMPLE = Path(__file__).parents[1] / "examples" / "ray_search.py"


def test_trials_are_runs_and_the_best_has_its_value(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), "runs/search"]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True, timeout=900
    )
    found = re.search(r"best of 12 trials: learning_rate (\S+), (\S+)$", done.stdout.strip())
    assert found is not None, done.stdout
    runs = list(jaxlog.read_runs(str(tmp_path / "runs/search/trial*")))
    assert len(runs) == 12
    ends: dict[float, float] = {}
    for run in runs:
        frame = run.metrics
        pieces = int(frame["step"].max()) // 20 + 1
        # Whole pieces, each logged four times, and the last update, of eight lanes.
        assert len(frame) == (pieces * 4 + (pieces == 5)) * 8
        # Ray ends a trial in a report; of the last piece it is made after the block.
        assert run.status == ("finished" if pieces == 5 else "exited")
        last = frame.filter(frame["step"] == frame["step"].max())
        ends[run.info["config"]["learning_rate"]] = float(last["return"].mean() or 0.0)
    assert {run.status for run in runs} == {"finished", "exited"}
    rate, value = max(ends.items(), key=lambda one: one[1])
    assert float(found[1]) == pytest.approx(rate, rel=0.01)
    assert float(found[2]) == pytest.approx(value, abs=0.001)
