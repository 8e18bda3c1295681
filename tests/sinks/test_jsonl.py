"""What the files hold, read back with the standard library's JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import jaxlog
from jaxlog._format.events import EpisodeEvent, EvaluationEvent, RunInfo
from jaxlog._format.lines import START, lines_of
from jaxlog._host import retries
from jaxlog.sinks.jsonl import JsonlSettings, JsonlSink
from tests.conftest import MakeLogger


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_a_line_per_step_and_lane(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=2, env_steps_per_update=2**31, sinks=[{"kind": "jsonl"}])

    def train(seed: jax.Array) -> Any:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            loss = seed.astype(np.float32) + 0.1
            jaxlog.batch_step(logger, step, {"loss": loss}, labels={"seed": seed})
            return None, None

        return jax.lax.scan(update, None, jnp.arange(4))

    with logger.open(tmp_path):
        jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(2)))
    lines = read(tmp_path / "batch_metrics.jsonl")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["batch_metrics.jsonl", "run.json"]
    for line in lines:
        assert isinstance(line.pop("timestamp"), float)
    assert lines == [
        {
            "step": step,
            "env_step": (step + 1) * 2**31,
            "lane": lane,
            "labels": {"seed": lane},
            "metrics": {"loss": lane + 0.1},  # float32, as its shortest text
        }
        for step in (0, 2)
        for lane in (0, 1)
    ]


def test_a_line_per_episode(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(num_samples=2, sinks=[{"kind": "jsonl"}])
    returns = np.array([[1.5, 2.5]], np.float32)
    details = {
        "grid": np.arange(8, dtype=np.int32).reshape(1, 2, 2, 2),
        "half": np.array([[[0.5], [1.5]]], ml_dtypes.bfloat16),
    }
    with logger.open(tmp_path):
        jaxlog.batch_step(logger, 3, {"episode_returns": returns}, details=details, when=False)
        jaxlog.batch_step(logger, 100, {"episode_returns": returns}, details=details)
    lines = read(tmp_path / "episodes.jsonl")
    assert [line["episode"] for line in lines] == [
        {"environment_id": 0, "batch_index": [0, 0], "total_reward": 1.5},
        {"environment_id": 1, "batch_index": [0, 1], "total_reward": 2.5},
    ]
    assert [line["details"] for line in lines] == [
        {"grid": [[0, 1], [2, 3]], "half": [0.5]},
        {"grid": [[4, 5], [6, 7]], "half": [1.5]},
    ]
    assert {(line["name"], line["step"], line["lane"]) for line in lines} == {("batch", 100, 0)}


def test_what_is_not_finite_is_null_and_named(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(num_samples=1, sinks=[{"kind": "jsonl"}])
    values = {"policy_loss": np.float32(np.nan), "value_loss": -np.inf, "entropy": 1.0}
    returns = np.array([np.inf], np.float32)
    state = np.array([[1.0, np.nan]], np.float32)
    with logger.open(tmp_path):
        jaxlog.batch_step(
            logger,
            0,
            values | {"episode_returns": returns},
            details={"state": state},
            labels={"scale": np.inf},
        )
    (line,) = read(tmp_path / "batch_metrics.jsonl")
    assert line["metrics"] == {
        "episode_count": 1,
        "episode_return_mean": None,  # there was an episode, and it was not finite
        "episode_return_std": None,
        "episode_return_min": None,
        "episode_return_max": None,
        "episode_return_nonfinite": 1,
        "policy_loss": None,
        "value_loss": None,
        "entropy": 1.0,
    }
    returns = {f"episode_return_{name}": "nan" for name in ("mean", "std", "min", "max")}
    assert line["nonfinite"] == returns | {
        "policy_loss": "nan",
        "value_loss": "-inf",
        "scale": "inf",
    }
    (line,) = read(tmp_path / "episodes.jsonl")
    assert line["episode"]["total_reward"] is None
    assert line["details"]["state"] == [1.0, None]
    assert line["nonfinite"] == {"scale": "inf", "total_reward": "inf", "state[1]": "nan"}


def test_a_complex_number_that_is_not_finite_is_a_pair(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path):
        logger.log_step({"gain": complex(np.nan, 1.0), "wave": np.array([1j, complex(0, -np.inf)])})
    (line,) = read(tmp_path / "steps.jsonl")
    assert line["values"] == {"gain": [None, 1.0]}
    assert line["details"] == {"wave": [[0.0, 1.0], [0.0, None]]}
    assert line["nonfinite"] == {"gain[0]": "nan", "wave[1, 1]": "-inf"}


FULL = """
import jax.numpy as jnp, jaxlog, os, resource, signal, sys, threading, time
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file at its limit: write fails, as on a full disk
config = {"batched_logging_enabled": True, "log_frequency": 1, "sinks": [{"kind": "jsonl"}]}
logger = jaxlog.Logger(config)
path = os.path.join(sys.argv[1], "batch_metrics.jsonl")
limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def log(step):
    jaxlog.batch_step(logger, step, {f"metric_{i}": step + i / 7 for i in range(400)})
    time.sleep(0.2)

