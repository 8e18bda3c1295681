"""`jaxlog report`: it writes a file or says why not, and overwrites none by accident."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Command, Logged, refused_without
from tests.report.pages import Parsed


def test_it_writes_one_file_and_says_which(
    command: Command, logged: Logged, tmp_path: Path
) -> None:
    file = tmp_path / "ü report.html"
    code, out, err = command("report", logged.directory, "-o", file)
    assert (code, err) == (0, "")
    assert out.startswith(f"{file}: 1 run, ")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_text("utf-8").startswith("<!doctype html>")
    answers = Parsed(file.read_text("utf-8")).answers().values()
    assert any("ünïcode · 日本".encode() in body for body in answers)


def test_several_runs_and_patterns(command: Command, logged: Logged, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        lines = (logged.directory / "batch_metrics.jsonl").read_bytes()
        (tmp_path / "runs" / name / "batch_metrics.jsonl").write_bytes(lines)
    for runs in (
        [tmp_path / "runs"],
        [tmp_path],  # also runs in its subdirectories, as `show` lists them
        [tmp_path / "runs/*"],
        [tmp_path / "runs/a", tmp_path / "runs/b"],
    ):
        code, out, _ = command("report", *runs, "-o", tmp_path / "page.html", "--force")
        assert code == 0
        assert "page.html: 2 runs, " in out


def test_a_file_is_overwritten_only_with_force(
    command: Command, logged: Logged, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text("mine")
    code, out, err = command("report", logged.directory, "-o", file)
    assert (code, out) == (2, "")
    remedy = "pass --force to allow it, or another --output"
    assert err == f"jaxlog: {file}: would be overwritten; {remedy}\n"
    assert file.read_text() == "mine"
    assert command("report", logged.directory, "-o", file, "--force").code == 0
    assert file.read_text() != "mine"


def test_bad_arguments_are_errors(command: Command, logged: Logged, tmp_path: Path) -> None:
    new = tmp_path / "page.html"
    for arguments, why in (
        (("-o", new), "report: got no run; give the directories of one or more runs"),
        ((tmp_path / "none", "-o", new), "does not exist, expected the directory of a run"),
        ((logged.directory, "-o", tmp_path / ("x" * 300)), "File name too long"),
        ((logged.directory, "-o", tmp_path), "is a directory, expected a file"),
        ((logged.directory, "-o", tmp_path / "no" / "x.html"), f"no directory {tmp_path / 'no'}"),
    ):
        code, out, err = command("report", *arguments)
        assert (code, out) == (2, "")
        assert why in err
        assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_complete_or_not_there(logged: Logged, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("mine")
    small = 'ulimit -f 8 && exec "$0" "$@"'  # no file may grow beyond some KiB
    command = [sys.executable, "-m", "jaxlog", "report", logged.directory, "-o", file, "--force"]
    done = subprocess.run(
        ["sh", "-c", small, *command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"jaxlog: {file}: cannot be written: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert file.read_text() == "mine"


def test_broken_lines_are_mentioned(command: Command, logged: Logged, tmp_path: Path) -> None:
    lines = (logged.directory / "batch_metrics.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run").mkdir()
    lines[3] = b"broken\n"
    (tmp_path / "run" / "batch_metrics.jsonl").write_bytes(b"".join(lines)[:-20])
    code, _, err = command("report", tmp_path / "run", "-o", tmp_path / "page.html")
    assert code == 0
    assert err.startswith("jaxlog: ")
    assert "line 4" in err
    answers = Parsed((tmp_path / "page.html").read_text()).answers().values()
    assert any(b"line 4" in body for body in answers)


@pytest.mark.parametrize("package", ["polars", "jinja2"])
def test_without_its_extra_it_says_what_to_install(
    package: str, logged: Logged, tmp_path: Path
) -> None:
    refused_without(package, "report", logged.directory, "-o", tmp_path / "page.html")
