"""`jaxlog import` of CSV files: what pandas reads from them is what the run has."""

from __future__ import annotations

import csv
import importlib
import io
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._cli.main import main
from tests.conftest import refuse_locks

NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.none(),
)


def lines(run: Path, call: str = "history") -> list[dict[str, Any]]:
    text = (run / f"{call}_metrics.jsonl").read_text()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def value_on(line: dict[str, Any], name: str) -> Any:
    value = line["metrics"].get(name)
    return float(line["nonfinite"][name]) if value is None and name in line["metrics"] else value


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2**63 - 1), st.sampled_from(["a", "b c", "-1", "0.5"]), NUMBERS),
        min_size=1,
        max_size=8,
    ),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
        lambda name: name.strip() == name and name.lower() not in ("step", "lane", "env_step")
    ),
    delimiter=st.sampled_from(",;\t"),
)
def test_every_number_is_there_once_and_exactly(
    rows: list[tuple[int, str, Any]],
    name: str,
    delimiter: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["step", "lane", name, "other"])
    writer.writerows([*row, number] for number, row in enumerate(rows))
    (folder / "a.csv").write_text(text.getvalue(), newline="")
    [done] = jaxlog.import_runs(folder / "a.csv", folder / "runs", labels=["lane"])
    assert (done.lines, done.left_out, done.cut) == (len(rows), {}, ())
    found = lines(done.path)
    assert [one["step"] for one in found if value_on(one, "other") is None] == []
    for line in found:
        step, lane, value = rows[value_on(line, "other")]
        assert (line["step"], str(line["labels"]["lane"])) == (step, lane)
        read = value_on(line, name)
        same = read == value or (
            isinstance(value, float) and math.isnan(value) and math.isnan(read)
        )
        assert same, (read, value)
    assert sorted(value_on(one, "other") for one in found) == [*range(len(rows))]
    assert len({one["lane"] for one in found}) == len({lane for _, lane, _ in rows})


def test_lanes_times_and_environment_steps(tmp_path: Path) -> None:
    (tmp_path / "ppo.tsv").write_text(
        "Epoch\ttimestamp\tenv\tseed\tenv_step\treturn\t\n"
        "0\t100.5\tmaze\t1\t8\t1.5\t0\n"
        "1\t101.5\tmaze\t1\t16\tnan\t1\n"
        "0\t200.5\tkey\t2\t8\t3\t2\n"
        "1\t201.5\tkey\t2\t16\t\t3\n"
    )
    [done] = jaxlog.import_runs(
        tmp_path / "ppo.tsv", tmp_path / "runs", labels=["env", "seed"], call="train"
    )
    assert str(done) == f"{done.path}: 4 lines from csv; left out: 1 column without a name"
    run = jaxlog.read_run(done.path)
    assert run.status == "ended"
    assert (run.calls, run.path.name) == (("train",), "ppo")
    found = lines(done.path, "train")
    assert [(one["timestamp"], one["step"], one["env_step"], one["lane"]) for one in found] == [
        (200.5, 0, 8, 0),
        (200.5, 0, 8, 1),
        (201.5, 1, 16, 0),
        (201.5, 1, 16, 1),
    ]
    assert found[0]["labels"] == {"env": "maze", "seed": 1}
    assert found[3]["metrics"] == {}  # an empty cell
    facts = json.loads((done.path / "run.json").read_bytes())
    assert (facts["started"], facts["seconds"]) == ("1970-01-01T00:03:20+00:00", 1.0)
    assert facts["health"]["train"]["keys"]["return"]["dead"] == {"0": 1}
    assert [one["labels"] for one in facts["lane_labels"]] == [
        {"env": "maze", "seed": 1},
        {"env": "key", "seed": 2},
    ]


