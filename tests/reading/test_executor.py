"""Runs are read in an executor: by threads and by other processes, with the same result."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

import jaxlog
from jaxlog._reading import executing
from jaxlog._reading.frames_of_runs import Table, frame_of_runs
from tests.reading.files import episode, metrics, write

TABLES: list[Table] = ["metrics", "over_lanes", "episodes", "steps", "tasks", "evaluations"]


@pytest.fixture(scope="module")
def process() -> Iterator[Executor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Runs of several kinds, enough of them for jobs of two."""
    directory = tmp_path / "runs"
    for i in range(66):
        path = directory / f"plain-{i}"
        path.mkdir(parents=True)
        write(path, [metrics(0, ({"seed": i}, {"loss": float(i)})), episode(0, {"x": i})])
    text = directory / "text"
    text.mkdir()
    write(text, [metrics(0, ({"seed": "none"}, {"loss": float("nan"), "more": np.int8(3)}))])
    for kind in ("jsonl", "arrow"):
        logger = jaxlog.Logger({"sinks": [{"kind": kind}], "over_lanes": ["mean"]})
        with logger.open(directory / kind, lanes=[{"seed": 0}, {"seed": 1}]) as run:
            run.log({"loss": [0.5, float("inf")]}, step=1, name="batch")
    return directory


def test_processes_and_threads_read_the_same(runs: Path, process: Executor) -> None:
    here = jaxlog.read_runs(runs)
    with ThreadPoolExecutor(2) as threads:
        for executor in (process, threads):
            there = jaxlog.read_runs(runs, executor=executor)
            assert there.names == here.names
            for one, other in zip(here, there, strict=True):
                assert (one.info, one.status, one.calls) == (other.info, other.status, other.calls)
            assert repr(there) == repr(here)
            assert there.metrics.equals(here.metrics)
            for table in TABLES:
                call = "batch" if table in ("metrics", "over_lanes") else ""
                expected = frame_of_runs(here.by_name(), table, call, None)
                found = frame_of_runs(there.by_name(), table, call, executor)
                assert found.equals(expected), table
            assert len(there.episodes) == 66
            some = "run:plain loss<3"
            assert there.filter(some).metrics.equals(here.filter(some).metrics)
            assert there.filter(some).names == ("plain-0", "plain-1", "plain-2")
            assert there["arrow"].metrics.equals(here["arrow"].metrics)


def test_warnings_of_another_process_arrive(tmp_path: Path, process: Executor) -> None:
    path = tmp_path / "broken"
    path.mkdir()
    write(path, [metrics(0, ({}, {"loss": 1.0}))])
    file = path / "batch_metrics.jsonl"
    file.write_text("{\n" + file.read_text())
    (path / "run.json").symlink_to(file)
    with pytest.warns(UserWarning, match=r"run\.json: is a symbolic link") as found:
        runs = jaxlog.read_runs(path, executor=process)
    assert {one.filename for one in found} == {__file__}
    with pytest.warns(UserWarning, match="1 left out") as found:
        assert runs.metrics["loss"].to_list() == [1.0]
    assert {one.filename for one in found} == {__file__}


def test_a_process_that_does_not_see_the_runs_says_so(
    tmp_path: Path, process: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    write(tmp_path / "one", [metrics(0, ({}, {"loss": 1.0}))])
    assert len(jaxlog.read_runs(tmp_path, executor=process)) == 1
    monkeypatch.chdir(tmp_path)  # not for the other process
    with pytest.raises(FileNotFoundError, match="one: is no run for the executor's process on"):
        jaxlog.read_runs("one", executor=process)


def test_a_process_that_is_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    write(tmp_path / "one", [metrics(0, ({}, {"loss": 1.0}))])
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        executor.submit(os.getpid).result()
        job = executor.submit(signal.raise_signal, signal.SIGKILL)
        for _ in range(2):  # while it is killed, most often; and certainly after that
            with pytest.raises(BrokenProcessPool, match="executor: a process that read runs was"):
                list(executing.results(str, range(100), executor))
            assert job.exception() is not None


def test_processes_that_are_forked_are_refused(tmp_path: Path) -> None:
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as forked,
        pytest.raises(ValueError, match=r"executor: got processes that are forked"),
    ):
        jaxlog.read_runs(tmp_path, executor=forked)
    with pytest.raises(TypeError, match=r"executor: got int, expected a concurrent\.futures\.E"):
        jaxlog.read_runs(tmp_path, executor=4)  # type: ignore[arg-type]
