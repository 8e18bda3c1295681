"""trackio: its database is read back with its own reader."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxlog
from tests.conftest import MakeLogger
from tests.sinks.two_lanes import train

storage: Any = pytest.importorskip("trackio.sqlite_storage")
SQLiteStorage = storage.SQLiteStorage


def sink(project: str, **settings: Any) -> dict[str, Any]:
    return {"kind": "trackio", "project": project, **settings}


def runs(project: str) -> dict[str, str]:
    """The ids of the runs by name."""
    return {record["name"]: record["id"] for record in SQLiteStorage.get_run_records(project)}


def logs(project: str, run_id: str) -> list[dict[str, Any]]:
    (name,) = (r["name"] for r in SQLiteStorage.get_run_records(project) if r["id"] == run_id)
    return SQLiteStorage.get_logs(project, name, run_id=run_id)


def values(rows: list[dict[str, Any]], key: str) -> list[Any]:
    return [row[key] for row in rows if key in row]


def test_each_lane_is_a_run_in_one_group(make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = {"env_steps_per_update": 100, "num_samples": 2, "sample_frequency": 20}
    logger = make_logger(sinks=[sink("lanes", tags=["b"])], **settings)
    config = {"gamma": 0.9, "lr": 5, "_own": {"deep": 2**62}}
    with logger.open(tmp_path / "sweep", config=config, tags=("a",)) as run:
        train(logger, 30)
    found = runs("lanes")
    assert list(found) == ["sweep seed=0,lr=0.1", "sweep seed=1,lr=0.1"]
    for seed, run_id in enumerate(found.values()):
        assert run_id == f"{run.info.id}-{seed:03d}"
        rows = logs("lanes", run_id)
        means = [1.5 + 10 * seed, 11.5 + 10 * seed, 21.5 + 10 * seed]
        assert values(rows, "batch/episode_return_mean") == means
        assert values(rows, "batch/policy_loss") == [0.1] * 3  # float32, as in the lines
        assert values(rows, "batch/env_step") == [100, 1100, 2100]
        own = [row for row in rows if "batch/policy_loss" in row]
        assert [row["step"] for row in own] == [0, 10, 20]
        assert len(values(rows, "batch/time/seconds")) == 3
        tables = [row for row in rows if "batch/episodes" in row]
        assert [row["step"] for row in tables] == [0, 20]
        for row in tables[0]["batch/episodes"]["_value"]:
            assert row["total_reward"] == row["environment_id"] + 10 * seed
            assert (row["seed"], row["lr"]) == (seed, 0.1)
        kept = SQLiteStorage.get_run_config("lanes", "", run_id=run_id)
        assert kept is not None
        assert (kept["gamma"], kept["lr"], kept["seed"], kept["_Group"]) == (
            0.9,
            0.1,
            seed,
            "sweep",
        )
        assert (kept["config._own"], kept["tags"]) == ({"deep": 2**62}, ["a", "b"])


@pytest.mark.parametrize("lanes", ["columns", "aggregate"])
def test_lanes_in_one_run(lanes: str, make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = sink(f"one-{lanes}", lanes=lanes, x_axis="env_step", group="mine")
    logger = make_logger(sinks=[settings], env_steps_per_update=8, sampling_enabled=False)
    with logger.open(tmp_path / "one") as run:
        train(logger, 11)
    assert runs(f"one-{lanes}") == {"one": run.info.id}
    rows = logs(f"one-{lanes}", run.info.id)
    assert [row["step"] for row in rows] == [8, 88]
    key = "batch/episode_return_mean"
    if lanes == "columns":
        assert values(rows, f"{key}/seed=1,lr=0.1") == [11.5, 21.5]
    else:
        assert values(rows, key) == [6.5, 16.5]
        assert values(rows, f"{key}_lanes_std") == [5.0, 5.0]


def test_odd_values_and_names_come_back(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink("odd")]})
    odd = {"step": 1.0, "time": 2, "__x": 3, "a//b": 4, "é ✓ [=,]": 5, "metrics": 6, "timestamp": 7}
    with logger.open(tmp_path / "run") as run:
        run.log({"nan": math.nan, "inf": math.inf, "low": -math.inf, "big": 2**64 - 1, **odd})
        run.log(
            {"tiny": 5e-324, "small": -(2**63), "half": np.float16(0.1), "on": True}, step=2**40
        )
        run.log({"x/y": 1, "x": {"z": 2}}, step=3)
        run.log({f"key_{number}": number for number in range(10_000)}, step=4)
    first, second, third, fourth = logs("odd", run.info.id)
    assert math.isnan(first["eval/nan"])
    assert (first["eval/inf"], first["eval/low"]) == (math.inf, -math.inf)
    assert first["eval/big"] == 2**64 - 1
    assert {key: first[f"eval/{key}"] for key in odd} == odd
    assert (second["eval/tiny"], second["eval/small"]) == (5e-324, -(2**63))
    assert (second["eval/half"], second["eval/on"], second["step"]) == (0.1, True, 2**40)
    assert (third["eval/x/y"], third["eval/x/z"]) == (1, 2)
    assert [fourth[f"eval/key_{number}"] for number in range(10_000)] == [*range(10_000)]


def test_histograms_and_arrays(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[sink("shown")], sampling_enabled=False, histograms={"a": [0, 1, 2]})
    with logger.open(tmp_path / "run") as run:
        x = np.array([-1.0, 0.5, 1.5, 1.5, 7.0], np.float32)
        jaxlog.batch_step(logger, 0, {"a": x}, where=np.ones(5, bool))
        run.log(None, arrays={"q": np.eye(3), "one": np.float32(0.1)}, step=1)
    rows = logs("shown", run.info.id)
    (histogram,) = values(rows, "batch/a_histogram")
    assert (histogram["bins"], histogram["values"]) == ([0, 1, 2], [1, 2])
    assert values(rows, "batch/a_histogram_below") == values(rows, "batch/a_histogram_above") == [1]
    (picture,) = values(rows, "eval/q")
    assert (Path(os.environ["TRACKIO_DIR"]) / "media" / picture["file_path"]).stat().st_size
    assert values(rows, "eval/one") == [0.1]


def test_a_name_that_is_used_twice_is_two_runs(tmp_path: Path) -> None:
    found = []
    for number in range(2):
        logger = jaxlog.Logger({"sinks": [sink("twice")]})
        with logger.open(tmp_path / str(number), name="same") as run:
            run.log({"x": number})
        found.append(run.info.id)
    assert [values(logs("twice", one), "eval/x") for one in found] == [[0], [1]]


def test_a_step_that_is_logged_twice_is_two_rows(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink("passes")]})
    with logger.open(tmp_path / "run") as run:
        for value in (1, 1, 2):
            run.log({"x": value}, step=5)
    assert values(logs("passes", run.info.id), "eval/x") == [1, 1, 2]


def test_a_run_goes_on_without_duplicates(make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = {"sinks": [sink("resumed"), {"kind": "jsonl"}], "sampling_enabled": False}
    logger = make_logger(**settings)
    with logger.open(tmp_path / "run") as run:
        train(logger, 11)
        state = run.state()
        train(logger, 31, 11)  # these steps are logged again
    again = make_logger(**settings)
    with again.open(tmp_path / "run", if_exists="resume", state=state):
        train(again, 51, 11)
    third = make_logger(**settings)
    with third.open(tmp_path / "run", if_exists="resume"):
        train(third, 71, 51)
    assert list(runs("resumed").values()) == [f"{run.info.id}-{seed:03d}" for seed in range(2)]
    rows = logs("resumed", f"{run.info.id}-001")
    assert [row["step"] for row in rows] == [0, 10, 20, 30, 40, 50, 60, 70]
    lines = (tmp_path / "run" / "batch_metrics.jsonl").read_text().splitlines()
    of_lane = [line for line in map(json.loads, lines) if line["lane"] == 1]
    assert [line["step"] for line in of_lane] == [row["step"] for row in rows]


def test_a_run_that_is_replaced_is_another_run(tmp_path: Path) -> None:
    found = []
    for if_exists in ("error", "replace"):
        logger = jaxlog.Logger({"sinks": [sink("replaced")]})
        with logger.open(tmp_path / "run", if_exists=if_exists) as run:
            run.log({"x": if_exists == "replace"})
        found.append(run.info.id)
    assert [values(logs("replaced", one), "eval/x") for one in found] == [[False], [True]]


def test_a_locked_database_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = jaxlog.Logger({"sinks": [sink("locked")]})
    with logger.open(tmp_path / "run") as run:
        run.log({"x": 1})
        run.flush()
        path = SQLiteStorage.get_project_db_path("locked")
        moved = path.with_suffix(".away")
        path.rename(moved)
        path.mkdir()  # nothing can be written there
        run.log({"x": 2}, step=1, arrays={"q": np.eye(3)})
        timer = threading.Timer(1.5, lambda: (path.rmdir(), moved.rename(path)))
        timer.start()
        run.flush()
        timer.join()
        run.log({"x": 3}, step=2)
    assert values(logs("locked", run.info.id), "eval/x") == [1, 2, 3]
    (account,) = run.accounts()
    assert (account.written, account.failure) == (3, None)
    assert "cannot flush, and tries again" in caplog.text
    media = Path(os.environ["TRACKIO_DIR"]) / "media" / "locked"
    assert len([*media.rglob("*.png")]) == 1  # not one for each try


KILLED = """
import os, sys, time, jaxlog
logger = jaxlog.Logger({"sinks": [{"kind": "trackio", "project": "killed"}]})
run = logger.open(sys.argv[1])
for step in range(5):
    run.log({"x": step}, step=step)
run.flush()
print(run.info.id, flush=True)
time.sleep(60)
"""


def test_flushed_rows_survive_a_kill(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    assert values(logs("killed", run_id), "eval/x") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("project", ["my project", "a/b", "registry-x", "x_configs"])
def test_a_project_that_trackio_would_rename_is_refused(project: str, tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink(project)]})
    with pytest.raises(ValueError, match=r"project: got|cannot use its settings"):
        logger.open(tmp_path / "run")
