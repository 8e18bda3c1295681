"""Runs of real programs are read while they are live and after they have ended."""

from __future__ import annotations

import importlib.abc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import jaxlog
from tests.conftest import MakeLogger
from tests.reading.files import lines, metrics, write

JSONL = [{"kind": "jsonl"}]


def train(logger: jaxlog.Logger, num_steps: int) -> Any:
    """Three seeds; the last has no episode at odd steps."""

    def lane(seed: jax.Array) -> Any:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            finished = jnp.broadcast_to((seed < 2) | (step % 2 == 0), (4,))
            returns = 10.0 * seed.astype(np.float32) + step.astype(np.float32) + jnp.arange(4.0)
            jaxlog.batch_step(
                logger,
                step,
                {"episode_returns": returns, "policy_loss": jnp.log(seed.astype(np.float32) - 1)},
                where=finished,
                details={"final_state": jnp.stack([returns, returns], -1)},
                labels={"seed": seed},
            )
            return None, None

        return jax.lax.scan(update, None, jnp.arange(num_steps))

    return jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.arange(3)))


@pytest.fixture
def run(make_logger: MakeLogger, tmp_path: Path) -> jaxlog.RunData:
    logger = make_logger(
        log_frequency=1,
        sample_frequency=2,
        num_samples=2,
        env_steps_per_update=100,
        over_lanes=["mean"],
        histograms={"episode_returns": {"low": 0, "high": 30, "bins": 3}},
        sinks=JSONL,
    )
    lanes = [{"env": "CartPole"}, {"env": "CartPole"}, {"env": "Acrobot"}]
    with logger.open(tmp_path / "a run", lanes=lanes, config={"gamma": 0.9}) as opened:
        train(logger, 4)
        opened.log({"return": [1.0, 2.0, 3.0]})
    return jaxlog.read_run(tmp_path / "a run")


def test_a_run_that_has_ended(run: jaxlog.RunData) -> None:
    assert (run.status, run.info["config"]) == ("finished", {"gamma": 0.9})
    assert run.calls == ("batch", "eval")
    assert list(run.frames()) == ["batch_metrics", "batch_over_lanes", "episodes", "eval_metrics"]
    assert repr(run) == (
        f"RunData({str(run.path)!r}, finished, diverged (2 of 3 lanes, from step 0): "
        "batch_metrics, episodes, eval_metrics)"
    )
    frame = run.metrics
    assert frame.columns[:6] == ["timestamp", "step", "env_step", "lane", "env", "seed"]
    assert run.labels_of() == ("env", "seed")
    assert frame["env_step"].unique().sort().to_list() == [100, 200, 300, 400]
    mean = frame.filter(pl.col("lane") == 1).sort("step")["episode_return_mean"].to_list()
    assert mean == [11.5, 12.5, 13.5, 14.5]
    last = frame.filter(pl.col("env") == "Acrobot").sort("step")
    assert last["episode_return_mean"].to_list() == [21.5, None, 23.5, None]
    assert last["episode_count"].to_list() == [4, 0, 4, 0]
    assert frame.sort("step", "lane")["policy_loss"].to_list()[1:3] == [-np.inf, 0.0]
    assert frame["policy_loss"].is_nan().sum() == 4
    assert last["episode_return_histogram"][0] == {
        "edges": [0, 10, 20, 30], "counts": [0, 0, 4], "below": 0, "above": 0
    }  # fmt: skip
    assert run.metrics_of("eval")["return"].to_list() == [1.0, 2.0, 3.0]
    assert run.over_lanes["over_lanes"].to_list() == ["mean"] * 4
    assert run.over_lanes_of("eval").is_empty()
    assert run.episodes["final_state"].list.len().to_list() == [2] * 12
    assert run.episodes["total_reward"].to_list() == [
        line["episode"]["total_reward"] for line in lines(run.path / "episodes.jsonl")
    ]


def test_arrays_are_shaped_lane_and_step(run: jaxlog.RunData) -> None:
    arrays = run.arrays()
    assert (arrays["lane"].tolist(), arrays["step"].tolist()) == ([0, 1, 2], [0, 1, 2, 3])
    assert arrays["env_step"].tolist() == [100, 200, 300, 400]
    assert arrays["env"].tolist() == ["CartPole", "CartPole", "Acrobot"]
    assert arrays["seed"].tolist() == [0, 1, 2]
    nan = np.nan
    np.testing.assert_array_equal(
        arrays["episode_return_mean"],
        [[1.5, 2.5, 3.5, 4.5], [11.5, 12.5, 13.5, 14.5], [21.5, nan, 23.5, nan]],
    )
    np.testing.assert_array_equal(arrays["policy_loss"][1], [-np.inf] * 4)
    assert "episode_return_histogram" not in arrays
    assert run.arrays("eval")["return"].tolist() == [[1.0], [2.0], [3.0]]


