"""A month of runs: readers agree on its values, and no reader ranks a dead lane first."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

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
            column, expected = part["episode_return_mean"], returns_at(name, step)
            # No episode is a value that is missing, and not one that is not finite.
            assert column.null_count() == (0 if has_episodes(step) else SEEDS)
            if not has_episodes(step):
                continue
            found = column.to_numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-5)
            assert np.isfinite(found).sum() == alive(name, step)


RETURN = "episode_return_mean"


def test_compare_ranks_by_what_happened(month: Path) -> None:
    with pytest.warns(UserWarning, match=RETURN) as caught:
        found = jaxlog.compare(month, RETURN)
    assert [str(w.message) for w in caught] == [
        f"{RETURN}: 17 of 56 lanes have diverged (algorithm ppo, learning_rate 1: 3 of 8; "
        "algorithm ppo, learning_rate 10: 8 of 8; algorithm sac, learning_rate 0.1: 5 of 8; "
        "algorithm sac, learning_rate 1: 1 of 8); each gets the worst score of all, the lowest, "
        "since higher is better",
        f"{RETURN}: runs that have not finished: sac-0.01 (killed, last step 29), sac-1.0 "
        "(failed, last step 69); their lanes are left out; unfinished='common_step' compares all "
        "at one step",
    ]
    frame = found.frame.with_columns(
        name=found.frame["algorithm"] + "-" + found.frame["learning_rate"].cast(str)
    )
    ranked = frame.sort("iqm", descending=True, nulls_last=True)["name"].to_list()
    assert ranked[0] == "ppo-0.1"
    assert ranked[4] == "ppo-10.0"  # of which all died
    assert set(ranked[5:]) == {"sac-0.01", "sac-1.0"}
    counts = frame.select("name", "alive", "diverged", "unfinished", "left_out").rows()
    assert {name: numbers for name, *numbers in counts} == {
        "ppo-0.01": [8, 0, 0, 0],
        "ppo-0.1": [8, 0, 0, 0],
        "ppo-1.0": [5, 3, 0, 0],
        "ppo-10.0": [0, 8, 0, 0],
        "sac-0.01": [8, 0, 8, 8],
        "sac-0.1": [3, 5, 0, 0],
        "sac-1.0": [7, 1, 8, 8],
    }
    # Of all survivors, and of what was there before they died, the wrong one is the best.
    for policy in ("leave_out", "keep_last"):
        with pytest.warns(UserWarning, match="have diverged|not finished"):
            misled = jaxlog.compare(month, RETURN, diverged=policy).frame
        best = misled.sort("iqm", descending=True, nulls_last=True).row(0, named=True)
        assert (best["algorithm"], best["learning_rate"]) == ("sac", 0.1)
    assert str(found).splitlines()[1:3] == list(found.notes)
    assert "17 of 56 lanes have diverged" in found._repr_html_()


def test_a_loss_that_is_not_finite_is_the_worst_too(month: Path) -> None:
    with pytest.warns(UserWarning, match="the highest, since lower is better|not finished"):
        found = jaxlog.compare(month, "loss")
    iqm = {f"{algorithm}{rate}": iqm for algorithm, rate, iqm, *_ in found.frame.rows()}
    assert min((value, name) for name, value in iqm.items() if value is not None)[1] == "ppo0.1"


def test_plots_say_what_died(month: Path) -> None:
    with mpl.rc_context({"backend": "agg"}):
        ax = jaxlog.read_runs(month).plot(RETURN)
        legend = ax.get_legend()
        assert legend is not None
        words = [" ".join(text.get_text().split()) for text in legend.get_texts()]
        assert words == [
            "algorithm ppo, learning_rate 0.01",
            "algorithm ppo, learning_rate 0.1",
            "algorithm ppo, learning_rate 1 (5 of 8 alive)",
            "algorithm ppo, learning_rate 10 (0 of 8 alive)",
            "algorithm sac, learning_rate 0.01 (unfinished)",
            "algorithm sac, learning_rate 0.1 (3 of 8 alive)",
            "algorithm sac, learning_rate 1 (7 of 8 alive, unfinished)",
        ]
        assert " ".join(ax.texts[0].get_text().split()) == (
            "mean ± std, 8 lanes each 17 of 56 lanes have diverged, 16 of 56 belong to "
            "unfinished runs, dashed where fewer lanes are left, a cross where none is left"
        )
        (cross,) = [line for line in ax.lines if line.get_gid() == "dead"]
        assert np.asarray(cross.get_xdata()).tolist() == [
            26
        ]  # the last update at which a lane lived
        dashed = {
            line.get_color() if isinstance(line.get_color(), str) else tuple(line.get_color()): line
            for line in ax.lines
            if line.get_gid() == "fewer"
        }
        assert len(dashed) == 4
        missing = sum(
            planned.stopped_at is None or step < planned.stopped_at
            for planned in RUNS.values()
            for first in planned.diverged.values()
            for step in range(first, UPDATES)
            if has_episodes(step)
        )
        assert ax.get_title(loc="right") == f"{missing} values not finite"
        with pytest.warns(UserWarning, match="have diverged|not finished"):
            found = jaxlog.compare(month, RETURN)
        ax = found.plot()
        assert [text.get_text() for text in ax.get_yticklabels()][2:5] == [
            "algorithm ppo, learning_rate 1\n(5 of 8 alive)",
            "algorithm ppo, learning_rate 10\n(0 of 8 alive)",
            "algorithm sac, learning_rate 0.01\n(unfinished)",
        ]
        assert " ".join(ax.texts[0].get_text().split()) == (
            "interquartile mean, 95 % interval, a dot for each score, a cross if it diverged of 56 "
            "lanes 17 have diverged, 16 belong to unfinished runs, 16 have no score"
        )
        plt.close("all")


def test_the_health_of_the_runs(month: Path) -> None:
    runs = jaxlog.read_runs(month)
    assert repr(runs).splitlines() == [
        "RunsData(7 runs)",
        "run       status    health",
        "ppo-0.01  finished",
        "ppo-0.1   finished",
        "ppo-1.0   finished  diverged (3 of 8 lanes, from step 30)",
        "ppo-10.0  finished  diverged (8 of 8 lanes, from step 20)",
        "sac-0.01  killed    unfinished (30 of 100 updates)",
        "sac-0.1   finished  diverged (5 of 8 lanes, from step 50)",
        "sac-1.0   failed    diverged (1 of 8 lanes, from step 15) · unfinished (70 of 100 "
        "updates)",
    ]
    for name, run in zip(runs.names, runs, strict=True):
        diverged = run.health.diverged
        assert dict(diverged.since if diverged else {}) == RUNS[name].diverged
        # A file that does not say it, of jaxlog 0.1, has the same.
        run.info.pop("health", None)
        assert run.health == jaxlog.read_run(month / name).health
    assert repr(runs["ppo-1.0"]).endswith(
        "ppo-1.0', finished, diverged (3 of 8 lanes, from step 30): batch_metrics, episodes)"
    )