def test_an_import_again_replaces_what_has_grown_and_leaves_the_rest_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, runs = tmp_path / "a.csv", tmp_path / "runs"
    source.write_text("step,loss\n0,1.5\n")
    words = ["import", str(source), "--to", str(runs)]
    assert main(words) == 0
    run = runs / "a"
    assert main(["tag", str(run), "good"]) == 0
    assert main(["sync", str(run), "--to", "tensorboard"]) == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    written = source.stat().st_mtime_ns
    with source.open("a") as file:
        file.write("1,0.25\n")
    os.utime(source, ns=(written, written))  # lines have the time of the file
    assert main(words) == 0
    assert main(["sync", str(run), "--to", "tensorboard"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [text.partition(": ")[2] for text in out.splitlines()] == [
        "1 line from csv",
        "good",
        "sent 1 event to tensorboard",
        "csv, unchanged since it was imported",
        "2 lines from csv, in place of the earlier ones",
        "sent 1 new event to tensorboard",
    ]
    [listed] = jaxlog.find_runs(runs, where="tag=good").table()["tags"].to_list()
    assert "good" in listed
    assert [line["metrics"]["loss"] for line in lines(run)] == [1.5, 0.25]
    assert [path.name for path in runs.iterdir()] == ["a"]


def test_the_name_of_another_run_is_not_taken(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("step,loss\n0,1\n")
    sources = [tmp_path / "one", tmp_path / "two"]
    for state in ("new", "same"):
        found = jaxlog.import_runs(sources, tmp_path / "runs")
        assert [(one.path.name, one.state) for one in found] == [("a", state), ("a-2", state)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty, expected a header and rows"),
        ("step,loss\n", "has a header and no rows; there is nothing to bring in"),
        ("loss,lr\n1,2\n", "has no column of the step, such as step, _step, global_step, update; "
         "name it with --step (step=), as the columns are 'loss', 'lr'"),
        ("step,loss\n0,low\n", "line 2: 'loss': got 'low', expected a number; if the column tells "
         "lanes apart, name it in --labels (labels=), or leave it out with --leave-out "
         "(leave_out=)"),
        ("step,loss\n0,1\n1.5,2\n", "line 3: 'step': got '1.5', expected the step, an integer"),
        ("step,loss\n-1,2\n", "line 2: 'step': got -1, expected 0 to 2**63 - 1"),
        ("step,loss\n0,1,2\n", "line 2: got 3 cells, expected 2, as many as the header has"),
        ("step,loss\n0\n1,2\n", "line 2: got 1 cell, expected 2, as many as the header has"),
        ("step,a,a\n0,1,2\n", "got two columns 'a'; rename one of them"),
        ("step,n\n0,99999999999999999999\n", "line 2: 'n': got '99999999999999999999', expected a "
         "number; if"),
        ("step,timestamp,x\n0,Monday,1\n", "line 2: 'timestamp': got 'Monday', expected the time "
         "in seconds since 1970; name"),
        ('step,x\n0,"1"2\n', "line 2: ',' expected after '\"'"),
        ("step,x\n0,\0\n", "has the byte 0 at offset 9, so it is no text"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_an_error_and_leaves_nothing(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.csv"
    source.write_text(text)
    assert main(["import", str(source), "--to", str(tmp_path / "runs")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"jaxlog: import: {source}: {said}")
    assert source.read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("data", "rows", "cut"),
    [
        (b"step,x\n0,1\n1,2", 2, None),
        (b"step,x\n0,1\n1", 1, "ends within line 3, which is left out"),
        (b'step,x\n0,1\n1,"2', 1, "ends within line 3, which is left out"),
        (b"step,\xc3\xa4\n0,1\n1,2\n\xc3", 2, "ends within a character, at byte 16"),
    ],
)
def test_the_whole_rows_of_a_cut_file_are_taken(
    data: bytes, rows: int, cut: str | None, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    [done] = jaxlog.import_runs(tmp_path / "a.csv", tmp_path / "runs")
    assert done.lines == rows
    assert done.cut == (() if cut is None else (f"{tmp_path / 'a.csv'}: {cut}",))


def test_the_good_files_beside_a_bad_one_are_brought_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("a", "step,x\n0,1\n"), ("b", "step,x\n0,y\n"), ("c", "step,x\n0,2\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    assert main(["import", str(tmp_path), "--to", str(tmp_path / "runs")]) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert err.splitlines()[-1] == "jaxlog: import: 1 of 3 runs were not brought in"
    with pytest.raises(ValueError, match=re.escape("b.csv: line 2: 'x': got 'y'")):
        jaxlog.import_runs(tmp_path, tmp_path / "runs")
    assert len(jaxlog.read_runs(tmp_path / "runs")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "got no sources, expected files or directories"),
        (["runs.txt"], "runs.txt: is no file of W&B or TensorBoard, and has not the ending .csv; "
         "if it is one nevertheless, say which: --from csv (kind=)"),
        (["empty"], "empty: has no files of W&B (*.wandb), TensorBoard (*tfevents*) or CSV "
         "(*.csv)"),
        (["empty", "--from", "wandb"], "empty: has no files run-*.wandb of W&B"),
        (["both"], "both: has files of wandb and tensorboard; say which: --from wandb (kind=)"),
        (["a.csv", "--step", "n"], "a.csv: has no column 'n'; the columns are 'step', 'x'"),
        (["a.csv", "--call", "a b"], "name: got 'a b', expected up to 100 letters"),
    ],
)  # fmt: skip
def test_sources_that_are_none(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "both"):
        (tmp_path / folder).mkdir()
    (tmp_path / "runs.txt").write_text("step,x\n0,1\n")
    (tmp_path / "a.csv").write_text("step,x\n0,1\n")
    (tmp_path / "both" / "run-x.wandb").touch()
    (tmp_path / "both" / "events.out.tfevents.1.x").touch()
    assert main(["import", *words, "--to", "out"]) == 2
    assert capsys.readouterr().err.startswith(f"jaxlog: import: {said}")
    assert not (tmp_path / "out").exists()
    assert main(["import", "runs.txt", "--to", "out", "--from", "csv"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "module", "said"),
    [
        ("run-x.wandb", b":W&B", "wandb.proto.wandb_internal_pb2", "W&B's files cannot be read "
         "without the package wandb; install it with: pip install 'jaxlog[import]'"),
        ("events.out.tfevents.1", b"", "crc32c", "TensorBoard's files cannot be read without the "
         "package crc32c; install it with: pip install 'jaxlog[import]'"),
    ],
)  # fmt: skip
def test_a_missing_package_is_named_with_what_installs_it(
    name: str,
    content: bytes,
    module: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["import", str(tmp_path), "--to", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err == f"jaxlog: import: {said}\n"


def test_show_says_the_source_of_a_run_and_what_it_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.csv"
    source.write_text("step,loss,who\n0,1,x\n1,2,")
    source.write_bytes(source.read_bytes() + "é".encode()[:1])
    [run] = jaxlog.import_runs(source, tmp_path / "runs", leave_out=["who"])
    assert main(["show", str(run.path)]) == 0
    known = json.loads((run.path / "run.json").read_bytes())["imported"]
    shown = " ".join(capsys.readouterr().out.split())
    # A long path is folded, so spaces are not compared.
    for text in (
        f"imported from csv · {source} · at {known['time']}",
        f"cut {source}: ends within a character, at byte 24",
        "left out 1 column who",
    ):
        assert text.replace(" ", "") in shown.replace(" ", "")


@pytest.mark.parametrize("edited", [3, {}, {"files": 1, "left_out": [], "cut": {}, "from": None}])
def test_show_passes_over_an_edited_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edited: Any
) -> None:
    (tmp_path / "a.csv").write_text("step,loss\n0,1\n")
    [run] = jaxlog.import_runs(tmp_path / "a.csv", tmp_path / "runs")
    file = run.path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"imported": edited}))
    assert main(["show", str(run.path)]) == 0
    assert "imported" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([0, 0, 1, 2], [0, 0, 1, 2]),
        ([0, 1, 2, 1, 2, 3], [0, 1, 2, 1, 2, 3]),  # a program that was restarted at step 1
        ([2, 0, 1], [0, 1, 2]),
    ],
)
def test_lines_after_a_repeated_step_stay_after_it(
    tmp_path: Path, steps: list[int], expected: list[int]
) -> None:
    rows = "".join(f"{step},{place}\n" for place, step in enumerate(steps))
    (tmp_path / "a.csv").write_text(f"step,loss\n{rows}")
    [run] = jaxlog.import_runs(tmp_path / "a.csv", tmp_path / "runs")
    assert [line["step"] for line in lines(run.path)] == expected


def test_the_runs_that_are_there_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        (tmp_path / f"{number}.csv").write_text("step,x\n0,1\n")
    jaxlog.import_runs(tmp_path, tmp_path / "runs")
    earlier: Any = importlib.import_module("jaxlog._importing.earlier")
    asked: list[Path] = []
    key_of = earlier.key_of

    def counted(run: Path) -> str | None:
        asked.append(run)
        return key_of(run)

    monkeypatch.setattr(earlier, "key_of", counted)
    assert {one.state for one in jaxlog.import_runs(tmp_path, tmp_path / "runs")} == {"same"}
    assert len(asked) <= 2 * 9


@pytest.mark.parametrize("locks", [True, False])
@pytest.mark.parametrize("again", [True, False])
def test_of_two_imports_of_a_run_at_once_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool, again: bool
) -> None:
    """Also on a file system without locks, and also if the run is there and has changed."""
    source, runs = tmp_path / "a.csv", tmp_path / "runs"
    if not locks:
        refuse_locks(monkeypatch)
    source.write_text("step,loss\n0,1\n")
    if again:
        jaxlog.import_runs(source, runs)
        source.write_text("step,loss\n0,1\n1,2\n")
    writing: Any = importlib.import_module("jaxlog._importing.writing")
    written, refused = writing._write_draft, []

    def while_another_imports(*arguments: Any) -> Any:
        monkeypatch.setattr(writing, "_write_draft", written)
        expected = "has a run that is open" if locks else "another process imports this run"
        with pytest.raises(FileExistsError, match=expected) as error:
            jaxlog.import_runs(source, runs)
        refused.append(error)
        return written(*arguments)

    monkeypatch.setattr(writing, "_write_draft", while_another_imports)
    [run] = jaxlog.import_runs(source, runs)
    assert len(refused) == 1
    assert [line["step"] for line in lines(run.path)] == ([0, 1] if again else [0])
    assert sorted(path.name for path in runs.iterdir()) == ["a"]


def test_an_import_leaves_the_folder_of_another_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other import begins after this one has moved its run to its place."""
    (tmp_path / "a.csv").write_text("step,loss\n0,1\n")
    others = tmp_path / "runs" / ".importing" / "a"
    moved = Path.rename

    def rename(path: Path, target: Path) -> Path:
        place = moved(path, target)
        if path == others:
            others.mkdir()
            (others / "history_metrics.jsonl").write_text("of another\n")
        return place

    monkeypatch.setattr(Path, "rename", rename)
    jaxlog.import_runs(tmp_path / "a.csv", tmp_path / "runs")
    assert (others / "history_metrics.jsonl").read_text() == "of another\n"