def test_arrays_take_the_last_of_a_step_and_leave_gaps(tmp_path: Path) -> None:
    events = [
        metrics(5, ({"lr": 0.3}, {"loss": 1.0, "done": False}), ({}, {"loss": 2.0})),
        metrics(3, ({"lr": 0.3}, {"loss": 3.0, "done": True})),
        metrics(5, ({"lr": 0.3}, {"loss": 4.0})),
    ]
    run = jaxlog.read_run(write(tmp_path, events))
    assert len(run.metrics) == 4
    with pytest.warns(UserWarning, match="1 line was replaced by a later line of the same step"):
        arrays = run.arrays()
    assert arrays["step"].tolist() == [3, 5]
    np.testing.assert_array_equal(arrays["loss"], [[3.0, 4.0], [np.nan, 2.0]])
    np.testing.assert_array_equal(arrays["done"], [[1.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(arrays["lr"], [0.3, np.nan])


def test_the_call_is_chosen_by_name_or_default(tmp_path: Path) -> None:
    def calls(*names: str) -> jaxlog.RunData:
        directory = tmp_path / "-".join(names)
        directory.mkdir()
        return jaxlog.read_run(
            write(directory, [metrics(0, ({}, {name: 1.0}), name=name) for name in names])
        )

    assert calls("eval").metrics.columns[-1] == "eval"
    assert calls("eval", "train").metrics.columns[-1] == "train"
    assert calls("batch", "train").metrics.columns[-1] == "batch"
    several = calls("actor", "a.b")
    assert several.metrics_of("a.b").columns[-1] == "a.b"
    with pytest.raises(LookupError, match=r"got no call, .*; the calls are 'a.b', 'actor'"):
        several.metrics  # noqa: B018
    with pytest.raises(
        LookupError, match=r"no metrics of a call 'batch'; the calls are 'a.b', 'actor'"
    ):
        several.arrays("batch")


def test_a_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path, [metrics(0, ({}, {"loss": 1.0}))]) / "episodes.jsonl"
    path.write_text('{"timestamp":')  # nothing but a torn line
    run = jaxlog.read_run(tmp_path)
    path.write_text('{"timestamp":1.5,"step":2,"name":"batch","lane":0,"labels":{},"episode":{}}\n')
    assert run.episodes["step"].to_list() == [2]
    path.unlink()
    assert run.episodes["step"].to_list() == [2]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, [metrics(0, ({}, {"loss": 1.0}))])
    (tmp_path / "my_metrics.jsonl").write_text('{"mine": 1}\n')
    (tmp_path / "steps.jsonl").mkdir()
    assert jaxlog.read_run(tmp_path).calls == ("batch",)
    assert list(jaxlog.read_run(tmp_path).frames()) == ["batch_metrics"]


def test_a_run_without_lines_and_one_without_facts(make_logger: MakeLogger, tmp_path: Path) -> None:
    with make_logger(sinks=JSONL).open(tmp_path / "silent"):
        pass
    run = jaxlog.read_run(tmp_path / "silent")
    assert (run.status, run.calls, run.frames()) == ("finished", (), {})
    assert run.metrics.is_empty()
    assert run.arrays()["step"].shape == (0,)
    (tmp_path / "lost").mkdir()
    run = jaxlog.read_run(write(tmp_path / "lost", [metrics(0, ({}, {"loss": 1.0}))]))
    assert (run.info, run.status, len(run.metrics)) == ({}, "unknown", 1)
    (run.path / "run.json").write_text('{"status": "fini')
    assert jaxlog.read_run(run.path).info == {}


def test_a_resumed_run(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1, sinks=JSONL)
    for part in range(2):
        with logger.open(tmp_path, if_exists="resume" if part else "error") as opened:
            opened.log({"part": part}, step=part, name="batch")
    run = jaxlog.read_run(tmp_path)
    assert run.metrics["part"].to_list() == [0, 1]
    assert len(run.info["sessions"]) == 1


LIVE = """
import sys, time, jaxlog
logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
with logger.open(sys.argv[1]) as run:
    for step in range(10**9):
        run.log({"a": step, "b": step / 7}, step=step)
        time.sleep(0.0005)
"""


def test_a_run_that_is_being_written_and_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", LIVE, tmp_path / "live"])
    try:
        path = tmp_path / "live" / "eval_metrics.jsonl"
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.01)
        seen: list[int] = []
        while len(set(seen)) < 5:
            run = jaxlog.read_run(tmp_path / "live")
            assert run.status == "running"
            if (frame := run.metrics).is_empty():  # its first line is half written
                continue
            assert frame["a"].to_list() == frame["step"].to_list() == list(range(len(frame)))
            seen.append(len(frame))
        assert seen == sorted(seen)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    run = jaxlog.read_run(tmp_path / "live")
    assert run.status == "killed"
    assert len(run.metrics) == path.read_bytes().count(b"\n") >= seen[-1]


