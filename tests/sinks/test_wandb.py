"""Weights & Biases, offline: its files are read back."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._render.arrays import array_pixels
from jaxlog._settings import ConfigError
from tests.conftest import MakeLogger
from tests.sinks import wandb_files

wandb = pytest.importorskip("wandb")


def sink(**settings: Any) -> dict[str, Any]:
    return {"kind": "wandb", "mode": "offline", "project": "tests", **settings}


def train(logger: jaxlog.Logger, num_steps: int, start: int = 0) -> Any:
    """Lanes of two seeds; what each logs is known."""

    def lane(seed: jax.Array) -> Any:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            returns = step.astype(np.float32) + jnp.arange(4.0) + 10.0 * seed.astype(np.float32)
            jaxlog.batch_step(
                logger,
                step,
                {"episode_returns": returns, "policy_loss": jnp.float32(0.25)},
                details={"final_state": jnp.zeros((4, 2, 2), np.int32), "task_id": jnp.arange(4)},
                labels={"seed": seed, "lr": jnp.float32(0.1)},
            )
            return None, None

        return jax.lax.scan(update, None, jnp.arange(start, num_steps))

    return jax.jit(jax.vmap(lane))(jnp.arange(2))


def values(run: wandb_files.Run, key: str) -> list[Any]:
    return [row[key] for row in run.rows if key in row]


def test_each_lane_is_a_run_in_one_group(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        sinks=[sink(job_type="train", notes="of tests", tags=["a", "b"])],
        env_steps_per_update=100,
        sampling_enabled=False,
    )
    with logger.open(tmp_path / "sweep", config={"gamma": 0.9, "lr": 5}, tags=("b", "c")) as run:
        jax.block_until_ready(train(logger, 30))
    runs = wandb_files.read_all(tmp_path)
    assert [r.name for r in runs] == ["sweep seed=0,lr=0.1", "sweep seed=1,lr=0.1"]
    assert [r.id for r in runs] == [f"{run.info.id}-000", f"{run.info.id}-001"]
    for seed, r in enumerate(runs):
        assert (r.group, r.project, r.job_type, r.notes) == ("sweep", "tests", "train", "of tests")
        assert sorted(r.tags) == ["a", "b", "c"]
        assert r.config["gamma"] == 0.9
        assert (r.config["seed"], r.config["lr"]) == (seed, 0.1)  # as in its name
        assert values(r, "batch/step") == [0, 10, 20]
        assert values(r, "batch/env_step") == [100, 1100, 2100]
        means = [1.5 + 10 * seed, 11.5 + 10 * seed, 21.5 + 10 * seed]
        assert values(r, "batch/episode_return_mean") == means
        assert values(r, "batch/policy_loss") == [0.25] * 3
        assert r.x_axes == {"batch/step": "", "batch/*": "batch/step"}
        assert r.exit_code == 0
        assert len(values(r, "batch/time/seconds")) == 3
    updates, env_steps = (
        [values(r, f"batch/time/{key}_per_second") for r in runs]
        for key in ("updates", "env_steps")
    )
    assert updates[0] == updates[1]  # those of the program, which has both lanes
    assert env_steps[0] == pytest.approx([100 * rate for rate in updates[0]])
    assert len(updates[0]) == 2


@pytest.mark.parametrize("lanes", ["columns", "aggregate"])
def test_lanes_in_one_run(lanes: str, make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        sinks=[sink(lanes=lanes, x_axis="env_step", group="mine")],
        env_steps_per_update=8,
        sampling_enabled=False,
    )
    with logger.open(tmp_path / "one") as run:
        jax.block_until_ready(train(logger, 11))
        run.log({"score": 3}, step=10)
    (r,) = wandb_files.read_all(tmp_path)
    assert (r.id, r.name, r.group) == (run.info.id, "one", "mine")
    assert r.x_axes["batch/*"] == "batch/env_step"
    if lanes == "columns":
        assert values(r, "batch/episode_return_mean/seed=1,lr=0.1") == [11.5, 21.5]
    else:
        assert values(r, "batch/episode_return_mean") == [6.5, 16.5]
        assert values(r, "batch/episode_return_mean_lanes_std") == [5.0, 5.0]
    assert values(r, "eval/score") == [3]
    assert values(r, "eval/step") == [10]


def test_sampled_episodes_are_a_table_and_pictures(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        sinks=[sink(episodes="both")], log_frequency=100, sample_frequency=5, num_samples=2
    )
    with logger.open(tmp_path / "run"):
        jax.block_until_ready(train(logger, 10))
    for seed, run in enumerate(wandb_files.read_all(tmp_path)):
        assert values(run, "batch/episodes/nrows") == [2, 2]
        assert [row["batch/step"] for row in run.rows if "batch/episodes/path" in row] == [0, 5]
        (files,) = tmp_path.glob(f"**/*{run.id}/files")
        tables = [json.loads((files / p).read_text()) for p in values(run, "batch/episodes/path")]
        columns = ["lane", "seed", "lr", "environment_id", "total_reward", "task_id"]
        for step, table in zip((0, 5), tables, strict=True):
            assert table["columns"] == columns
            for row in table["data"]:
                told = dict(zip(columns, row, strict=True))
                assert (told["lane"], told["seed"]) == (seed, seed)
                assert told["total_reward"] == step + told["environment_id"] + 10 * seed
                assert told["task_id"] == told["environment_id"]
        pages = [(files / p).read_text() for p in values(run, "batch/pictures/path")]
        assert len(pages) == 2
        assert all("<svg" in page for page in pages)


def test_a_histogram_keeps_its_counts(make_logger: MakeLogger, tmp_path: Path) -> None:
    edges = np.linspace(0.0, 1000.0, 1001).tolist()  # more bins than W&B takes
    logger = make_logger(
        sinks=[sink()], sampling_enabled=False, histograms={"a": [0, 1, 2], "b": edges}
    )
    with logger.open(tmp_path / "run"):
        x = jnp.array([-1.0, 0.5, 1.5, 1.5, 7.0])
        jaxlog.batch_step(logger, 0, {"a": x, "b": x}, where=jnp.ones(5, bool))
    (run,) = wandb_files.read_all(tmp_path)
    (row,) = run.rows
    assert row["batch/a_histogram/_type"] == "histogram"
    assert row["batch/a_histogram/values"] == [1, 2]
    assert row["batch/a_histogram/bins"] == [0, 1, 2]
    assert (row["batch/a_histogram_below"], row["batch/a_histogram_above"]) == (1, 1)
    assert sum(row["batch/b_histogram/values"]) == 4
    assert row["batch/b_histogram/values"][:4] == [3, 0, 0, 1]
    assert row["batch/b_histogram/bins"][:3] == [0, 2, 4]
    assert row["batch/b_histogram/bins"][-1] == 1000


def test_numbers_that_are_not_finite_arrive(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[sink()])
    with logger.open(tmp_path / "run"):
        jaxlog.batch_step(logger, 0, {"a": np.float32(np.nan), "b": np.inf, "c": jnp.bfloat16(1)})
    (run,) = wandb_files.read_all(tmp_path)
    told = [run.rows[0][f"batch/{key}"] for key in "abc"]
    assert str(told) in ("['NaN', 'Infinity', 1]", "[nan, inf, 1]")


def test_a_single_environment(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink()]})
    with logger.open(tmp_path / "run"):
        logger.log_task_start({"task_id": "maze"})
        for reward in (0.0, 1.0):
            logger.log_step({"reward": reward, "state": np.zeros((2, 2))})
        logger.log_episode_summary({"total_reward": 1.0, "note": "x"})
        logger.log_evaluation_summary({"success_rate": 0.5})
    (run,) = wandb_files.read_all(tmp_path)
    assert (values(run, "step/step"), values(run, "step/reward")) == ([0, 1], [0, 1])
    assert values(run, "step/task_id") == ["maze", "maze"]
    assert (values(run, "episode/step"), values(run, "episode/total_reward")) == ([1], [1])
    assert values(run, "episode/note") == ["x"]
    assert (values(run, "evaluation/step"), values(run, "evaluation/success_rate")) == ([1], [0.5])
    assert run.x_axes["episode/*"] == "episode/step"


def test_a_run_goes_on_and_says_what_is_superseded(make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = {"sinks": [sink()], "sampling_enabled": False}
    logger = make_logger(**settings)
    with logger.open(tmp_path / "run") as run:
        jax.block_until_ready(train(logger, 11))
        state = run.state()
        jax.block_until_ready(train(logger, 31, 11))  # what comes again
    again = make_logger(**settings)
    with again.open(tmp_path / "run", if_exists="resume", state=state) as second:
        jax.block_until_ready(train(again, 31, 11))
    assert second.info.id == run.info.id
    runs = [r for r in wandb_files.read_all(tmp_path) if r.id.endswith("000")]
    before, after = sorted(runs, key=lambda r: "jaxlog" in r.config)
    assert before.id == after.id == f"{run.info.id}-000"
    # Else `wandb sync` would refuse the second file, or write over the rows of the first.
    assert (before.resumes, after.resumes) == (False, True)
    assert values(before, "batch/step") == [0, 10, 20, 30]
    assert values(before, "batch/session") == []
    assert after.config["jaxlog"] == {"session": 1, "resumes": {"batch": 11}}
    assert values(after, "batch/step") == [20, 30]
    assert values(after, "batch/session") == [1, 1]


def test_a_metric_may_be_called_as_a_counter_is(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink()]})
    with logger.open(tmp_path / "run") as run:
        logger.log_task_start({"task_id": "t", "size": 5})
        logger.log_step({"step": 77})
        run.log({"step": 5.0}, step=3)
    (found,) = wandb_files.read_all(tmp_path)
    assert values(found, "task/size") == [5]
    assert (values(found, "step/step"), values(found, "step/step_value")) == ([0], [77])
    assert (values(found, "eval/step"), values(found, "eval/step_value")) == ([3], [5])


def test_a_lane_gets_its_labels_when_they_are_known(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[sink()], sampling_enabled=False)
    with logger.open(tmp_path / "run") as run:
        jax.vmap(lambda x: jaxlog.log(logger, 0, {"x": x}, name="eval"))(jnp.arange(2.0))
        run.flush()  # lanes without labels
        jax.block_until_ready(train(logger, 1))
    runs = wandb_files.read_all(tmp_path)
    assert [r.name for r in runs] == ["run seed=0,lr=0.1", "run seed=1,lr=0.1"]
    assert [r.config["seed"] for r in runs] == [0, 1]


def test_seeds_that_run_in_turn_are_a_run_each(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[sink()], log_frequency=1)

    def lane(seed: jax.Array) -> None:
        def update(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            labels = {"seed": seed, "lr": 0.5 + 0.5 * (step // 2).astype(np.float32)}
            jaxlog.log(logger, step, {"x": x}, labels=labels)
            return x + 1.0, None

        jax.lax.scan(update, 10.0 * seed.astype(np.float32), jnp.arange(3))

    with logger.open(tmp_path / "run") as run:
        jax.jit(lambda: jax.lax.map(lane, jnp.arange(3)))()
        run.flush()  # the program may still run
        run.log({"y": 1.0}, name="last", step=2)
    runs = wandb_files.read_all(tmp_path)
    # The first was the run as a whole, until the second came.
    assert [r.name for r in runs] == [f"run seed={seed},lr=0.5" for seed in range(3)]
    assert [r.id for r in runs] == [run.info.id, f"{run.info.id}-001", f"{run.info.id}-002"]
    assert {r.group for r in runs} == {"run"}
    for seed, r in enumerate(runs):
        assert (r.config["seed"], r.config["lr"]) == (seed, 0.5)
        assert values(r, "train/x") == [10 * seed, 10 * seed + 1, 10 * seed + 2]
    assert [values(r, "last/y") for r in runs] == [[1], [], []]


def test_in_one_run_they_have_keys_of_their_own(make_logger: MakeLogger, tmp_path: Path) -> None:
    sinks = [sink(lanes="aggregate"), sink(lanes="columns")]
    logger = make_logger(sinks=sinks, log_frequency=1)

    def lane(seed: jax.Array, lr: jax.Array) -> None:
        x = lr + seed.astype(np.float32)
        jaxlog.log(logger, 0, {"x": x}, labels={"seed": seed, "lr": lr})

    with logger.open(tmp_path / "run") as run:
        for lr in (0.5, 1.5):
            jax.vmap(lane, (0, None))(jnp.arange(2), jnp.float32(lr))
    # Two sinks of this kind have an id each.
    runs = sorted(wandb_files.read_all(tmp_path), key=lambda r: len(r.id))
    assert [r.id for r in runs] == [run.info.id, f"{run.info.id}_1"]
    aggregate, columns = runs
    assert values(aggregate, "train/x") == [1.0]
    assert values(aggregate, "train/x/lr=1.5") == [2.0]
    names = [f"seed={seed},lr={lr}" for lr in (0.5, 1.5) for seed in range(2)]
    assert [values(columns, f"train/x/{name}") for name in names] == [[0.5], [1.5], [1.5], [2.5]]


SWEEP = """
import os
os.environ |= {"WANDB_MODE": "offline", "WANDB_RUN_ID": "chosen", "WANDB_SWEEP_ID": "sweep"}
os.environ |= {"WANDB_SILENT": "true", "WANDB_DIR": os.path.dirname(directory)}
os.environ["WANDB_SWEEP_PARAM_PATH"] = os.path.join(os.path.dirname(directory), "sweep.yaml")
with open(os.environ["WANDB_SWEEP_PARAM_PATH"], "w") as file:
    file.write("wandb_version: 1\\nlr:\\n  value: 0.25\\n")
