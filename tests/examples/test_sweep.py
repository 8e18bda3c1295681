"""The sweep, in short: each lane is a W&B run of its own, and says in it what it trained with."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxlog
from tests.sinks.wandb_files import read_all

ROOT = Path(__file__).parent.parent.parent
RATES, SEEDS, STEPS = (0.0005, 0.0125), (0, 1), (0, 20, 29)
LANES = list(itertools.product(RATES, SEEDS))

Metrics = Mapping[str, float]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory of a short sweep, and what it printed."""
    directory = tmp_path_factory.mktemp("sweep")
    options = ["--learning-rates", *map(str, RATES), "--num-seeds", "2", "--num-updates", "30"]
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "sweep.py", *options, "--directory", "run"],
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=200,
        check=True,
    )
    return directory / "run", done.stdout


def lines_of(run: tuple[Path, str]) -> list[dict[str, Any]]:
    text = (run[0] / "batch_metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def lanes(run: tuple[Path, str]) -> dict[tuple[float, int], dict[int, Metrics]]:
    """The metrics that were logged, by learning rate and seed, and by step."""
    found: dict[tuple[float, int], dict[int, Metrics]] = {}
    for line in lines_of(run):
        if "labels" in line:
            labels = line["labels"]
            of_lane = found.setdefault((labels["learning_rate"], labels["seed"]), {})
            of_lane[line["step"]] = line["metrics"]
    return found


def test_each_lane_has_its_lines(run: tuple[Path, str]) -> None:
    lines = [line for line in lines_of(run) if "labels" in line]
    assert [(line["step"], line["lane"], line["lane_position"]) for line in lines] == [
        (step, 2 * i + j, [i, j]) for step in STEPS for i in range(2) for j in range(2)
    ]
    assert [line["labels"] for line in lines] == [
        {"learning_rate": rate, "seed": seed} for _ in STEPS for rate, seed in LANES
    ]
    assert {line["env_step"] for line in lines} == {(step + 1) * 16 * 64 for step in STEPS}


def test_lanes_learn_with_their_own_rate_and_seed(
    lanes: dict[tuple[float, int], dict[int, Metrics]],
) -> None:
    """The first update collects before it learns: its episodes are of the seed alone."""
    for key in ("episode_count", "episode_return_mean"):
        of_seed = [{lanes[rate, seed][0][key] for rate in RATES} for seed in SEEDS]
        assert all(len(values) == 1 for values in of_seed)
        assert of_seed[0] != of_seed[1]
    entropies = {lane: metrics[0]["entropy"] for lane, metrics in lanes.items()}
    for seed in SEEDS:  # the greater rate has moved further from the first policy's ln 2
        assert entropies[RATES[1], seed] < entropies[RATES[0], seed] < np.log(2)


def test_lines_over_lanes_are_those_of_numpy(
    run: tuple[Path, str], lanes: dict[tuple[float, int], dict[int, Metrics]]
) -> None:
    over = [line for line in lines_of(run) if "over_lanes" in line]
    assert [(line["step"], line["over_lanes"]) for line in over] == [
        (step, statistic) for step in STEPS for statistic in ("mean", "iqm")
    ]
    for line in over:
        for key in ("episode_return_mean", "entropy"):
            values = np.sort([metrics[line["step"]][key] for metrics in lanes.values()])
            exact = values.mean() if line["over_lanes"] == "mean" else values[1:3].mean()
            assert line["metrics"][key] == pytest.approx(exact, rel=1e-6)  # of float32


def test_each_lane_is_a_wandb_run(
    run: tuple[Path, str], lanes: dict[tuple[float, int], dict[int, Metrics]]
) -> None:
    runs = {found.name: found for found in read_all(run[0] / "wandb")}
    names = {f"run learning_rate={rate},seed={seed}": (rate, seed) for rate, seed in LANES}
    assert runs.keys() == {"run", *names}
    for name, (rate, seed) in names.items():
        found = runs[name]
        assert (found.group, found.project, found.job_type) == ("run", "jaxlog", "sweep")
        assert found.exit_code == 0
        assert (found.config["learning_rate"], found.config["seed"]) == (rate, seed)
        assert found.config["num_envs"] == 16
        rows = {
            row["batch/step"]: {
                key: np.float32(row[key])
                for key in row
                if key[0] != "_" and not key.startswith("batch/time/")
            }
            for row in found.rows
        }
        assert rows == {
            step: {
                "batch/step": step,
                "batch/env_step": (step + 1) * 16 * 64,
                **{f"batch/{key}": np.float32(value) for key, value in metrics.items()},
            }
            for step, metrics in lanes[rate, seed].items()
        }
    assert runs["run"].config["learning_rate"] == list(RATES)
    assert [row["batch/step"] for row in runs["run"].rows] == list(STEPS)


def test_it_says_which_rate_won(
    run: tuple[Path, str], lanes: dict[tuple[float, int], dict[int, Metrics]]
) -> None:
    means = {
        rate: np.mean([lanes[rate, seed][29]["episode_return_mean"] for seed in SEEDS])
        for rate in RATES  # of two values, the interquartile mean is the mean
    }
    ordered = sorted(RATES, key=lambda rate: -means[rate])
    told = run[1].split("95 % interval:\n")[1].splitlines()
    for line, rate in zip(told[:2], ordered, strict=True):
        assert line.split()[:4] == ["learning", "rate", f"{rate:g}", f"{means[rate]:.1f}"]
    found = jaxlog.compare(run[0], "episode_return_mean")  # what tells groups apart, it finds out
    assert found.by == ("learning_rate",)
    assert told[2] == f"{ordered[0]:g} won."
    intervals = {row["learning_rate"]: row for row in found.frame.iter_rows(named=True)}
    overlap = intervals[ordered[1]]["upper"] >= intervals[ordered[0]]["lower"]
    assert told[3].startswith(f"{ordered[1]:g} may be as good") == overlap


def test_what_it_says_to_do_works(run: tuple[Path, str]) -> None:
    (command,) = [line.strip() for line in run[1].splitlines() if "jaxlog report" in line]
    command = command.replace("jaxlog ", f"{sys.executable} -m jaxlog ", 1)
    subprocess.run(command, shell=True, cwd=run[0].parent, capture_output=True, check=True)
    assert "learning_rate" in (run[0].parent / "sweep.html").read_text()
    assert len(list(run[0].parent.glob("run/wandb/offline-run-*"))) == len(LANES) + 1
