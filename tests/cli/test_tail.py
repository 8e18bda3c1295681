"""`jaxlog tail`: it follows a run of another process until the run or the user ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import jaxlog
from jaxlog._cli.main import main
from tests.cli.conftest import ROOT, STEPS, Command, Logged, start

PROGRAM = """
import sys, jax, jax.numpy as jnp, jaxlog
settings = {"batched_logging_enabled": True, "log_frequency": 1, "sinks": [{"kind": "jsonl"}]}
logger = jaxlog.Logger(settings | {"sampling_enabled": False}, total_updates=1000)

with logger.open(sys.argv[1]):
    for word in sys.stdin:
        if word == "end\\n":
            break
        step = int(word)
        jax.vmap(lambda lane: jaxlog.batch_step(logger, step, {"loss": lane}))(jnp.arange(2.0))
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that reads steps from its input, and logs each of them into `run`."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path / "run"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def tell(process: subprocess.Popen[str], word: object) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_live_run_is_followed_until_it_ends(
    writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    wait_for(tmp_path / "run" / "run.json")
    with start(["tail", tmp_path]) as text, start(["tail", tmp_path / "run", "--json"]) as raw:
        for step in (0, 1, 7):
            tell(writer, step)
            title = f"batch · step {step} · {step + 1}/1000 updates done"
            assert line(text) == f"{title}  loss 0.5 ± 0.5\n"
            for lane in (0, 1):
                found = json.loads(line(raw))
                assert (found["step"], found["lane"]) == (step, lane)
        assert text.poll() is None
        tell(writer, "end")
        out, err = text.communicate(timeout=60)
        assert (text.returncode, out) == (0, "")
        assert err.splitlines()[0] == f"jaxlog: the newest run is {tmp_path / 'run'}"
        assert err.splitlines()[1].startswith(f"jaxlog: {tmp_path / 'run'}: finished after 0:00:")
        assert raw.wait(timeout=60) == 0


