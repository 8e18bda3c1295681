"""Several runs are found by directories and patterns, and read as one frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import jaxlog
from tests.reading.files import episode, metrics, write


def make(path: Path, **values: float | np.generic) -> Path:
    path.mkdir(parents=True)
    return write(path, [metrics(0, ({"seed": 1}, values))])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for i in (1, 2, 10):
        make(tmp_path / "runs" / f"seed_{i}", loss=float(i))
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "todo.txt").write_text("")
    return tmp_path / "runs"


def test_runs_of_a_directory_or_a_pattern(runs: Path) -> None:
    for where in (runs, str(runs), f"{runs}/*", [runs / f"seed_{i}" for i in (1, 2, 10)]):
        found = jaxlog.read_runs(where)
        assert found.names == ("seed_1", "seed_2", "seed_10")
        assert len(found) == 3
        assert [run.path.name for run in found] == list(found.names)
        assert found.metrics.drop("timestamp").rows() == [
            (f"seed_{i}", 0, 0, 1, float(i)) for i in (1, 2, 10)
        ]
        assert found["seed_2"].metrics["loss"].to_list() == [2.0]
    assert repr(found).splitlines() == [
        "RunsData(3 runs)",
        "run      status   health",
        "seed_1   unknown",
        "seed_2   unknown",
        "seed_10  unknown",
    ]
    with pytest.raises(KeyError, match=r"got 'seed_3', expected one of 'seed_1', 'seed_2'"):
        found["seed_3"]


def test_a_path_may_begin_at_the_home_directory(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(runs.parent))
    for where in ("~/runs", "~/runs/*"):
        assert jaxlog.read_runs(where).names == ("seed_1", "seed_2", "seed_10")
    assert jaxlog.read_run("~/runs/seed_2").metrics["loss"].to_list() == [2.0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("https://bucket/run", "path: got an address of https, expected one of a store"),
        ("", "path: got '', expected a path"),
        ("~nobody-is-called-so/x", "path: got '~nobody-is-called-so/x', and there is no such home"),
    ],
)
def test_an_address_is_no_path(path: str, text: str) -> None:
    for read in (jaxlog.read_run, jaxlog.read_runs):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
            read(path)


def test_one_run_and_one_named_twice(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    assert jaxlog.read_runs("seed_1").names == ("seed_1",)
    assert jaxlog.read_runs(["seed_10", "./seed_*", runs / "seed_2"]).names == (
        "seed_10", "seed_1", "seed_2"
    )  # fmt: skip


def test_names_tell_runs_of_different_directories_apart(tmp_path: Path) -> None:
    for sweep in ("a", "b"):
        make(tmp_path / sweep / "seed_0", loss=0.0)
    found = jaxlog.read_runs(f"{tmp_path}/**/seed_0")
    assert found.names == ("a/seed_0", "b/seed_0")


def test_a_directory_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    make(tmp_path / "lr[0.1]*", loss=1.0)
    assert jaxlog.read_runs(f"{tmp_path}/lr[0.1]*").names == ("lr[0.1]*",)
    assert len(jaxlog.read_run(f"{tmp_path}/lr[0.1]*").metrics) == 1


def test_runs_with_other_columns(tmp_path: Path) -> None:
    make(tmp_path / "a", loss=1.0, only_a=np.int64(3))
    make(tmp_path / "b", loss=np.int64(2), only_b=np.nan)
    (tmp_path / "c").mkdir()
    write(tmp_path / "c", [metrics(0, ({"seed": "x"}, {"loss": 3.0}), name="eval")])
    (tmp_path / "d").mkdir()
    write(tmp_path / "d", [metrics(0, ({"seed": "y"}, {"loss": 4.0}), env_step=7)])
    found = jaxlog.read_runs(tmp_path)
    assert found.calls == ("batch", "eval")
    frame = found.metrics
    assert frame.columns[0] == "run"
    assert frame["run"].to_list() == ["a", "b", "d"]
    assert frame["loss"].to_list() == [1.0, 2.0, 4.0]
    assert frame["seed"].to_list() == ["1", "1", "y"]
    assert frame["only_a"].to_list() == [3, None, None]
    assert frame["env_step"].to_list() == [None, None, 7]
    assert found.metrics_of("eval")["run"].to_list() == ["c"]
    assert found.over_lanes.is_empty()
    with pytest.raises(
        LookupError, match=r"4 runs: has no metrics of a call 'test'; the calls are"
    ):
        found.metrics_of("test")
    assert found.episodes.columns == ["run", "timestamp", "step", "name", "lane"]
    assert found.steps.is_empty()
    assert found.tasks.is_empty()
    assert found.evaluations.is_empty()


def test_arrays_of_other_axes_in_other_runs_are_texts(tmp_path: Path) -> None:
    for name, state in (("a", np.zeros(2)), ("b", np.zeros((1, 2))), ("c", np.zeros(3))):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [episode(0, {}, state=state, other=np.ones(1))])
    frame = jaxlog.read_runs(tmp_path).episodes
    assert frame["state"].to_list() == ["[0.0,0.0]", "[[0.0,0.0]]", "[0.0,0.0,0.0]"]
    assert frame["other"].to_list() == [[1.0]] * 3


def test_no_runs() -> None:
    assert len(jaxlog.read_runs([])) == 0
    assert jaxlog.read_runs([]).metrics.columns == ["run"]


def test_an_error_names_nearby_runs(runs: Path) -> None:
    def said(where: str, error: type[Exception] = FileNotFoundError) -> str:
        texts = set()
        for read in (jaxlog.read_run, jaxlog.read_runs):
            with pytest.raises(error) as caught:
                read(f"{runs}/{where}")
            texts.add(str(caught.value))
        (text,) = texts
        return text.replace(f"{runs}/", "").replace(str(runs), "runs")

    assert said("seed_3") == (
        "seed_3: does not exist, expected the directory of a run; nearby runs: seed_1, seed_2, "
        "seed_10"
    )
    assert said("x/y/z").startswith(
        "x/y/z: does not exist, expected the directory of a run; nearby"
    )
    assert said("notes").startswith(
        "notes: has neither run.json nor lines of a run, expected the directory of a run; nearby "
    )
    assert said("todo.txt", NotADirectoryError) == (
        "todo.txt: got a file, expected the directory of a run"
    )
    assert said("seed_1/batch_metrics.jsonl", NotADirectoryError).endswith("a run; give seed_1")
    with pytest.raises(FileNotFoundError) as caught:
        jaxlog.read_run(runs)
    assert "got a directory of 3 runs" in str(caught.value)
    assert "jaxlog.read_runs reads all of them" in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"got 1 matches, none of them a run; .*'runs/\*'"):
        jaxlog.read_runs(f"{runs}/n*")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        jaxlog.read_runs([runs / "seed_1", runs / "nothing"])
