"""`jaxlog check` and `jaxlog schema`: their output and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import jaxlog
from jaxlog._settings.reference import reference
from tests.cli.conftest import ROOT, Command
from tests.settings.test_loading import BAD_FILES

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def test_the_settings_files_of_the_project_are_valid(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    names = [f"configs/{path.name}" for path in CONFIGS]
    said = "".join(f"{name}: ok\n" for name in names)
    assert command("check", *names) == (0, said, "")
    assert command("check", "configs", "--strict") == (0, said, "")


@pytest.mark.parametrize("case", BAD_FILES)
def test_the_problems_are_those_of_load_config(
    case: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(BAD_FILES[case][0], encoding="utf-8")
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config("bad.yaml")
    assert command("check", "bad.yaml") == (1, f"{caught.value}\n", "")


def test_a_bad_file_does_not_hide_the_others(command: Command, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bäd.yml"
    good.write_text("log_frequency: 3")
    bad.write_text("log_frequency: 0\nnum_samples: x")
    (tmp_path / "schema.json").write_text("{")
    code, out, _ = command("check", tmp_path, tmp_path / "none.yaml", good)
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith(f"{bad}:1:1: log_frequency: got 0: Input")
    assert lines[1].startswith(f"{bad}:2:1: num_samples: got 'x': Input")
    assert lines[2] == f"{good}: ok"
    assert lines[3].startswith(f"{tmp_path / 'none.yaml'}: there is no such file")
    assert lines[4] == f"{good}: ok"
    assert len(lines) == 5


def test_a_file_that_cannot_be_read_is_one_more_problem(command: Command, tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("log_frequency: 3")
    code, out, err = command("check", f"{tmp_path}/{'long' * 100}.yaml", good)
    assert (code, err) == (1, "")
    first, second = out.splitlines()
    assert first.endswith("yaml'")
    assert ": cannot be read: " in first
    assert second == f"{good}: ok"


def test_warnings_fail_only_with_strict(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("queue_size: 100\n")
    code, out, err = command("check", path)
    (line,) = out.splitlines()
    assert line.startswith(f"warning: {path}:1:1: queue_size: ")
    assert (code, err) == (0, "")
    assert command("check", path, "--strict").code == 1
    assert command("check", path, path).out == f"{line}\n{line}\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "check: got no files; give settings files, or directories that have some"),
        (("empty",), "empty: this directory has no *.yaml or *.yml file"),
    ],
)
def test_nothing_to_check_is_an_error(
    arguments: tuple[str, ...],
    why: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert command("check", *arguments) == (2, "", f"jaxlog: {why}\n")


def test_the_schema_is_that_of_the_project(command: Command) -> None:
    said = command("schema")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == json.loads((ROOT / "configs" / "schema.json").read_text())
    assert command("schema", "--to", "markdown").out == reference().rstrip("\n") + "\n"


def test_a_pipe_in_a_directory_is_skipped(tmp_path: Path, command: Command) -> None:
    (tmp_path / "good.yaml").write_text("log_frequency: 1")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert command("check", tmp_path) == (0, f"{tmp_path}/good.yaml: ok\n", "")
