"""`jaxlog tag`, `note`, `rename` and `rm`, also beside a live run."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import jaxlog
from jaxlog._host.annotations import ANNOTATIONS_FILE, annotate, annotations_of
from jaxlog._watching.observed_run import observed
from jaxlog._watching.run_list import RunList
from tests.cli.conftest import ROOT, Command
from tests.conftest import MakeLogger


@pytest.fixture
def run(make_logger: MakeLogger, tmp_path: Path) -> Path:
    """A run that has ended."""
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "runs/one", tags=("draft",)) as run:
        run.log({"loss": 1.0}, step=0)
    return tmp_path / "runs/one"


def test_tags_are_added_and_removed(command: Command, run: Path) -> None:
    assert command("tag", run, "best", "to write") == (0, f"{run}: draft · best · to write\n", "")
    assert command("tag", run, "--remove", "draft", "best").out == f"{run}: to write\n"
    assert command("tag", run, "draft").out == f"{run}: draft · to write\n"
    assert observed(run).tags == ("draft", "to write")
    assert json.loads((run / "run.json").read_text())["tags"] == ["draft"]
    assert "tags       draft · to write" in command("show", run).out


def test_all_runs_that_match_are_tagged(
    command: Command, run: Path, make_logger: MakeLogger
) -> None:
    with make_logger(sinks=[{"kind": "jsonl"}]).open(run.parent / "two") as two:
        two.log({"loss": 2.0}, step=0)
    code, out, _ = command("tag", run.parent, "good", "--where", "loss<1.5")
    assert (code, out) == (0, f"{run}: draft · good\n")
    assert jaxlog.find_runs(run.parent, "tag=good").names == ("one",)


def test_a_note_and_a_name_are_kept(command: Command, run: Path, tmp_path: Path) -> None:
    assert command("note", run).out == "\n"
    assert command("note", run, "with the new\nbaseline") == (0, "", "")
    assert command("rename", run, "the  winner") == (0, "", "")
    assert command("note", run).out == "with the new\nbaseline\n"
    assert command("show", run).out.startswith("the winner · finished")
    assert "note       with the new baseline" in command("show", run).out
    assert jaxlog.find_runs(run.parent, "winner note:baseline").names == ("one",)
    code, out, _ = command("runs", run.parent)
    assert (code, out.splitlines()[1].split()[-3:]) == (0, ["name", "tags", "note"])
    assert command("rename", run, "") == (0, "", "")
    moved = run.rename(tmp_path / "runs/other")
    assert observed(moved).name == "other"  # the name of the directory where it began is no name
    assert observed(moved).note == "with the new\nbaseline"


def test_a_live_run_keeps_them(make_logger: MakeLogger, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "live"
    with make_logger(sinks=[{"kind": "jsonl"}]).open(path, tags=("a",)) as run:
        run.log({"loss": 1.0}, step=0)
        run.flush()
        assert command("tag", path, "b").code == 0
        assert command("note", path, "look").code == 0
        assert command("rm", path, "--yes").code == 2
        run.log({"loss": 1.0, "new": 2.0}, step=1)
    assert observed(path).status == "finished"
    assert (observed(path).tags, observed(path).note) == (("a", "b"), "look")
    with make_logger(sinks=[{"kind": "jsonl"}]).open(path, if_exists="resume") as run:
        run.log({"loss": 1.0}, step=2)
    assert observed(path).tags == ("a", "b")
    with make_logger(sinks=[{"kind": "jsonl"}]).open(path, if_exists="replace") as run:
        run.log({"loss": 1.0}, step=0)
    assert (observed(path).tags, observed(path).note) == ((), "")  # they were those of another run


def test_of_changes_at_once_none_is_lost(run: Path) -> None:
    run_id = observed(run).facts["id"]

    def add(number: int) -> None:
        for turn in range(10):
            tag = f"{number}-{turn}"
            annotate(run, run_id, lambda old, tag=tag: old.with_tags([tag]))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"{number}-{turn}" for number in range(8) for turn in range(10)}
    assert set(annotations_of(run, run_id).tags) == expected
    assert sorted(path.name for path in run.iterdir()) == [
        ANNOTATIONS_FILE, "eval_metrics.jsonl", "run.json",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 3}', '{"run": null, "tags": "a"}'])
def test_a_broken_file_is_no_annotation(run: Path, text: str) -> None:
    (run / ANNOTATIONS_FILE).write_text(text)
    assert observed(run).tags == ("draft",)
    assert observed(run).note == ""


def test_a_link_is_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_text("{}")
    (run / ANNOTATIONS_FILE).symlink_to(tmp_path / "theirs.json")
    assert observed(run).tags == ("draft",)
    with pytest.raises(OSError, match="symbolic link"):
        annotate(run, observed(run).facts["id"], lambda old: old.with_note("x"))
    assert (tmp_path / "theirs.json").read_text() == "{}"


def test_a_table_that_follows_runs_sees_them(command: Command, run: Path) -> None:
    rows = RunList(run.parent)
    rows.look()
    before = rows.version
    rows.look()
    assert rows.version == before
    command("tag", run, "new")
    rows.look()
    assert rows.version > before
    assert rows.rows[0].value_of("tag", 0.0) == ("draft", "new")


def test_rm_asks(run: Path) -> None:
    for answer, code in (("n", 1), ("y", 0)):
        main, side = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "jaxlog", "rm", str(run)],
            stdin=side,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        os.write(main, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=60)
        os.close(main)
        os.close(side)
        assert process.returncode == code
        # With the diff, if the working directory differs from its commit.
        asked = rf"{re.escape(str(run))} \(2 files, 0\.\d MB, finished\)\nRemove 1 run\? \[y/N\] "
        assert re.match(asked, out)
        assert run.exists() == bool(code)
    assert list(run.parent.iterdir()) == []


def test_rm_removes_the_runs_that_match(
    command: Command, run: Path, make_logger: MakeLogger
) -> None:
    two = run.parent / "two"
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    opened = logger.open(two)
    opened.log({"loss": 1.0}, step=0)
    opened.close(ValueError("no"))
    assert command("rm", run.parent, "-w", "status=failed", "-y") == (0, f"removed {two}\n", "")
    assert [path.name for path in run.parent.iterdir()] == ["one"]


def test_rm_refuses_what_it_should_not_remove(command: Command, run: Path, tmp_path: Path) -> None:
    assert command("rm", run).err == (
        "jaxlog: rm: got no terminal to ask for 1 run, expected one; --yes removes without a "
        "question\n"
    )
    (tmp_path / "link").symlink_to(run)
    assert "got a link, expected the directory itself" in command("rm", tmp_path / "link", "-y").err
    assert "got a directory of 1 run," in command("rm", run.parent, "-y").err
    assert "no run of 1 matches" in command("rm", run.parent, "-w", "status=failed", "-y").err
    inside = run / "inside"
    inside.mkdir()
    (inside / "run.json").write_text("{}")
    assert "has 1 run below it, expected none" in command("rm", run, "-y").err
    assert (run / "run.json").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("tag",), "tag: got no tags, expected some to add, or --remove with some"),
        (("tag", "a,b"), "tag: got 'a,b', expected a text without commas"),
        (("tag", " "), "tag: got ' ', expected a text without commas"),
        (("tag", "a", "-w", "x>"), "tag: --where: x>: got no value after >"),
        (("tag", "a", "-w", "losss>1"), "tag: --where: no run has losss; did you mean loss"),
        (("note", "\udcff"), "RUN: got '\\udcff', expected text that is valid Unicode"),
    ],
)
def test_bad_annotations_are_refused(
    command: Command, run: Path, words: tuple[str, ...], text: str
) -> None:
    name, *rest = words
    code, out, err = command(name, run.parent if "-w" in rest else run, *rest)
    assert (code, out) == (2, "")
    assert err.replace(str(run / ANNOTATIONS_FILE), "RUN").startswith(f"jaxlog: {text}")
    assert not (run / ANNOTATIONS_FILE).exists() or observed(run).note == ""