import jax.numpy as jnp, jax, jaxlog, wandb
mine = wandb.init() if user_init else None
lr = mine.config["lr"] if user_init else 0.25
logger = jaxlog.Logger({"log_frequency": 1, "sinks": [{"kind": "wandb", "lanes": lanes}]})
def train(seed):
    def update(x, step):
        return x * lr, jaxlog.log(logger, step, {"x": x + seed}, labels={"seed": seed})
    return jax.lax.scan(update, 1.0, jnp.arange(3))[0]
with logger.open(directory, config={"lr": 7.0, "gamma": 0.5}) as run:
    jax.jit(jax.vmap(train))(jnp.arange(3))
if user_init:
    assert wandb.run is mine
    mine.log({"end": 1.0})
    mine.finish()
print(run.accounts()[0])
"""


@pytest.mark.parametrize("lanes", ["runs", "aggregate"])
@pytest.mark.parametrize("user_init", [True, False])
def test_in_a_sweep_there_is_one_run(user_init: bool, lanes: str, tmp_path: Path) -> None:
    code = f"user_init, lanes = {user_init}, {lanes!r}\n{SWEEP}"
    done = child(code, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "arrived=9, written=9, failure=None" in done.stdout, done.stderr
    (run,) = wandb_files.read_all(tmp_path)
    assert run.id == "chosen"
    assert values(run, "train/step") == [0, 1, 2]
    assert values(run, "train/x") == [2.0, 1.25, 1.0625]
    assert values(run, "end") == [1.0] * user_init
    assert (run.config["lr"], run.config["gamma"]) == (0.25, 0.5)
    said = "aggregates over 3 lanes: a W&B sweep has one run for each program that it starts"
    assert done.stderr.count(said) == (lanes == "runs")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"project": "a/b"}, "cannot use its settings: "),
        ({"tags": ["x" * 65]}, "tags: got 'x.*', and W&B takes 1 to 64 characters"),
    ],
)
def test_what_wandb_cannot_use_is_refused_when_a_run_is_opened(
    settings: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=text):
        jaxlog.Logger({"sinks": [sink(**settings)]}).open(tmp_path / "run")


def test_an_unknown_renderer_is_refused() -> None:
    with pytest.raises(ConfigError, match="renderer: got 'nosuch', takes"):
        jaxlog.Logger({"sinks": [sink(renderer="nosuch")]})


def test_too_many_lanes_are_aggregated(
    make_logger: MakeLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(sinks=[sink()], sampling_enabled=False)
    with caplog.at_level(logging.WARNING, "jaxlog"), logger.open(tmp_path / "run"):
        for step in (0, 10):
            jax.vmap(lambda x, s=step: jaxlog.batch_step(logger, s, {"x": x}))(jnp.arange(300.0))
    (run,) = wandb_files.read_all(tmp_path)
    assert values(run, "batch/x") == [149.5, 149.5]
    assert caplog.text.count("aggregates over 300 lanes") == 1


def test_disabled_it_leaves_no_trace(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[sink(mode="disabled")])
    with logger.open(tmp_path / "run") as run:
        jax.block_until_ready(train(logger, 11))
        logger.log_step({"reward": 1.0})
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["run.json"]
    assert run.accounts()[0].written == run.arrived


def test_the_key_is_never_written(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "0123456789abcdef" * 2 + "01234567"
    monkeypatch.setenv("WANDB_API_KEY", key)
    logger = make_logger(sinks=[sink(), {"kind": "jsonl"}])
    with logger.open(tmp_path / "run", config={"wandb_api_key": key, "nested": {"token": key}}):
        jax.block_until_ready(train(logger, 11))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path
    with pytest.raises(ConfigError, match="api_key: unknown key"):
        make_logger(sinks=[sink(api_key=key)])


ONLINE = """
import jaxlog
logger = jaxlog.Logger({"sinks": [{"kind": "wandb", "mode": "online"}]})
try:
    logger.open(directory)
