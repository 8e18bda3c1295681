"""How a run is, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jaxlog._host import status
from jaxlog._host.directory import Directory, is_held
from jaxlog._host.status import facts_of, observe
from tests.conftest import MakeLogger

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time, jaxlog
logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
with logger.open(sys.argv[1]) as run:
    run.log({"loss": 1.0}, step=0)
    run.flush()
    print("open", flush=True)
    time.sleep(100)
"""


def test_a_run_is_running_until_it_is_closed(make_logger: MakeLogger, tmp_path: Path) -> None:
    path = tmp_path / "run"
    with make_logger().open(path):
        _, facts, said = observe(path)
        assert said == "running"
        assert facts["pid"] == os.getpid()
        assert is_held(path)
    assert observe(path).status == "finished"
    assert is_held(path) is False
    run = make_logger().open(path, if_exists="replace")
    run.log({"a": 1.0}, step=0)
    run.close(ZeroDivisionError())
    assert observe(path).status == "failed"


def test_a_run_of_which_the_process_is_gone_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        assert observe(path).status == "running"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert observe(path).status == "killed"


def test_asking_does_not_keep_a_run_from_being_opened(tmp_path: Path) -> None:
    tmp_path.joinpath("run.json").write_text('{"status": "running", "pid": 1}')
    assert is_held(tmp_path) is False
    Directory(tmp_path, "replace").release()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (None, "unknown"),
        ("", "unknown"),
        ("{", "unknown"),
        ("[]", "unknown"),
        ({}, "unknown"),
        ({"status": ["running"]}, "unknown"),
        ({"status": "interrupted"}, "interrupted"),
        ({"started": "2026-01-01", "pid": 1, "ended": "2026-01-02"}, "ended"),
        ({"started": "2026-01-01", "pid": 1}, "killed"),
        ({"status": "running", "pid": "x"}, "killed"),
        ({"status": "running", "pid": 1, "host": "somewhere else"}, "unknown"),
    ],
)
def test_what_run_json_says_and_what_it_leaves_open(tmp_path: Path, facts: Any, said: str) -> None:
    if facts is not None:
        text = facts if isinstance(facts, str) else json.dumps(facts)
        (tmp_path / "run.json").write_text(text)
    assert observe(tmp_path).status == said
    assert facts_of(tmp_path) == (facts if isinstance(facts, dict) else {})


def test_without_locks_the_process_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "is_held", lambda path: None)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid, said in ((os.getpid(), "running"), (gone.pid, "killed"), (0, "killed")):
        (tmp_path / "run.json").write_text(json.dumps({"status": "running", "pid": pid}))
        assert observe(tmp_path).status == said


def test_one_that_ends_between_two_looks_was_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.json").write_text('{"status": "running", "pid": 1}')

    def ends_meanwhile(path: Path) -> bool:
        (path / "run.json").write_text('{"status": "finished"}')
        return False

    monkeypatch.setattr(status, "is_held", ends_meanwhile)
    assert observe(tmp_path)[1:] == ({"status": "finished"}, "finished")
