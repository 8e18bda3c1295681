"""`jaxlog.diff` and `jaxlog diff`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import jaxlog
from jaxlog._cli.main import main
from tests.conftest import MakeLogger
from tests.sinks.two_lanes import train

DIFF = """\
diff --git a/train.py b/train.py
index 1111111..{blob} 100644
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-lr = 1
+lr = {lr}
"""


@pytest.fixture
def runs(make_logger: MakeLogger, tmp_path: Path) -> tuple[Path, Path]:
    """Two runs that differ in something of each section."""
    found = tmp_path / "a", tmp_path / "b"
    for path, lr in zip(found, (0.1, 0.2), strict=True):
        logger = make_logger(log_frequency=int(10 * lr), sinks=[{"kind": "jsonl"}])
        config = {"lr": lr, "net": {"layers": [2, 3], "bias": True}, "odd": float("nan")}
        with logger.open(path, config=config | ({} if lr == 0.1 else {"new": None})):
            pass
        facts = json.loads((path / "run.json").read_text())
        facts["command"]["words"] = ["python", "train.py", f"--lr={lr}"]
        facts["code"] = {"commit": "abc", "branch": "main", "diff": "program/code.diff"}
        facts["packages"] = {"file": "program/packages.txt", "number": 2}
        facts["environment"]["flags"] = {} if lr == 0.1 else {"jax_enable_x64": True}
        (path / "run.json").write_text(json.dumps(facts))
        (path / "program" / "code.diff").write_text(DIFF.format(lr=lr, blob=f"{lr:.5f}"[2:]))
        (path / "program" / "packages.txt").write_text(
            f"jax==0.1{lr}\nnumpy==2.0  # file:///x\n" + ("optax==1\n" if lr == 0.1 else "")
        )
    return found


def test_each_section_has_what_differs(runs: tuple[Path, Path]) -> None:
    found = jaxlog.diff(*runs)
    assert found
    assert found.names == (str(runs[0]), str(runs[1]))
    assert found.sections == {
        "run": {},
        "config": {"lr": {"a": 0.1, "b": 0.2}, "new": {"b": None}},
        "settings": {"log_frequency": {"a": 1, "b": 2}},
        "command": {"words": {"a": "python train.py --lr=0.1", "b": "python train.py --lr=0.2"}},
        "code": {},
        "packages": {"jax": {"a": "0.10.1", "b": "0.10.2"}, "optax": {"a": "1"}},
        "environment": {"flags.jax_enable_x64": {"b": True}},
    }
    assert [line for line in found.code if line[:2] in ("-+", "++")][1:] == [
        "-+lr = 0.1",
        "++lr = 0.2",
    ]
    assert found.notes == ()
    html = found._repr_html_()
    assert "<td" in html
    assert "jax_enable_x64" in html
    one, other = map(jaxlog.read_run, runs)
    assert one.diff(other).to_dict() == found.to_dict()


def test_a_run_does_not_differ_from_its_copy(runs: tuple[Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(runs[0], tmp_path / "copy")
    found = jaxlog.diff(runs[0], copy)
    assert not found
    assert str(found).splitlines()[2:] == ["no difference in what was compared"]
    assert main(["diff", str(runs[0]), str(copy)]) == 0


def test_only_some_sections(runs: tuple[Path, Path]) -> None:
    found = jaxlog.diff(*runs, only=["code"])
    assert (list(found.sections), bool(found)) == (["code"], True)
    assert not jaxlog.diff(*runs, only=["run"])
    with pytest.raises(ValueError, match="only: got 'lr', expected some of run, config, sett"):
        jaxlog.diff(*runs, only=["lr"])


def test_what_is_not_known_is_said(
    make_logger: MakeLogger, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    with make_logger(what_ran=[]).open(tmp_path / "c"):
        pass
    found = jaxlog.diff(runs[0], tmp_path / "c")
    for section in ("command", "code", "packages", "environment"):
        note = f"{tmp_path / 'c'} has no record of its {section}, so it was not compared"
        assert note in found.notes
        assert found.sections[section] == {}
    assert (
        "neither run has a record of its code" in jaxlog.diff(tmp_path / "c", tmp_path / "c").notes
    )
    facts = json.loads((runs[0] / "run.json").read_text())
    facts["code"] |= {"missing": "git took too long", "diff_is_cut": True}
    (runs[0] / "run.json").write_text(json.dumps(facts))
    (runs[1] / "program" / "code.diff").unlink()
    notes = jaxlog.diff(*runs, only=["code"]).notes
    assert notes == (
        f"the code of {runs[0]} is not all known: git took too long",
        f"the diff of {runs[0]} is cut",
        f"the diff of {runs[1]} is missing",
    )


def test_a_resumed_run_is_compared_by_its_last_session(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    for lr in (1, 2):
        with make_logger().open(tmp_path / "a", config={"lr": lr}, if_exists="resume"):
            pass
    with make_logger().open(tmp_path / "b", config={"lr": 2}):
        pass
    found = jaxlog.diff(tmp_path / "a", tmp_path / "b", only=["config"])
    assert not found
    assert found.notes == (f"{tmp_path / 'a'} was resumed once; its last session was compared",)


@pytest.mark.parametrize(
    "file", ["../b/program/code.diff", "/etc/passwd", "program/../run.json", "program/x.diff", 3]
)
def test_a_run_cannot_name_a_file_that_is_not_its_own(runs: tuple[Path, Path], file: Any) -> None:
    facts = json.loads((runs[0] / "run.json").read_text())
    facts["code"]["diff"] = facts["packages"]["file"] = file
    (runs[0] / "run.json").write_text(json.dumps(facts))
    found = jaxlog.diff(*runs)
    assert f"the diff of {runs[0]} is missing" in found.notes
    assert f"{runs[0]} has no record of its packages, so it was not compared" in found.notes
    assert not any("root:" in line for line in found.code)


def test_the_command_prints_it_and_its_exit_code_is_that_of_diff(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = map(str, runs)
    assert main(["diff", a, b]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[:11] == [
        f"--- {a}",
        f"+++ {b}",
        "config",
        "  lr",
        "  - 0.1",
        "  + 0.2",
        "  new",
        "  + None",
        "settings",
        "  log_frequency",
        "  - 1",
    ]
    assert "\x1b" not in out
    assert main(["diff", a, b, "--json", "--only", "config, packages"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["a"], found["b"], found["differ"]) == (a, b, True)
    assert found["sections"] == {
        "config": {"lr": {"a": 0.1, "b": 0.2}, "new": {"b": None}},
        "packages": {"jax": {"a": "0.10.1", "b": "0.10.2"}, "optax": {"a": "1"}},
    }
    assert main(["diff", a, f"{b}x"]) == 2
    assert "does not exist, expected the directory of a run" in capsys.readouterr().err
    assert main(["diff", a, b, "--only", "lr"]) == 2
    assert capsys.readouterr().err.startswith("jaxlog: diff: --only: got 'lr', expected some of")


def test_texts_of_a_run_cannot_act_on_a_terminal(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads((runs[0] / "run.json").read_text())
    facts["config"]["lr\x1b[2J"] = "\x1b]0;title\x07\nline"
    facts["command"]["words"] = ["\x1b[31m"]
    (runs[0] / "run.json").write_text(json.dumps(facts))
    (runs[0] / "program" / "code.diff").write_text(DIFF.format(lr="\t\x1b[2J\u202e", blob="1" * 7))
    assert main(["diff", *map(str, runs)]) == 1
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_a_run_that_was_killed_does_not_differ_by_what_only_the_end_of_a_run_writes(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    paths, killed = (tmp_path / "killed", tmp_path / "finished"), b""
    for path in paths:
        logger = make_logger(sinks=[{"kind": "jsonl"}])
        with logger.open(path) as run:
            train(logger, 1)
            run.flush()
            if path.name == "killed":
                killed = (path / "run.json").read_bytes()
    facts = json.loads((paths[1] / "run.json").read_bytes())
    assert "lane_counts" in facts.keys() - json.loads(killed).keys()
    (paths[0] / "run.json").write_bytes(killed)
    assert jaxlog.diff(*paths).sections["run"] == {}
