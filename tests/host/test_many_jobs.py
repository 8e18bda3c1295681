"""Many processes open runs below one directory at once."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import jaxlog
from jaxlog import _run_files
from jaxlog._cli.errors import CommandError
from jaxlog._cli.upload import upload
from jaxlog._host.directory import Directory
from jaxlog._host.status import observe
from tests.conftest import refuse_locks

JOBS = 24
PROGRAM = """
import os
import sys
from pathlib import Path

import jaxlog

logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
start, begin = os.pipe()
children = []
for job in range(int(sys.argv[2])):
    children.append(os.fork())  # before JAX has any thread
    if not children[-1]:
        os.close(begin)
        os.read(start, 1)  # until the parent has started all
        try:
            with logger.open(Path(sys.argv[1]), if_exists="next", config={"job": job}) as run:
                for step in range(3):
                    run.log({"loss": 10.0 * job + step}, step=step)
            last = run.last("loss")
            os._exit(0 if last == 10.0 * job + 2 else 1)
        except BaseException as error:
            print(job, repr(error), flush=True)
            os._exit(1)
os.close(begin)
sys.exit(sum(bool(os.waitpid(child, 0)[1]) for child in children))
"""


def test_each_job_has_its_directory_and_its_lines(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "runs" / "job"), str(JOBS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for directory in (tmp_path / "runs").iterdir():
        facts = json.loads((directory / "run.json").read_text())
        lines = (directory / "eval_metrics.jsonl").read_text().splitlines()
        found[facts["config"]["job"]] = [json.loads(line)["metrics"]["loss"] for line in lines]
        assert facts["status"] == "finished"
    assert found == {job: [10.0 * job + step for step in range(3)] for job in range(JOBS)}


@pytest.fixture(params=[errno.ENOLCK, errno.ENOTSUP])
def no_locks(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    refuse_locks(monkeypatch, request.param)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The number of another process, which runs."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


def left_open(path: Path, **facts: object) -> None:
    """A run that was never closed."""
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(path) as run:
        run.log({"loss": 1.0}, step=0)
    file = path / "run.json"
    found = json.loads(file.read_text()) | {"status": "running"} | facts
    file.write_text(json.dumps(found))


@pytest.mark.usefixtures("no_locks")
def test_without_locks_two_runs_that_have_written_nothing_have_two_directories(
    tmp_path: Path,
) -> None:
    opened = [Directory(tmp_path / "job", "next") for _ in range(3)]
    assert [one.path.name for one in opened] == ["job", "job-2", "job-3"]


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("if_exists", ["resume", "replace"])
def test_without_locks_a_run_whose_process_runs_is_refused(
    tmp_path: Path, sleeper: int, if_exists: Literal["resume", "replace"]
) -> None:
    left_open(tmp_path / "run", pid=sleeper, opened=time.time() + 60)
    before = (tmp_path / "run" / "run.json").read_bytes()
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with pytest.raises(FileExistsError, match=f"run that is open, of process {sleeper}; choose"):
        logger.open(tmp_path / "run", if_exists=if_exists)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_run_whose_process_runs_is_not_uploaded(
    tmp_path: Path, sleeper: int
) -> None:
    left_open(tmp_path / "run", pid=sleeper, opened=time.time() + 60)
    with pytest.raises(CommandError, match="the run is open; end it first"):
        upload(tmp_path / "run", "memory://runs/first")


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("pid", [None, True, -1, 0, 1.0, "1", 2**31, 2**200, [1]])
def test_without_locks_a_pid_that_is_none_is_no_process(tmp_path: Path, pid: object) -> None:
    left_open(tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    facts = json.loads(file.read_text()) | {"pid": pid, "opened": time.time()}
    file.write_text(json.dumps(facts))
    assert observe(tmp_path / "run").status in ("killed", "unknown")


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the state is in /proc")
@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_process_that_nobody_waited_for_has_ended(tmp_path: Path) -> None:
    """In a container, whose first process may wait for none, it would count as running forever."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        left_open(tmp_path / "run", pid=process.pid, opened=time.time() + 60)
        assert observe(tmp_path / "run").status == "killed"
        logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        logger.open(tmp_path / "run", if_exists="resume").close()


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("gone", [True, False])
def test_without_locks_a_run_whose_process_is_gone_goes_on(
    tmp_path: Path, sleeper: int, gone: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where another process got its number."""
    pid = sleeper
    if gone:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pid = ended.pid
    left_open(tmp_path / "run", pid=pid, opened=1e9)
    assert observe(tmp_path / "run").status == "killed"
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(
        tmp_path / "run", if_exists="resume"
    ) as run:
        run.log({"loss": 2.0}, step=1)
    assert len((tmp_path / "run" / "eval_metrics.jsonl").read_text().splitlines()) == 2
    assert "no locks" not in caplog.text


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_run_of_another_machine_is_said_to_may_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left_open(tmp_path / "run", pid=7, host="node-12\x1b[31m")
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(tmp_path / "run", if_exists="resume"):
        pass
    assert (
        "has no locks, and the run there was not closed. If process 7 on node-12�[31m"
        in caplog.text
    )


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("if_exists", ["error", "resume", "replace"])
def test_without_locks_the_second_of_two_that_begin_at_once_is_refused(
    tmp_path: Path, if_exists: Literal["error", "resume", "replace"]
) -> None:
    path = tmp_path / "run"
    if if_exists != "error":
        left_open(path, status="finished")
    one, two = (Directory(path, if_exists) for _ in range(2))
    one.begin({"id": "00000001", "status": "running"}, None)
    with pytest.raises(FileExistsError, match="has a run that is open"):
        two.begin({"id": "00000002", "status": "running"}, None)
    two.leave()
    assert json.loads((path / "run.json").read_text())["id"] == "00000001"


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("read", [1, 2])
@pytest.mark.parametrize("if_exists", ["error", "resume"])
def test_without_locks_one_that_begins_while_another_does_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    if_exists: Literal["error", "resume"],
    read: int,
) -> None:
    """Whenever the other looks at run.json."""
    path = tmp_path / "run"
    if if_exists == "resume":
        left_open(path, status="finished")
    one, two = (Directory(path, if_exists) for _ in range(2))
    began: list[str] = []

    def begin(directory: Directory, name: str) -> None:
        with contextlib.suppress(FileExistsError):
            directory.begin({"id": name, "status": "running"}, None)
            began.append(name)

    reads: list[bytes] = []
    really = _run_files.read_small

    def reads_while_two_begins(*arguments: Any) -> bytes:
        reads.append(b"")
        number = len(reads)
        try:
            return really(*arguments)
        finally:
            if number == read:
                begin(two, "2")

    monkeypatch.setattr(_run_files, "read_small", reads_while_two_begins)
    begin(one, "1")
    assert len(began) == 1
    assert json.loads((path / "run.json").read_text())["id"] == began[0]
    assert [file.name for file in path.glob(".*")] == []


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_process_that_was_killed_as_it_began_is_in_nobodys_way(
    tmp_path: Path,
) -> None:
    directory = Directory(tmp_path / "run", "error")
    began = tmp_path / "run" / ".run.json.begins"
    began.write_bytes(b"{")
    with pytest.raises(FileExistsError, match="has a run that is open, of another process"):
        directory.begin({"id": "1"}, None)
    os.utime(began, (1e9, 1e9))
    directory.begin({"id": "1"}, None)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["run.json"]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_run_that_is_open_here_is_refused(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run") as run:
        run.log({"loss": 1.0}, step=0)
        with pytest.raises(FileExistsError, match="of this process"):
            jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(tmp_path / "run", if_exists="resume")
        run.log({"loss": 2.0}, step=1)
    assert len((tmp_path / "run" / "eval_metrics.jsonl").read_text().splitlines()) == 2
