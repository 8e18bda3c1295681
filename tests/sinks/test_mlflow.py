"""MLflow: its SQLite database is read back with its own client."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import jaxlog
from jaxlog.sinks.mlflow_names import name_in_mlflow
from tests.conftest import MakeLogger
from tests.sinks.two_lanes import train

mlflow: Any = pytest.importorskip("mlflow")
validation: Any = pytest.importorskip("mlflow.utils.validation")

LARGEST = sys.float_info.max


def sink(**settings: Any) -> dict[str, Any]:
    return {"kind": "mlflow", **settings}


def client() -> Any:
    return mlflow.MlflowClient()


def runs(experiment: str) -> dict[str, Any]:
    """The runs of an experiment by their names."""
    found = client().get_experiment_by_name(experiment)
    return {run.info.run_name: run for run in client().search_runs([found.experiment_id])}


def history(run: Any, key: str) -> list[tuple[int, float]]:
    """The steps and values of a metric, in the order of their times."""
    found = client().get_metric_history(run.info.run_id, key)
    return [(m.step, m.value) for m in sorted(found, key=lambda m: (m.timestamp, m.step))]


def downloaded(run: Any, path: str) -> Any:
    return json.loads(Path(client().download_artifacts(run.info.run_id, path)).read_text())


def test_each_lane_is_a_child_of_one_run(make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = {"env_steps_per_update": 100, "num_samples": 2, "sample_frequency": 20}
    logger = make_logger(sinks=[sink(experiment="lanes", tags=["b"])], **settings)
    config = {"gamma": 0.9, "lr": 5, "deep": {"odd=": [1, 2]}, "long": "x" * 9000}
    with logger.open(tmp_path / "sweep", config=config, tags=("a",)) as run:
        train(logger, 30)
    found = runs("lanes")
    parent = found.pop("sweep")
    assert sorted(found) == ["sweep seed=0,lr=0.1", "sweep seed=1,lr=0.1"]
    assert parent.data.params["gamma"] == "0.9"
    assert downloaded(parent, "jaxlog/config.json") == config
    assert parent.data.tags["jaxlog.tags"] == "a, b"
    for seed, (_, lane) in enumerate(sorted(found.items())):
        assert lane.info.status == parent.info.status == "FINISHED"
        assert lane.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert lane.data.tags["jaxlog.run"] == f"{run.info.id}-{seed:03d}"
        assert (lane.data.params["seed"], lane.data.params["lr"]) == (str(seed), "0.1")
        assert len(lane.data.params["long"]) == 6000
        means = [(0, 1.5 + 10 * seed), (10, 11.5 + 10 * seed), (20, 21.5 + 10 * seed)]
        assert history(lane, "batch/episode_return_mean") == means
        assert history(lane, "batch/policy_loss") == [(0, 0.1), (10, 0.1), (20, 0.1)]
        assert history(lane, "batch/env_step") == [(0, 100), (10, 1100), (20, 2100)]
        assert len(history(lane, "batch/time/seconds")) == 3
        files = client().list_artifacts(lane.info.run_id, "batch/episodes")
        assert [Path(one.path).stem for one in files] == ["0000000000", "0000000020"]
        for row in downloaded(lane, files[0].path)["episodes"]:
            assert row["total_reward"] == row["environment_id"] + 10 * seed


@pytest.mark.parametrize("lanes", ["columns", "aggregate"])
def test_lanes_in_one_run(lanes: str, make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = sink(experiment=f"one-{lanes}", lanes=lanes, x_axis="env_step")
    logger = make_logger(sinks=[settings], env_steps_per_update=8, sampling_enabled=False)
    with logger.open(tmp_path / "one"):
        train(logger, 11)
    (run,) = runs(f"one-{lanes}").values()
    key = "batch/episode_return_mean"
    if lanes == "columns":
        name = name_in_mlflow(f"{key}/seed=1,lr=0.1")
        assert name.startswith(f"{key}/seed:1 lr:0.1 ")
        assert history(run, name) == [(8, 11.5), (88, 21.5)]
        assert downloaded(run, "jaxlog/names.json")[name] == f"{key}/seed=1,lr=0.1"
    else:
        assert history(run, key) == [(8, 6.5), (88, 16.5)]
        assert history(run, f"{key}_lanes_std") == [(8, 5.0), (88, 5.0)]


def test_odd_values_and_names_come_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = jaxlog.Logger({"sinks": [sink(experiment="odd")]})
    names = ["a//b", "/a", "a/", "a/../b", "é ✓ [=,]", "[x]", "(x)", "x" * 400, "y\\n", "A", "a"]
    odd = {name: number for number, name in enumerate(names)}
    with logger.open(tmp_path / "run") as run:
        run.log({"nan": math.nan, "inf": math.inf, "low": -math.inf, "big": 2**63 + 1, **odd})
        run.log({"tiny": 5e-324, "half": np.float16(0.1), "on": True}, step=2**62)
        run.log({f"key_{number}": number for number in range(10_000)}, step=4)
    assert [account.failure for account in run.accounts()] == [None]
    (found,) = runs("odd").values()
    metrics = found.data.metrics
    assert math.isnan(metrics["eval/nan"])
    assert (metrics["eval/inf"], metrics["eval/low"]) == (LARGEST, -LARGEST)
    assert metrics["eval/big"] == 2.0**63
    assert {name: metrics[name_in_mlflow(f"eval/{name}")] for name in odd} == odd
    assert history(found, "eval/tiny") == [(2**62, 5e-324)]
    assert (metrics["eval/half"], metrics["eval/on"]) == (0.1, 1.0)
    assert [metrics[f"eval/key_{number}"] for number in range(10_000)] == [*range(10_000)]
    renamed = downloaded(found, "jaxlog/names.json")
    assert renamed == {
        name_in_mlflow(f"eval/{name}"): f"eval/{name}" for name in names if name not in ("A", "a")
    }
    said = [r.getMessage() for r in caplog.records if r.name == "jaxlog"]
    assert sorted("no infinities" in text for text in said) == [False, True]
    assert sorted("does not take the name" in text for text in said) == [False, True]


@given(st.lists(st.text(min_size=1, max_size=300), min_size=2, max_size=8, unique=True))
@example(["a=b", name_in_mlflow("a=b"), "a:b"])
@example(["a/b", "a//b", "a/_/b"])
def test_any_name_is_taken_and_no_two_become_one(names: list[str]) -> None:
    sent = [name_in_mlflow(f"eval/{name}") for name in names]
    assert len(set(sent)) == len(names)
    for name in sent:
        assert len(name) <= 250
        validation._validate_metric_name(name)


def test_texts_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = jaxlog.Logger({"sinks": [sink(experiment="texts")]})
    with logger.open(tmp_path / "run"):
        for reward in (0.0, 1.0):
            logger.log_step({"reward": reward, "action": "up"})
    (found,) = runs("texts").values()
    assert history(found, "step/reward") == [(0, 0.0), (1, 1.0)]
    assert caplog.text.count("the sink mlflow leaves out texts like step/action: 'up'") == 1


def test_histograms_and_arrays(make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = {"sampling_enabled": False, "histograms": {"a": [0, 1, 2]}}
    logger = make_logger(sinks=[sink(experiment="shown")], **settings)
    with logger.open(tmp_path / "run") as run:
        x = np.array([-1.0, 0.5, 1.5, 1.5, 7.0], np.float32)
        jaxlog.batch_step(logger, 0, {"a": x}, where=np.ones(5, bool))
        run.log(None, arrays={"q": np.eye(3), "one": np.float32(0.1)}, step=1)
    (found,) = runs("shown").values()
    counts = {
        key.rpartition("/")[2]: value
        for key, value in found.data.metrics.items()
        if key.startswith("batch/a_histogram/")
    }
    assert counts == {"below": 1, "0_to_1": 1, "1_to_2": 2, "above": 1}
    path = client().download_artifacts(found.info.run_id, "eval/q/0000000001.png")
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    assert history(found, "eval/one") == [(1, 0.1)]


def test_a_run_goes_on_without_duplicates(make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = {"sinks": [sink(experiment="resumed")], "sampling_enabled": False}
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
    found = runs("resumed")
    assert sorted(found) == ["run", "run seed=0,lr=0.1", "run seed=1,lr=0.1"]
    lane = found["run seed=1,lr=0.1"]
    expected = [(step, step + 11.5) for step in range(0, 71, 10)]
    assert history(lane, "batch/episode_return_mean") == expected
    assert [step for step, _ in history(lane, "batch/time/seconds")] == [*range(0, 71, 10)]
    assert lane.info.status == "FINISHED"


def test_a_run_that_failed_is_so_in_mlflow(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink(experiment="failed")]})
    with pytest.raises(RuntimeError, match="mine"), logger.open(tmp_path / "run"):
        raise RuntimeError("mine")
    (found,) = runs("failed").values()
    assert found.info.status == "FAILED"


def test_a_database_that_is_away_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mlflow.db"
    logger = jaxlog.Logger({"sinks": [sink(tracking_uri=f"sqlite:///{path}")]})
    with logger.open(tmp_path / "run") as run:
        run.log({"x": 1})
        run.flush()
        moved = path.rename(tmp_path / "away")
        path.mkdir()  # nothing can be written there
        run.log({"x": 2}, step=1)

        def back() -> None:
            path.rmdir()
            moved.rename(path)

        timer = threading.Timer(1.5, back)
        timer.start()
        run.flush()
        timer.join()
        run.log({"x": 3}, step=2)
    assert [(a.written, a.failure) for a in run.accounts()] == [(3, None)]
    stored = mlflow.MlflowClient(f"sqlite:///{path}")
    (found,) = stored.search_runs(["1"])
    values = stored.get_metric_history(found.info.run_id, "eval/x")
    assert [metric.value for metric in values] == [1, 2, 3]
    assert (tmp_path / "mlartifacts").as_uri() in found.info.artifact_uri


KILLED = """
import sys, time, jaxlog
logger = jaxlog.Logger({"sinks": [{"kind": "mlflow", "experiment": "killed"}]})
run = logger.open(sys.argv[1])
for step in range(5):
    run.log({"x": step}, step=step)
run.flush()
print("ready", flush=True)
time.sleep(60)
"""


def test_flushed_rows_survive_a_kill(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    (found,) = runs("killed").values()
    assert history(found, "eval/x") == [(step, step) for step in range(5)]


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns"])
def test_a_folder_is_refused(uri: str, tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink(tracking_uri=uri)]})
    with pytest.raises(ValueError, match="no longer writes to folders; give a database"):
        logger.open(tmp_path / "run")
    assert not [*tmp_path.iterdir()]