def test_a_run_of_this_process_is_running(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1, sinks=JSONL)
    with logger.open(tmp_path) as opened:
        opened.log({"loss": 0.5}, step=0)
        opened.flush()
        run = jaxlog.read_run(tmp_path)
        assert (run.status, run.metrics["loss"].to_list()) == ("running", [0.5])
        opened.log({"loss": 0.25}, step=1)
    assert run.metrics["loss"].to_list() == [0.5]  # as it was
    run = jaxlog.read_run(tmp_path)
    assert (run.status, run.metrics["loss"].to_list()) == ("finished", [0.5, 0.25])


class Without(importlib.abc.MetaPathFinder):
    """An environment in which polars is not installed."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname.partition(".")[0] == "polars":
            raise ModuleNotFoundError("No module named 'polars'", name="polars")


def test_without_polars_it_says_what_to_install(tmp_path: Path) -> None:
    write(tmp_path, [metrics(0, ({}, {"loss": 1.0}))])
    (tmp_path / "run.json").write_text(json.dumps({"status": "finished"}))
    code = f"""
import sys
from tests.reading.test_run_data import Without
for name in list(sys.modules):
    if name.split(".")[0] == "polars" or name.startswith(("jaxlog._reading", "jaxlog._analysis")):
        del sys.modules[name]
sys.meta_path.insert(0, Without())
import jaxlog
from jaxlog._analysis.run_data import read_run
run = read_run({str(tmp_path)!r})
assert run.status == "finished" and run.calls == ("batch",)
for ask in (lambda: run.metrics, run.arrays, run.frames):
    try:
        ask()
    except ModuleNotFoundError as error:
        assert error.name == "polars"
        print(error)
"""
    root = Path(jaxlog.__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    said = "the frames of a run need polars, which is not installed; pip install 'jaxlog[explore]'"
    assert done.stdout.splitlines() == [said] * 3


def test_health_is_read_from_the_lines_if_run_json_lacks_it(tmp_path: Path) -> None:
    nan = float("nan")
    events = [
        metrics(0, ({}, {"a": 1.0, "b": nan}), ({}, {"a": 1.0, "n": 3})),
        metrics(1, ({}, {"a": nan, "b": 1.0}), ({}, {"a": np.inf})),
        metrics(2, ({}, {}), ({}, {"a": 2.0})),
        metrics(7, ({}, {"loss": nan}), name="eval"),
    ]
    run = jaxlog.read_run(write(tmp_path, events))
    diverged = run.health.diverged
    assert diverged is not None
    # `b` is finite again, and of the second lane so is `a`; a missing value changes nothing.
    assert (dict(diverged.since), diverged.lanes, diverged.metrics) == ({0: 1}, 2, ("a", "loss"))
    assert str(run.health) == "diverged (1 of 2 lanes, from step 1)"
    assert repr(run).startswith(f"RunData({str(run.path)!r}, unknown, {run.health}: batch_metrics")
    directory = tmp_path / "sound"
    directory.mkdir()
    sound = jaxlog.read_run(write(directory, [metrics(0, ({}, {"a": 1.0}))]))
    assert not sound.health
    assert repr(sound) == f"RunData({str(sound.path)!r}, unknown: batch_metrics)"


def test_large_files_are_not_read_to_show_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jaxlog._reading.run_frames._LARGE", 10)
    run = jaxlog.read_run(write(tmp_path, [metrics(0, ({}, {"a": float("nan")}))]))
    assert repr(run) == f"RunData({str(run.path)!r}, unknown: batch_metrics)"
    assert run.health.diverged
