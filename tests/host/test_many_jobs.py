"""Many processes open runs below one directory at once."""

from __future__ import annotations

import errno
import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlog._host.directory import Directory

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


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_without_locks_two_runs_that_have_written_nothing_have_two_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    opened = [Directory(tmp_path / "job", "next") for _ in range(3)]
    assert [one.path.name for one in opened] == ["job", "job-2", "job-3"]