except ValueError as error:
    print(error)
import os
print(os.path.exists(directory))
import sys
sys.modules["wandb"] = None
try:
    logger.open(directory)
except ImportError as error:
    print(error)
"""

UNREACHABLE = """
import jaxlog
from jaxlog.sinks import wandb_runs
wandb_runs.INIT_TIMEOUT = 1.0
logger = jaxlog.Logger({"sinks": [{"kind": "wandb", "mode": "online"}]})
with logger.open(directory) as run:
    run.log({"x": 1.0}, step=3)
print(run.accounts()[0])
"""

CHILD = """
import os, signal, subprocess, sys
import numpy as np, jaxlog
logger = jaxlog.Logger({"sinks": [{"kind": "wandb", "mode": "offline"}, {"kind": "jsonl"}]})
run = logger.open(directory)
for step in range(100):
    jaxlog.log(logger, step, {"x": 1.0})
"""


def child(code: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    return subprocess.run(
        [sys.executable, "-c", f"directory = {str(directory)!r}\n{code}"],
        capture_output=True,
        text=True,
        timeout=100,
        stdin=subprocess.DEVNULL,
        env=inherited | {"HOME": str(directory.parent)} | environment,
    )


def test_without_a_key_or_the_package_the_user_hears_what_to_do(tmp_path: Path) -> None:
    done = child(ONLINE, tmp_path / "run")
    key, there, package = done.stdout.splitlines()
    assert "found no API key" in key
    assert "mode: offline" in key
    assert there == "False"  # nothing is left
    assert package.endswith("install it with: pip install 'jaxlog[wandb]'")


def test_rows_are_kept_where_the_server_cannot_be_reached(tmp_path: Path) -> None:
    key = "0123456789abcdef" * 2 + "01234567"
    there = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": key}
    done = child(UNREACHABLE, tmp_path / "run", **there)
    assert "written=1, failure=None, off=False" in done.stdout, done.stderr
    assert "cannot reach W&B, and keeps the rows of this run in files" in done.stderr
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    (run,) = wandb_files.read_all(folder)
    assert values(run, "eval/x") == [1]
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path


def test_a_run_that_nobody_closes_is_finished_when_python_ends(tmp_path: Path) -> None:
    done = child(CHILD, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (run,) = wandb_files.read_all(tmp_path)
    assert values(run, "train/step") == list(range(0, 100, 10))
    assert run.exit_code == 0
    sinks = json.loads((tmp_path / "run" / "run.json").read_text())["sinks"]
    assert [(s["written"], s["lost"]) for s in sinks] == [(10, 0), (10, 0)]


def test_wandb_that_dies_leaves_the_rest_alone(tmp_path: Path) -> None:
    code = CHILD.replace(
        "for step",
        "run.log({'first': 1.0})\n"
        "run.flush()\n"
        "import psutil\n"
        "for process in psutil.Process().children(recursive=True):\n"
        "    process.kill()\n"
        "for step",
    )
    done = child(code + "run.close()\nprint('trained')", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("trained")
    found = json.loads((tmp_path / "run" / "run.json").read_text())
    wandb_account, jsonl = found["sinks"]
    assert (jsonl["written"], jsonl["lost"]) == (11, 0)
    assert wandb_account["failure"] is not None
    lines = (tmp_path / "run" / "train_metrics.jsonl").read_text().splitlines()
    assert len(lines) == 10


def test_a_run_that_fails_is_failed_in_wandb(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [sink()]})
    run = logger.open(tmp_path / "run")
    run.log({"x": 1.0}, step=0)
    run.close(ValueError("diverged"))
    (run_file,) = wandb_files.read_all(tmp_path)
    assert run_file.exit_code == 1


def test_arrays_are_images(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = make_logger(sinks=[sink()])
    image = np.random.default_rng(0).integers(0, 2, (1, 4, 3)).astype(np.uint8)  # W&B scales 0, 1
    grey = image[:, :, 0]

    def lane(seed: jax.Array) -> None:
        table = seed.astype(np.float32) * jnp.eye(2)
        arrays = {"table": table, "image": jnp.asarray(image), "one": seed}
        jaxlog.log(logger, jnp.int32(0), {"loss": 1.0}, arrays=arrays, labels={"seed": seed})

    with logger.open(tmp_path) as run:
        jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.arange(2)))
        run.flush()
        monkeypatch.setitem(sys.modules, "PIL", None)
        run.log({"x": 1.0}, step=1, arrays={"grey": grey, "none": np.ones(0)}, labels={"seed": 0})
    (account,) = run.accounts()
    assert (account.written, account.failure) == (3, None)
    monkeypatch.undo()
    from PIL import Image

    for seed, of_lane in enumerate(wandb_files.read_all(tmp_path)):
        first = of_lane.rows[0]
        assert (first["train/step"], first["train/loss"], first["train/one"]) == (0, 1.0, seed)
        (folder,) = (path.parent / "files" for path in tmp_path.rglob(f"*-{seed:03d}.wandb"))
        for name, array in (("table", seed * np.eye(2, dtype=np.float32)), ("image", image)):
            assert first[f"train/{name}/_type"] == "image-file"
            assert first[f"train/{name}/caption"] == f"{array.dtype}{list(array.shape)}"
            read = np.asarray(Image.open(folder / first[f"train/{name}/path"]))
            np.testing.assert_array_equal(read, array_pixels(array))
        if seed == 0:  # without Pillow
            row = of_lane.rows[1]
            assert (row["eval/x"], row["eval/grey/_type"]) == (1.0, "html-file")
            assert (
                '<img src="data:image/png;base64,' in (folder / row["eval/grey/path"]).read_text()
            )
            assert not any(key.startswith("eval/none") for key in row)


def test_images_and_tables_are_shown(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = make_logger(sinks=[sink()])
    pixels = np.random.default_rng(0).integers(0, 2, (3, 4, 3)).astype(np.uint8)  # W&B scales 0, 1
    rows = [["maze", 0.5], ["key", None], [3, float("nan")]]

    def lane(seed: jax.Array) -> None:
        image = jaxlog.Image(pixels + seed.astype(np.uint8), "now")
        jaxlog.log(logger, jnp.int32(0), {"loss": 1.0, "a/b": image}, labels={"seed": seed})

    with logger.open(tmp_path) as run:
        jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.arange(2)))
        run.log({"t": jaxlog.Table(["task", "n"], rows), "x": 1.0}, step=1, labels={"seed": 0})
        run.flush()
        monkeypatch.setitem(sys.modules, "PIL", None)
        grey = jaxlog.Image(pixels[:, :, 0], 'a "caption" <b>')
        run.log({"grey": grey}, step=2, labels={"seed": 0})
    (account,) = run.accounts()
    assert (account.written, account.failure) == (4, None)
    monkeypatch.undo()
    from PIL import Image

    for seed, of_lane in enumerate(wandb_files.read_all(tmp_path)):
        first = of_lane.rows[0]
        assert (first["train/step"], first["train/loss"]) == (0, 1.0)
        (folder,) = (path.parent / "files" for path in tmp_path.rglob(f"*-{seed:03d}.wandb"))
        assert first["train/a/b/_type"] == "image-file"
        assert first["train/a/b/caption"] == "now"
        read = np.asarray(Image.open(folder / first["train/a/b/path"]))
        np.testing.assert_array_equal(read, pixels + np.uint8(seed))
        if seed == 0:
            table = of_lane.rows[1]
            assert (table["eval/x"], table["eval/t/_type"]) == (1.0, "table-file")
            stored = json.loads((folder / table["eval/t/path"]).read_text())
            assert stored["columns"] == ["task", "n"]
            assert str(stored["data"]) == str(rows)  # NaN is not equal to itself
            assert of_lane.rows[2]["eval/grey/_type"] == "html-file"
            html = (folder / of_lane.rows[2]["eval/grey/path"]).read_text()
            assert 'title="a &quot;caption&quot; &lt;b&gt;"' in html
