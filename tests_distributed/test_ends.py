"""One of four processes ends early: the run says which one, and how."""

from __future__ import annotations

import signal
from pathlib import Path

import jaxlog
from tests_distributed.conftest import COUNT, Start, lines_of


def test_a_preemption_of_one_process_ends_the_run_of_all(start: Start, tmp_path: Path) -> None:
    results = [process.result() for process in start("ends.py", "SIGTERM", tmp_path / "run")]
    last = results[0]["last"]
    assert 20 <= last < 999
    assert results == [{"last": last}] * COUNT
    run = jaxlog.read_run(tmp_path / "run")
    assert run.info["status"] == "terminated"
    assert run.info["preempted"]
    steps = [line["step"] for line in lines_of(tmp_path / "run" / "batch_metrics.jsonl")]
    assert steps == list(range(last + 1))


def test_an_error_in_one_process_is_in_the_run(start: Start, tmp_path: Path) -> None:
    processes = start("ends.py", "error", tmp_path / "run")
    codes = [process.wait(300) for process in processes]  # the other processes do not hang
    assert 0 not in codes
    run = jaxlog.read_run(tmp_path / "run")
    assert run.info["status"] in ("failed", "killed", "running")
    assert "process 2 on " in run.info["error"]
    assert "ended with ValueError: a bad batch" in run.info["error"]
    steps = [line["step"] for line in lines_of(tmp_path / "run" / "batch_metrics.jsonl")]
    assert steps == list(range(len(steps)))
    assert len(steps) >= 20


def test_a_process_that_is_killed_is_named_in_the_run(start: Start, tmp_path: Path) -> None:
    processes = start("ends.py", "SIGKILL", tmp_path / "run")
    codes = [process.wait(300) for process in processes]
    assert codes[2] == -signal.SIGKILL
    assert 0 not in codes
    run = jaxlog.read_run(tmp_path / "run")
    assert "process 2 on " in run.info["error"]
    assert "silent for 30 s" in run.info["error"]
