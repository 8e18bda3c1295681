"""`jaxlog sync` gives a tracker what its sink gave it, once."""

from __future__ import annotations

import importlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import jaxlog
from jaxlog._cli.main import main
from tests.conftest import MakeLogger
from tests.sinks import wandb_files
from tests.sinks.two_lanes import train

ALL = {"scalars": 0, "tensors": 0, "histograms": 0, "images": 0}
OPTIONS = {
    "tensorboard": {},
    "wandb": {"mode": "offline"},
    "trackio": {"project": "sync"},
    "mlflow": {"experiment": "sync"},
}


def sent(kind: str, path: Path, run_id: str) -> dict[Any, Any]:
    """What a tracker has of a run: its values by their name, read by its own reader."""
    return {
        "tensorboard": in_tensorboard,
        "wandb": in_wandb,
        "trackio": in_trackio,
        "mlflow": in_mlflow,
    }[kind](path, run_id)


def in_tensorboard(path: Path, _: str) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for folder in {file.parent for file in (path / "tensorboard").rglob("*tfevents*")}:
        reader = EventAccumulator(str(folder), size_guidance=ALL)
        reader.Reload()
        tags: Any = reader.Tags()
        for kind, method in (("scalars", "Scalars"), ("tensors", "Tensors"), ("images", "Images")):
            for tag in tags[kind]:
                events = getattr(reader, method)(tag)
                found[folder.name, tag] = [
                    str({k: v for k, v in vars(one).items() if k != "wall_time"}) for one in events
                ]
        for tag in tags["histograms"]:
            histograms = [one.histogram_value for one in reader.Histograms(tag)]
            found[folder.name, tag] = [(one.bucket, one.bucket_limit) for one in histograms]
    return found


def in_wandb(path: Path, run_id: str) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for run in wandb_files.read_all(path):
        if run.id.partition("-")[0] == run_id:
            lane = run.id.partition("-")[2]
            rows = [
                # Tables and images are files whose names are drawn by lot; rows have their
                # checksums. Tables of sampled episodes have the numbers of lines, not float32.
                # W&B's own are `_step`...
                {
                    key: _rounded(row[key])
                    for key in sorted(row)
                    if not key.endswith("path")
                    and not key.startswith("_")
                    and not (key.startswith("batch/") and key.endswith(("sha256", "size")))
                }
                for row in run.rows
            ]
            config = {key: value for key, value in run.config.items() if key != "_wandb"}
            found[lane] = run.name, config, sorted(rows, key=str)
    return found


def in_trackio(_: Path, run_id: str) -> dict[Any, Any]:
    SQLiteStorage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage  # noqa: N806
    found: dict[Any, Any] = {}
    for record in SQLiteStorage.get_run_records("sync"):
        if str(record["id"]).partition("-")[0] == run_id:
            logs = SQLiteStorage.get_logs("sync", record["name"], run_id=record["id"])
            rows = [json.loads(json.dumps(log)) for log in logs]
            for row in rows:
                for key, value in row.items():
                    if isinstance(value, dict) and "file_path" in value:
                        row[key] = value["caption"]
            rows = [{key: _rounded(value) for key, value in row.items()} for row in rows]
            found[record["name"]] = sorted(rows, key=str)
    return found


def in_mlflow(_: Path, run_id: str) -> dict[Any, Any]:
    client = importlib.import_module("mlflow").MlflowClient()
    experiment = client.get_experiment_by_name("sync")
    found: dict[Any, Any] = {}
    for run in client.search_runs([experiment.experiment_id]):
        key, _, lane = run.data.tags["jaxlog.run"].partition("-")
        if key == run_id:
            metrics = {
                name: sorted(
                    (m.step, m.timestamp, str(_rounded(m.value)))
                    for m in client.get_metric_history(run.info.run_id, name)
                )
                for name in run.data.metrics
            }
            files = [file.path for file in client.list_artifacts(run.info.run_id, "batch")]
            found[lane] = run.info.run_name, run.data.params, metrics, files
    return found


def _rounded(value: Any) -> Any:
    """A number as its float32, which is what the program had, and what TensorBoard stores."""
    if isinstance(value, float) and not math.isnan(value):
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    return "nan" if isinstance(value, float) else value