with logger.open(sys.argv[1]):
    log(0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path) + 5000, limit))
    log(1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for step in range(2, 5):
        log(step)
"""


def test_a_disk_that_is_full_for_a_moment_tears_no_line(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FULL, tmp_path], check=True)
    lines = read(tmp_path / "batch_metrics.jsonl")
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4]
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["sinks"] == [{"kind": "jsonl", "written": 5, "lost": 0, "failure": None}]


def test_a_full_disk_is_told_of(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_DELAYS", (0.001,))
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path):
        (tmp_path / "eval_metrics.jsonl").symlink_to("/dev/full")
        for step in range(10):
            jaxlog.batch_step(logger, step, {"x": 1.0})
            jaxlog.batch_step(logger, step, {"x": 1.0}, name="eval")
    facts = json.loads((tmp_path / "run.json").read_text())
    (sink,) = facts["sinks"]
    assert sink["written"] + sink["lost"] == facts["arrived"] == 20
    assert sink["lost"] >= 10
    assert sink["failure"].startswith("could not close: OSError")
    assert len(read(tmp_path / "batch_metrics.jsonl")) == 10  # the other file is whole


LONG = """
import jax, jax.numpy as jnp, jaxlog, sys
config = {"batched_logging_enabled": True, "log_frequency": 1, "sinks": [{"kind": "jsonl"}]}
logger = jaxlog.Logger(config)

def update(x, step):
    x = jnp.tanh(x @ x)
    jaxlog.batch_step(logger, step, {"x": x[0, 0]})
    return x, None

with logger.open(sys.argv[1]):
    program = jax.jit(lambda x: jax.lax.scan(update, x, jnp.arange(10**6)))
    jax.block_until_ready(program(jnp.ones((300, 300))))
"""


def test_lines_are_in_the_file_while_the_program_runs(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", LONG, tmp_path])
    path = tmp_path / "batch_metrics.jsonl"
    end = time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") > 100):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    killed = time.time()
    process.wait()
    lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True)[:-1]]
    assert [line["step"] for line in lines] == list(range(len(lines)))
    assert killed - lines[-1]["timestamp"] < 1.0


def test_each_call_has_a_file_of_its_own(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path):
        jaxlog.batch_step(logger, 0, {"x": 1.0})
        jaxlog.batch_step(logger, 0, {"x": 2.0}, name="eval")
        jaxlog.batch_step(logger, 10, {"x": True}, name="eval")
    assert [line["metrics"] for line in read(tmp_path / "batch_metrics.jsonl")] == [{"x": 1.0}]
    lines = read(tmp_path / "eval_metrics.jsonl")
    assert [line["metrics"] for line in lines] == [{"x": 2.0}, {"x": True}]


def resumed(path: Path, data: bytes) -> bytes:
    """What is left of a file when its run goes on, at its end."""
    path.write_bytes(data)
    JsonlSink(JsonlSettings()).open(RunInfo("run", path.parent, if_exists="resume"))
    return path.read_bytes() if path.exists() else b""


@pytest.mark.parametrize("whole", [1, 2**16 - 1, 2**16, 2**16 + 1, 3 * 2**16 + 5])
@pytest.mark.parametrize("torn", [0, 1, 2**16 - 1, 2**16, 2**16 + 1, 2 * 2**16 + 3])
def test_a_run_that_goes_on_keeps_all_whole_lines(tmp_path: Path, whole: int, torn: int) -> None:
    """Whatever the sizes are beside that of the blocks in which the end is looked for."""
    line = b'{"timestamp":1.5,"step":0}\n'
    lines = line * (whole // len(line)) + START + b"0" * (whole % len(line)) + b"}\n"
    rest = (START + b"1" * torn)[:torn]
    assert resumed(tmp_path / "eval_metrics.jsonl", lines + rest) == lines


@pytest.mark.parametrize("size", range(1, len(START) + 3))
def test_a_first_line_that_is_torn_anywhere_is_cut_off(tmp_path: Path, size: int) -> None:
    assert resumed(tmp_path / "eval_metrics.jsonl", b'{"timestamp":1.5,"step":0}'[:size]) == b""


def test_what_others_have_under_such_a_name_stays(tmp_path: Path) -> None:
    for own in (b'{"time', b"x", b'{"timestamq":'):
        kept = own + b"x" if own == b'{"time' else own
        assert resumed(tmp_path / "my_metrics.jsonl", kept) == kept


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, np.float16])
def test_a_half_that_is_not_finite_is_null_and_named(tmp_path: Path, dtype: Any) -> None:
    sink = JsonlSink(JsonlSettings())
    sink.open(RunInfo("run", tmp_path, if_exists="replace"))
    board = np.array([[0.5, np.nan], [-np.inf, np.inf]], dtype)
    sink.write_episode(
        EpisodeEvent("batch", 0, None, 1.5, 0, {}, {"one": dtype("nan")}, {"b": board})
    )
    sink.close()
    (line,) = read(tmp_path / "episodes.jsonl")
    assert line["details"] == {"b": [[0.5, None], [None, None]]}
    assert line["episode"] == {"one": None}
    assert line["nonfinite"] == {
        "one": "nan", "b[0, 1]": "nan", "b[1, 0]": "-inf", "b[1, 1]": "inf",
    }  # fmt: skip
    found = jaxlog.read_run(tmp_path).episodes.row(0, named=True)
    assert repr(found["b"]) == "[[0.5, nan], [-inf, inf]]"


WHOLE = [123456792.0, 2.0**24, 2.0**31, -(2.0**40), 1.0000000272564224e16, 3.0000000054977558e38]


def test_whole_numbers_are_the_same_number_in_every_sink(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    sinks = [{"kind": kind} for kind in ("jsonl", "memory", "tensorboard")]
    logger = make_logger(log_frequency=1, sinks=sinks, sample_frequency=1)

    def program(big: jax.Array) -> None:
        metrics = {"big": big[0], "small": jnp.float32(0.1), "returns": jnp.broadcast_to(big, 6)}
        metrics |= {"half": jnp.float16(65504), "brain": jnp.bfloat16(3.3895e38)}
        details = {"state": jnp.append(big, jnp.float32(0.1))[None].repeat(6, 0)}
        jaxlog.batch_step(
            logger, 0, metrics, where=jnp.ones(6, bool), details=details, labels={"scale": big[0]}
        )

    with logger.open(tmp_path) as run:
        jax.jit(program)(jnp.array(WHOLE, jnp.float32))
        run.log({"big": np.float32(WHOLE[0])}, step=0)
    (line,) = read(tmp_path / "batch_metrics.jsonl")
    found = line["metrics"]
    (event,) = [e for e in run.sink("memory").metrics if e.name == "batch"]
    assert found == {key: found[key] for key in event.lanes[0].metrics}
    kept: Any = event.lanes[0].metrics
    for key, value in kept.items():
        assert np.float32(found[key]) == np.float32(value)
        assert found[key] == float(value) or not float(value).is_integer()
    assert (found["big"], found["small"], line["labels"]) == (WHOLE[0], 0.1, {"scale": WHOLE[0]})
    assert (found["half"], found["returns_max"]) == (65504.0, WHOLE[-1])
    (of_run,) = read(tmp_path / "eval_metrics.jsonl")
    assert of_run["metrics"] == {"big": WHOLE[0]}
    for episode in read(tmp_path / "episodes.jsonl"):
        assert episode["details"]["state"] == [*WHOLE, 0.1]
        assert episode["episode"]["returns"] in WHOLE
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Scalars("other/batch/big")[0].value == WHOLE[0]
    assert jaxlog.read_run(tmp_path).arrays("eval")["big"].item() == WHOLE[0]


@given(st.lists(st.floats(width=32), max_size=9))
def test_a_float32_is_read_back_as_the_same(values: list[float]) -> None:
    array = np.array(values, np.float32)
    values_by_name = {f"{i}": value for i, value in enumerate(array)}
    line = json.loads(lines_of(EvaluationEvent(0, 0.0, values_by_name, {"all": array})))
    found = line["evaluation"].values(), line["details"]["all"]
    for value, scalar, entry in zip(array, *found, strict=True):
        if not np.isfinite(value):
            assert scalar is entry is None
            continue
        assert np.float32(scalar) == np.float32(entry) == value
        assert not float(value).is_integer() or scalar == entry == float(value)


def test_a_link_of_a_files_name_is_not_followed(make_logger: MakeLogger, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("of somebody else")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "eval_metrics.jsonl").symlink_to(other)
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run") as run:
        run.log({"loss": 1.0}, step=0)
    (account,) = run.accounts()
    assert (account.written, other.read_text()) == (0, "of somebody else")
    assert account.failure is not None
    assert "symbolic link" in account.failure
