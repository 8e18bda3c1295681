"""A month of runs: what its files say, and that no reader takes a dead lane for a winner."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import jaxlog
from tests.month import RUNS, SEEDS, UPDATES, alive, has_episodes, returns_at


def test_the_runs_are_as_planned(month: Path) -> None:
    runs = jaxlog.read_runs(month)
    assert {name: runs[name].status for name in runs.names} == {
        name: planned.status for name, planned in RUNS.items()
    }
    for name, planned in RUNS.items():
        lines = runs[name].metrics.sort("step", "seed")
        steps = planned.stopped_at or UPDATES
        assert lines["step"].to_list() == [step for step in range(steps) for _ in range(SEEDS)]
        for (step,), part in lines.partition_by("step", as_dict=True).items():
            found = part["episode_return_mean"].fill_null(float("nan")).to_numpy()
            expected = returns_at(name, step)
            if not has_episodes(step):
                assert part["episode_return_mean"].null_count() == SEEDS
                continue
            np.testing.assert_allclose(found, expected, rtol=1e-5)
            assert np.isfinite(found).sum() == alive(name, step)