def many_things(logger: jaxlog.Logger, _: jaxlog.Run) -> None:
    train(logger, 31)
    logger.log_task_start({"task_id": "maze", "size": 5})
    logger.log_step({"reward": 0.5, "action": "up", "state": np.eye(2)})
    logger.log_episode_summary({"total_reward": 1.0, "note": "x"})
    logger.log_evaluation_summary({"success_rate": np.inf})


def lanes_one_after_another(logger: jaxlog.Logger, run: jaxlog.Run) -> None:
    @jax.jit
    def program(seed: jax.Array) -> None:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            x = step.astype(np.float32) + 0.5 * seed.astype(np.float32)
            x = jnp.where(step == 10, jnp.nan, x)
            jaxlog.log(logger, step, {"x": x}, labels={"seed": seed}, every=10)
            return None, None

        jax.lax.scan(update, None, jnp.arange(31))

    for seed in range(3):
        jax.block_until_ready(program(jnp.int32(seed)))
        run.flush()  # its sinks do not know the next lanes yet


def a_lane_with_gates(logger: jaxlog.Logger, _: jaxlog.Run) -> None:
    def lane(seed: jax.Array) -> None:
        for step in range(5):
            due = (seed + step) % 2 == 0
            jaxlog.batch_step(logger, step, {"x": seed * step}, labels={"seed": seed}, when=due)

    jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.arange(3)))


PROGRAMS = [many_things, lanes_one_after_another, a_lane_with_gates]


