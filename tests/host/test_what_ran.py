"""What ran: the command, the code, the packages and the environment in run.json and beside it."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jax
import pytest

from jaxlog._crossing.jax_settings import changed_flags
from jaxlog._host import git_facts, what_ran
from jaxlog._host.companion import Companion, RunAccess
from jaxlog._host.git_facts import code_of
from jaxlog._host.packages import installed
from tests.conftest import MakeLogger

TIMEOUT = 60.0


def git(directory: Path, *arguments: str) -> str:
    """Runs git without the configuration of whoever runs the tests."""
    environment = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, in a directory with a blank in its name."""
    found = tmp_path / "my project"
    found.mkdir()
    git(found, "init", "--quiet", "--initial-branch=main")
    (found / "train.py").write_text("lr = 1\nsteps = 2\n")
    git(found, "add", ".")
    git(found, "commit", "--quiet", "-m", "one")
    return found


def facts_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def test_a_run_says_what_ran(
    make_logger: MakeLogger,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (repository / "train.py").write_text("lr = 3\nsteps = 2\n")
    (repository / "new file.py").touch()
    git(repository, "remote", "add", "origin", "https://me:sesame@example.com/p.git")
    monkeypatch.chdir(repository)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    monkeypatch.setenv("JAX_SOME_TOKEN", "hidden")
    monkeypatch.setenv("UNRELATED", "not recorded")
    words = ["python", "train.py", "--lr=3", "--api-key", "sesame", "caf\udce9"]
    monkeypatch.setattr(sys, "orig_argv", words)
    with make_logger().open(tmp_path / "run"):
        monkeypatch.chdir(tmp_path)  # the facts are those of `open`
    facts = facts_of(tmp_path / "run")
    commit = git(repository, "rev-parse", "HEAD").strip()
    assert facts["git"] == f"{commit}-dirty"
    assert facts["command"] == {
        "words": ["python", "train.py", "--lr=3", "--api-key", "(redacted)", "caf?"],
        "directory": str(repository),
        "python": sys.executable,
    }
    assert facts["code"] == {
        "root": str(repository),
        "commit": commit,
        "branch": "main",
        "changed": 1,
        "untracked": 1,
        "untracked_files": ["new file.py"],
        "remote": "https://me:(redacted)@example.com/p.git",
        "diff": "program/code.diff",
    }
    environment = facts["environment"]
    assert environment["cpus"] == os.cpu_count()
    assert environment["memory"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert environment["devices"] == [
        {"platform": "cpu", "kind": "cpu", "number": 4, "memory": None}
    ]
    assert environment["flags"]["jax_numpy_rank_promotion"] == "raise"
    assert environment["variables"]["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false"
    assert environment["variables"]["JAX_SOME_TOKEN"] == "(redacted)"
    assert "UNRELATED" not in environment["variables"]
    lines = (tmp_path / "run" / facts["packages"]["file"]).read_text().splitlines()
    assert len(lines) == facts["packages"]["number"]
    assert f"jax=={jax.__version__}" in lines
    # The diff can be applied to the commit, and gives the code that ran.
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", str(repository), str(copy))
    git(copy, "apply", str(tmp_path / "run" / "program" / "code.diff"))
    assert (copy / "train.py").read_text() == "lr = 3\nsteps = 2\n"
    assert b"sesame" not in b"".join(
        path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()
    )


def test_names_and_versions_of_packages_are_those_of_their_metadata() -> None:
    found = dict(line.split("  #")[0].split("==") for line in installed(sys.path))
    expected: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        name = one.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        expected.setdefault(name, one.version)
    assert found == expected


def test_a_package_from_a_repository_has_its_commit(tmp_path: Path) -> None:
    url = "https://me:sesame@example.com/x.git"
    for name, described in {
        "a_b-1.0": {"url": url, "vcs_info": {"vcs": "git", "commit_id": "abc"}},
        "c-2.0": {"url": "file:///home/c", "dir_info": {"editable": True}},
        "d-3.0": ["not", "one"],
    }.items():
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        (folder / "direct_url.json").write_text(json.dumps(described))
    (tmp_path / "e-4.0-py3.11.egg-info").mkdir()
    assert installed([str(tmp_path), str(tmp_path / "gone")]) == [
        "a-b==1.0  # git+https://me:(redacted)@example.com/x.git@abc",
        "c==2.0  # file:///home/c, editable",
        "d==3.0",
        "e==4.0",
    ]


def test_each_session_keeps_what_ran_and_shares_equal_files(
    make_logger: MakeLogger, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    run = tmp_path / "run"
    for text in ("lr = 2\n", "lr = 2\n", "lr = 3\n"):
        (repository / "train.py").write_text(text)
        monkeypatch.setattr(sys, "orig_argv", ["python", text])
        with make_logger().open(run, if_exists="resume"):
            pass
    facts = facts_of(run)
    sessions = [*facts["sessions"], facts]
    assert [one["command"]["words"][1] for one in sessions] == ["lr = 2\n", "lr = 2\n", "lr = 3\n"]
    assert ["untracked_files" in one["code"] for one in sessions] == [False, False, True]
    diffs = [one["code"]["diff"] for one in sessions]
    assert diffs == ["program/code.diff", "program/code.diff", "program/code.2.diff"]
    assert [("+lr = 3" in (run / name).read_text()) for name in diffs] == [False, False, True]
    assert {one["packages"]["file"] for one in sessions} == {"program/packages.txt"}
    # A run that replaces it has files of its own only.
    git(repository, "checkout", "--quiet", ".")
    with make_logger().open(run, if_exists="replace"):
        pass
    assert sorted(path.name for path in (run / "program").iterdir()) == ["packages.txt"]
    assert "diff" not in facts_of(run)["code"]


def test_the_setting_chooses_the_parts(make_logger: MakeLogger, tmp_path: Path) -> None:
    with make_logger(what_ran=[]).open(tmp_path / "none"):
        pass
    with make_logger(what_ran=["command"]).open(tmp_path / "one"):
        pass
    parts = {"command", "code", "packages", "environment"}
    assert facts_of(tmp_path / "none").keys().isdisjoint(parts)
    assert facts_of(tmp_path / "none")["git"] is None
    assert facts_of(tmp_path / "one").keys() & parts == {"command"}
    for name in ("none", "one"):
        assert [path.name for path in (tmp_path / name).iterdir()] == ["run.json"]


def test_without_git_or_a_repository_the_run_says_so(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", str(tmp_path / "train.py"), raising=False
    )
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with make_logger().open(tmp_path / "outside"):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    with make_logger().open(tmp_path / "without"):
        pass
    outside, without = facts_of(tmp_path / "outside"), facts_of(tmp_path / "without")
    assert (outside["status"], outside["git"]) == (without["status"], without["git"])
    assert outside["git"] is None
    assert outside["code"]["missing"].startswith("git rev-parse: fatal: not a git repository")
    assert without["code"]["missing"] == "git could not be started: FileNotFoundError"


def test_a_repository_without_a_commit_and_one_with_renames(
    tmp_path: Path, repository: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet", "--initial-branch=main")
    found = code_of([empty], TIMEOUT)
    assert (found.version, found.diff, found.facts["commit"]) == (None, None, None)
    git(repository, "mv", "train.py", "learn.py")
    (repository / "ignored").mkdir()
    (repository / "ignored" / "x").touch()
    found = code_of([tmp_path / "gone", repository], TIMEOUT)
    assert (found.facts["changed"], found.facts["untracked_files"]) == (1, ["ignored/"])
    assert found.diff is not None
    assert "rename to learn.py" in found.diff


def test_a_large_diff_is_cut_at_a_line(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_facts, "MOST_DIFF_BYTES", 400)
    monkeypatch.setattr(git_facts, "MOST_UNTRACKED", 2)
    (repository / "train.py").write_text("".join(f"x = {i}\n" for i in range(5000)))
    for name in "abcd":
        (repository / name).touch()
    found = code_of([repository], TIMEOUT)
    assert found.cut
    assert found.diff is not None
    assert found.diff.startswith("diff --git a/train.py b/train.py\n")
    assert 300 < len(found.diff) <= 400
    assert found.diff.endswith("\n")
    assert (found.facts["untracked"], found.facts["untracked_files"]) == (4, ["a", "b"])


def test_a_git_that_hangs_is_ended(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(what_ran, "SECONDS", 0.2)
    with make_logger().open(tmp_path / "run"):
        pass
    facts = facts_of(tmp_path / "run")
    assert facts["code"] == {"missing": "git took too long"}
    assert facts["packages"]["number"] > 10  # the others are there


def test_a_part_that_fails_is_named_and_the_run_goes_on(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Any) -> list[str]:
        raise OSError("no such disk")

    monkeypatch.setattr(what_ran, "installed", fails)
    with make_logger().open(tmp_path / "run") as run:
        run.log({"x": 1.0}, step=0)
    facts = facts_of(tmp_path / "run")
    assert facts["packages"] == {"missing": "OSError: no such disk"}
    assert (facts["status"], facts["arrived"]) == ("finished", 1)
    assert facts["command"]["directory"] == str(Path.cwd())


def test_a_run_that_failed_before_its_first_record_leaves_no_files(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError), make_logger().open(tmp_path / "run"):
        _ = 1 / 0
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


def test_a_companion_that_fails_is_logged_once_and_left_out(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class Fails(Companion):
        def begin(self, run: RunAccess) -> None:
            calls.append(run.info.name)

        def note(self, events: Any) -> None:
            calls.append("note")
            raise RuntimeError("broken")

    logger = make_logger()
    monkeypatch.setattr("jaxlog._logger.companions_of", lambda _, **__: [Fails()])
    with caplog.at_level(logging.WARNING, "jaxlog"), logger.open(name="mine") as run:
        for step in range(3):
            run.log({"x": 1.0}, step=step)
            run.flush()
    assert calls == ["mine", "note"]
    assert [record.getMessage() for record in caplog.records] == [
        "jaxlog: run mine: Fails failed; the run goes on without it"
    ]
    assert len(run.sink("memory").metrics) == 3


def test_flags_that_differ_from_their_defaults() -> None:
    found = changed_flags()
    assert found["jax_num_cpu_devices"] == 4
    assert found["jax_numpy_dtype_promotion"] == "strict"
    assert "jax_enable_x64" not in found
    before = jax.config.values["jax_debug_nans"]
    jax.config.update("jax_debug_nans", True)
    try:
        assert changed_flags().items() - found.items() == {("jax_debug_nans", True)}
    finally:
        jax.config.update("jax_debug_nans", before)


def test_the_child_of_a_fork_does_not_wait_for_the_thread(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def waits(_: Any) -> list[str]:
        reached.set()
        go_on.wait(TIMEOUT)
        return ["x==1"]

    monkeypatch.setattr(what_ran, "installed", waits)
    run = make_logger().open(tmp_path / "run")
    assert reached.wait(TIMEOUT)
    with pytest.warns(RuntimeWarning, match="fork"):
        child = os.fork()
    if child == 0:
        try:
            run.close()
        finally:
            os._exit(0 if not run.writes else 1)
    go_on.set()
    _, status = os.waitpid(child, 0)
    run.close()
    assert status == 0
    assert (tmp_path / "run" / "program" / "packages.txt").read_text() == "x==1\n"


def test_the_command_of_a_worker_is_that_of_the_program_that_started_it(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "import jaxlog\n"
        "def work(path):\n"
        "    with jaxlog.Logger({'sinks': [{'kind': 'jsonl'}]}).open(path):\n"
        "        pass\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context(sys.argv[1])\n"
        "    worker = context.Process(target=work, args=(sys.argv[2],))\n"
        "    worker.start()\n"
        "    worker.join()\n"
        "    sys.exit(worker.exitcode)\n"
    )
    for method in ("spawn", "forkserver"):
        run = tmp_path / method
        subprocess.run([sys.executable, program, method, run], check=True, timeout=120)
        words = facts_of(run)["command"]["words"]
        assert words[1:] == [str(program), method, str(run)]