def test_it_ends_with_a_run_that_is_killed(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    tell(writer, 3)
    wait_for(tmp_path / "run" / "batch_metrics.jsonl")
    with start(["tail", tmp_path / "run"]) as tail:
        assert line(tail).startswith("batch · step 3 · 4/1000 updates done")
        writer.kill()
        out, err = tail.communicate(timeout=60)
        assert (tail.returncode, out) == (0, "")
        said = "killed: its process is gone and did not close the run"
        health = "unfinished (4 of 1,000 updates)"
        assert err == f"jaxlog: {tmp_path / 'run'}: {said}; {health}\n"


@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_and_a_closed_pipe_end_it_quietly(
    writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    tell(writer, 0)
    wait_for(tmp_path / "run" / "batch_metrics.jsonl")
    with start(["tail", tmp_path / "run"]) as left, start(["tail", tmp_path / "run"]) as closed:
        for tail in (left, closed):
            assert line(tail)
        left.send_signal(signal.SIGINT)
        assert left.communicate(timeout=60) == ("", "")
        assert left.returncode == 130
        assert closed.stdout is not None
        assert closed.stderr is not None
        closed.stdout.close()
        tell(writer, 1)
        assert closed.wait(timeout=60) == 141
        assert closed.stderr.read() == ""


def test_the_last_lines_of_a_run_that_has_ended(command: Command, logged: Logged) -> None:
    code, out, err = command("tail", logged.directory, "-n", 8)
    found = out.splitlines()
    assert code == 0
    assert len(found) == 8
    assert found[0] == (
        "batch · step 24 · 25/25 updates done  episode_return_mean 28.67 ± 0.62  success_rate 1  "
        "learning_rate 5.96e-08  … 2 more"
    )
    assert found[1].startswith("batch · step 24 · 25/25 updates done  episode of seed 0  ")
    assert "success yes" in found[1]
    assert max(map(len, found)) <= 120
    assert found[7] == "eval · step 24 · 25/25 updates done  return 2 ± 0.5 (2 of 3 lanes)"
    assert err.startswith(f"jaxlog: {logged.directory}: finished after 0:")
    assert err.endswith("; diverged (1 of 3 lanes, from step 0)\n")


@pytest.mark.parametrize("columns", [20, 50, 80, 200])
def test_a_record_is_one_line_of_the_terminal(
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["tail", str(logged.directory), "-n", "100"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert len(found) >= 50
    assert max(map(len, found)) <= columns
    if columns >= 80:
        last = next(line for line in found if line.startswith("batch · step 24"))
        assert "episode_return_mean 28.67 ± 0.62  success_rate 1  " in last


def test_raw_lines_are_those_of_the_files(command: Command, logged: Logged) -> None:
    out = command("tail", logged.directory, "--json", "-n", 10_000).out
    written = [
        line
        for path in sorted(logged.directory.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert sorted(out.splitlines()) == sorted(written)
    times = [json.loads(line)["timestamp"] for line in out.splitlines()]
    assert times == sorted(times)
    assert command("tail", logged.directory, "-n", 0).out == ""
    assert len(command("tail", logged.directory, "-n", 10_000).out.splitlines()) > STEPS


def test_bad_arguments_are_errors(command: Command, tmp_path: Path, logged: Logged) -> None:
    code, out, err = command("tail", tmp_path / "none")
    assert (code, out) == (2, "")
    assert "expected the directory of a run" in err
    assert command("tail", logged.directory, "-n", -1).err == (
        "jaxlog: tail: --lines: got -1, expected 0 or more\n"
    )


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("failed", "ValueError: no\nmore", "failed after 0:00:05; ValueError: no more"),
        ("interrupted", "KeyboardInterrupt: ", "interrupted after 0:00:05"),
    ],
)
def test_the_end_of_the_run_is_printed(
    command: Command, tmp_path: Path, status: str, error: str, said: str
) -> None:
    times = {"started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:00:05+00:00"}
    account = {"kind": "svg", "written": 3, "lost": 1, "failure": "disk full"}
    facts = {"status": status, "error": error, "sinks": [account]} | times
    (tmp_path / "run.json").write_text(json.dumps(facts))
    lost = "; the sink svg lost 1 of 4 records: disk full"
    assert command("tail", tmp_path) == (0, "", f"jaxlog: {tmp_path}: {said}{lost}\n")


def test_a_run_without_run_json_is_printed_and_not_followed(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "batch_metrics.jsonl").write_text(
        '{"timestamp":1,"step":0,"lane":0,"labels":{},"metrics":{"a":1}}\nbroken\n{"torn'
    )
    code, out, err = command("tail", tmp_path)
    assert (code, out) == (0, "batch · step 0  a 1\n")
    assert err == f"jaxlog: {tmp_path}: unknown: run.json is missing, or does not have the status\n"
    assert command("tail", tmp_path, "--json").out.count("\n") == 1


def test_logged_text_cannot_steer_the_terminal(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "run"
    steers = "a\x1b[31m\nb\x07\x9b2J"
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(path, name=steers, tags=(steers,), config={steers: steers}) as run:
        run.log({steers: 1.0}, step=0, labels={steers: steers})
        logger.log_step({"reward": 1.0, "note": steers})
    for arguments in (("show", path), ("show", tmp_path), ("tail", path)):
        code, out, err = command(*arguments)
        assert code == 0
        assert not {"\x1b", "\x07", "\x9b"}.intersection(out + err)


def test_a_directory_that_is_removed_ends_it(command: Command, tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run") as run:
        run.log({"loss": 1.0}, step=0)
        run.flush()
        with start(["tail", tmp_path / "run"]) as tail:
            assert line(tail) == "eval · step 0  loss 1\n"
            shutil.rmtree(tmp_path / "run")
            out, err = tail.communicate(timeout=60)
        assert (tail.returncode, out) == (2, "")
        assert err == f"jaxlog: {tmp_path / 'run'}: No such file or directory\n"
        (tmp_path / "run").mkdir()