# W&B and MLflow take long, and all sinks arrange lanes by the same function.
ARRANGED = [(kind, "runs") for kind in OPTIONS] + [
    (kind, "aggregate") for kind in OPTIONS if kind not in ("wandb", "mlflow")
]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(("kind", "lanes"), ARRANGED)
def test_a_tracker_gets_what_its_sink_gave_it(
    kind: str,
    lanes: str,
    program: Callable[[jaxlog.Logger, jaxlog.Run], None],
    make_logger: MakeLogger,
    tmp_path: Path,
) -> None:
    options = {**OPTIONS[kind], "lanes": lanes}
    logger = make_logger(
        sinks=[{"kind": "jsonl"}, {"kind": kind, **options}],
        sample_frequency=20,
        num_samples=2,
        over_lanes=["mean"],
        histograms={"episode_returns": [0, 10, 20]},
        env_steps_per_update=8,
    )
    path = tmp_path / "run"
    with logger.open(path, config={"lr": 1e-3}, tags=("a",)) as run:
        program(logger, run)
        table = jaxlog.Table(["task", "steps"], [["maze", 3], ["key", 4.5]])
        media = {"frame": jaxlog.Image(np.full((4, 5, 3), 7, np.uint8)), "tasks": table}
        run.log({"score": 3, **media}, step=10, arrays={"q": np.eye(3), "one": 2.5})
    expected = sent(kind, path, run.info.id)
    assert expected
    if kind == "wandb" and program is many_things:
        sums = {key for *_, rows in expected.values() for row in rows for key in row}
        assert {f"eval/{name}/sha256" for name in ("frame", "tasks", "q")} <= sums
    words = [f"--set={key}={value}" for key, value in options.items()]
    assert main(["sync", str(path), "--to", kind]) == 2  # its sink has sent it
    assert main(["sync", str(path), "--to", kind, *words, "--again"]) == 0
    number = "" if kind == "tensorboard" else "_1"
    assert sent(kind, path, run.info.id + number) == expected


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_second_sync_sends_what_is_new(
    kind: str, make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    words = ["sync", str(path), "--to", kind]
    words += [f"--set={key}={value}" for key, value in OPTIONS[kind].items()]
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(path) as run:
        for step in range(3):
            run.log({"x": step}, step=step)
        run.flush()
        assert main(words) == 0
        for step in range(3, 7):
            run.log({"x": step}, step=step)
        run.flush()
        assert main(words) == 0
    assert main(words) == 0
    texts = capsys.readouterr().out.splitlines()
    counts = [text.partition("sent ")[2].partition(" to")[0] for text in texts if "sent" in text]
    assert counts == ["3 events", "4 new events", "0 new events"]
    assert steps(kind, path, run.info.id) == [*range(7)]


def steps(kind: str, path: Path, run_id: str) -> list[int]:
    """The steps at which `eval/x` is in a tracker, as often as it is there."""
    if kind == "tensorboard":
        reader = EventAccumulator(str(path / "tensorboard"), size_guidance=ALL)
        reader.Reload()
        return [event.step for event in reader.Scalars("other/eval/x")]
    if kind == "wandb":
        runs = [run for run in wandb_files.read_all(path) if run.id == run_id]
        return sorted(row["eval/step"] for run in runs for row in run.rows if "eval/x" in row)
    if kind == "trackio":
        (rows,) = in_trackio(path, run_id).values()
        return [row["step"] for row in rows if "eval/x" in row]
    (run,) = in_mlflow(path, run_id).values()
    return [step for step, _, _ in run[2]["eval/x"]]


KILLED = """
import os, signal, sys
from jaxlog._cli.main import main
from jaxlog._sending import send
send.CHUNK = 100
written = 0
before = send._Sender._write
def write(self, event):
    global written
    written += 1
    if written == 250:
        os.kill(os.getpid(), signal.SIGKILL)
    before(self, event)
send._Sender._write = write
main(sys.argv[1:])
"""


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_sync_that_was_killed_goes_on(
    kind: str, make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    with make_logger(sinks=[{"kind": "jsonl"}]).open(path) as run:
        for step in range(400):
            run.log({"x": step}, step=step)
    words = ["sync", str(path), "--to", kind]
    words += [f"--set={key}={value}" for key, value in OPTIONS[kind].items()]
    environment = {key: value for key, value in os.environ.items() if "WANDB" not in key}
    command = [sys.executable, "-c", KILLED, *words]
    done = subprocess.run(command, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    place = json.loads((path / "sent" / f"{kind}.json").read_bytes())
    assert place["num_events"] == (0 if kind == "wandb" else 200)
    time.sleep(1)  # W&B's process ends
    assert main(words) == 0
    if kind == "wandb":  # which cannot say what it has: all of it is sent again, and marked
        last = max(path.rglob("*.wandb"), key=lambda file: file.stat().st_mtime)
        again = wandb_files.read(last)
        assert again.resumes
        assert again.config["jaxlog"] == {"session": 1, "resumes": {"eval": 0}}
        assert [row["eval/step"] for row in again.rows] == [*range(400)]
    else:
        assert steps(kind, path, run.info.id) == [*range(400)]


def test_a_run_that_was_resumed_from_before_is_sent_from_there(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    words = ["sync", str(path), "--to", "tensorboard"]
    with make_logger(sinks=[{"kind": "jsonl"}]).open(path) as run:
        run.log({"x": 0.0}, step=0)
        state = run.state()
        run.flush()
        assert main(words) == 0
        run.log({"x": 1.0}, step=1)
        run.flush()
        assert main(words) == 0
    with make_logger(sinks=[{"kind": "jsonl"}]).open(path, if_exists="resume", state=state) as run:
        for step in (1, 2):
            run.log({"x": 10.0 + step}, step=step)
    assert main(words) == 0
    reader = EventAccumulator(str(path / "tensorboard"), size_guidance=ALL)
    reader.Reload()
    values = [(event.step, event.value) for event in reader.Scalars("other/eval/x")]
    assert values == [(0, 0.0), (1, 11.0), (2, 12.0)]


def test_columns_are_sent_as_lines_are(make_logger: MakeLogger, tmp_path: Path) -> None:
    found = []
    for kind in ("jsonl", "arrow"):
        path = tmp_path / kind / "run"
        logger = make_logger(sinks=[{"kind": kind}], over_lanes=["iqm"], sample_frequency=20)
        with logger.open(path):
            train(logger, 31)
        assert main(["sync", str(path), "--to", "tensorboard"]) == 0
        values = in_tensorboard(path, "")
        found.append({key: value for key, value in values.items() if "time/" not in key[1]})
    assert found[0] == found[1]


def test_many_lanes_are_aggregated_as_live(make_logger: MakeLogger, tmp_path: Path) -> None:
    path = tmp_path / "run"
    sinks = [{"kind": "jsonl"}, {"kind": "tensorboard", "lanes": "aggregate"}]
    logger = make_logger(sinks=sinks, over_lanes=["mean"])
    with logger.open(path):
        lanes = jnp.arange(300.0)
        jax.vmap(lambda x: jaxlog.log(logger, 0, {"x": x}, labels={"seed": x}))(lanes)
    expected = in_tensorboard(path, "")
    assert main(["sync", str(path), "--to", "tensorboard", "--set=lanes=aggregate", "--again"]) == 0
    assert in_tensorboard(path, "") == expected


FOLLOWED = """
import sys, time, jaxlog
with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(sys.argv[1]) as run:
    print("open", flush=True)
    for step in range(10):
        run.log({"x": step}, step=step)
        time.sleep(0.15)
"""


def test_it_follows_a_run_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run"
    words = [sys.executable, "-c", FOLLOWED, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert main(["sync", str(path), "--to", "tensorboard", "--follow"]) == 0
    assert capsys.readouterr().out == f"{path}: sent 10 events to tensorboard\n"
    assert steps("tensorboard", path, "") == [*range(10)]


def test_several_runs_are_sent_and_a_failure_is_named(
    make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        with make_logger(sinks=[{"kind": "jsonl"}]).open(
            tmp_path / str(number), config={"number": number}
        ) as run:
            run.log({"x": number})
    (tmp_path / "1" / "sent").symlink_to(tmp_path)
    assert main(["sync", str(tmp_path), "--to", "tensorboard"]) == 2
    said = capsys.readouterr()
    assert "1/sent: is a symbolic link, which may lead out of the run" in said.err
    assert "sync: 1 of 3 runs were not sent, or not all of them" in said.err
    assert said.out.count("sent 1 event to tensorboard") == 2
    words = ["sync", str(tmp_path), "--to", "tensorboard", "--where", "number=2"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / '2'}: sent 0 new events to tensorboard\n"


def test_wrong_words_are_refused(
    make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    with make_logger(sinks=[{"kind": "jsonl"}]).open(path) as run:
        run.log({"x": 1})
    assert main(["sync", str(path), "--to", "tensorboard"]) == 0
    settings = tmp_path / "settings.yaml"
    settings.write_text("sinks: [{kind: trackio}]\n")
    cases = {
        ("--set=lanes=columns",): "was sent to tensorboard with other settings",
        ("--set=lans=columns",): "lans: unknown key; did you mean lanes?",
        ("--set=lanes",): "--set: got 'lanes', expected a key of the sink, KEY=VALUE",
        (f"--settings={settings}",): "got 0 sinks tensorboard, expected one",
    }
    capsys.readouterr()
    for words, expected in cases.items():
        assert main(["sync", str(path), "--to", "tensorboard", *words]) == 2
        assert expected in capsys.readouterr().err
    assert main(["sync", str(tmp_path / "none"), "--to", "tensorboard"]) == 2
    shutil.rmtree(path / "tensorboard")
    assert main(["sync", str(path), "--to", "tensorboard", "--again"]) == 0
    assert steps("tensorboard", path, "") == [0]
    assert [file.name for file in sorted((path / "sent").iterdir())] == [
        "tensorboard.json",
        "tensorboard.lock",
    ]
    assert os.access(path / "run.json", os.R_OK)


def test_the_function_does_what_the_command_does(make_logger: MakeLogger, tmp_path: Path) -> None:
    for name in ("a", "b"):
        with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "runs" / name) as run:
            run.log({"x": 1.0}, step=0)
    runs = jaxlog.read_runs(tmp_path / "runs")
    found = jaxlog.sync(runs, "tensorboard", settings={"layout": "call"})
    assert [(one.path.name, one.events, one.before) for one in found] == [("a", 1, 0), ("b", 1, 0)]
    reader = EventAccumulator(str(tmp_path / "runs" / "a" / "tensorboard"), size_guidance=ALL)
    reader.Reload()
    assert [event.value for event in reader.Scalars("eval/x")] == [1.0]
    with pytest.raises(jaxlog.LoggingError, match="was sent to tensorboard with other settings"):
        jaxlog.sync([tmp_path / "runs" / "a"], "tensorboard")
    (again,) = jaxlog.sync(runs["a"], "tensorboard", settings={"layout": "call"})
    assert (again.events, again.before) == (0, 1)
    for wrong, said in (
        ({"to": "console"}, "to: got 'console', expected one of wandb, tensorboard"),
        ({"to": "tensorboard", "follow": True}, "follow: got 2 runs, expected one"),
        ({"to": "wandb", "settings": {"kind": "jsonl"}}, "settings: got those of the sink 'jsonl'"),
    ):
        with pytest.raises(ValueError, match=said):
            jaxlog.sync(runs, **wrong)  # pyright: ignore[reportArgumentType]
