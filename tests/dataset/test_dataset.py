"""A data set has the rows of its runs, and is extended by those that are new or have changed."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow.dataset
import pyarrow.parquet
import pytest
from polars.testing import assert_frame_equal

import jaxlog
from jaxlog._dataset import commit
from jaxlog._dataset.extend import extend
from jaxlog._reading.pieces import pieces
from tests.cli.conftest import Command, command
from tests.reading.files import episode, metrics, write

__all__ = ["command"]


def make(path: Path, config: dict[str, object], *values: object, kind: str = "jsonl") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    write(path, [metrics(i, ({"seed": 3}, {"loss": v})) for i, v in enumerate(values)], kind)
    facts = {"id": path.name.encode().hex(), "status": "finished", "config": config}
    (path / "run.json").write_text(json.dumps(facts))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    found = tmp_path / "runs"
    make(found / "007", {"lr": 0.1}, 0.5, math.nan)
    make(found / "lr=1", {"lr": 1, "net": {"width": 64}}, 1.5, kind="arrow")
    make(found / "sweep" / "10", {"lr": 2}, 2.5, math.inf)
    of_metrics = metrics(0, ({"seed": 3}, {"loss": 2.5}))
    write(found / "sweep" / "10", [episode(0, {"total_reward": 1.0}), of_metrics])
    return found


def read(directory: Path) -> pl.DataFrame:
    return jaxlog.scan_runs(directory).collect()


def test_readers_have_the_rows_and_the_config(command: Command, runs: Path, tmp_path: Path) -> None:
    code, out, err = command("export", runs, "--to", "dataset", "-o", tmp_path / "set")
    assert (code, err) == (0, "")
    assert "3 runs: 3 written, 0 unchanged" in out
    expected = jaxlog.read_runs(runs).metrics
    assert_frame_equal(read(tmp_path / "set"), expected)
    assert_frame_equal(read(runs), expected)
    folder = tmp_path / "set" / "batch_metrics"
    files = [str(file) for file in folder.iterdir()]
    assert all(file.endswith(".parquet") for file in files)
    with_config = jaxlog.scan_runs(tmp_path / "set", config=True).collect()
    assert dict(zip(with_config["run"], with_config["config.lr"], strict=True)) == {
        "007": 0.1, "lr=1": 1.0, "sweep/10": 2.0,
    }  # fmt: skip
    assert_frame_equal(
        jaxlog.scan_runs(runs, config=True).collect(), with_config, check_column_order=False
    )
    query = f"SELECT * FROM '{folder}/*.parquet'"
    relation = duckdb.sql(query)
    assert relation is not None
    for found in (
        pl.read_parquet(folder),
        pl.from_arrow(pyarrow.dataset.dataset(folder).to_table()),
        relation.pl(),
    ):
        assert isinstance(found, pl.DataFrame)
        assert_frame_equal(found, with_config, check_row_order=False)
    assert len(pl.read_parquet(tmp_path / "set" / "episodes")) == 1


def test_only_runs_that_changed_are_written_again(
    command: Command, runs: Path, tmp_path: Path
) -> None:
    export = ("export", runs, "--to", "dataset", "-o", tmp_path / "set")
    command(*export)
    made = tmp_path / "set"
    before = {file: file.stat().st_mtime_ns for file in made.rglob("*.parquet")}
    assert {file.parent.name for file in before} == {"batch_metrics", "episodes"}
    assert len(before) == 2, "the runs of a table are in one file"
    assert "3 runs: 0 written, 3 unchanged" in command(*export).out
    make(runs / "007", {"lr": 0.1}, 0.25)  # shrank
    assert "3 runs: 1 written, 2 unchanged" in command(*export).out
    after = {file: file.stat().st_mtime_ns for file in made.rglob("*.parquet")}
    changed = {file.parent.name for file in after if after[file] != before.get(file)}
    assert changed == {"batch_metrics"}
    expected = jaxlog.read_runs(runs).metrics
    assert_frame_equal(read(made).sort("run", maintain_order=True), expected)
    (runs / "sweep" / "10" / "episodes.jsonl").unlink()  # its only row
    command(*export)
    assert not list((made / "episodes").iterdir())
    shutil.rmtree(runs / "007")  # a data set keeps what it has
    command(*export)
    assert "007" in read(tmp_path / "set")["run"]


def test_new_columns_and_types_reach_all_files(command: Command, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    export = ("export", runs, "--to", "dataset", "-o", tmp_path / "set", "--processes", 2)
    make(runs / "a", {"lr": 1}, 1, 2)
    command(*export)
    make(runs / "b", {"lr": 0.5, "note": "x"}, 0.5)
    assert "1 file rewritten for new columns" in command(*export).out
    schemas = {str(pl.read_parquet_schema(f)) for f in (tmp_path / "set").rglob("*.parquet")}
    assert len(schemas) == 1
    assert_frame_equal(read(tmp_path / "set"), jaxlog.read_runs(runs).metrics)
    make(runs / "c", {"lr": 0.5}, "high")
    code, _, err = command(*export)
    assert code == 0
    assert "batch_metrics: loss has texts and other values, which no type holds" in err
    assert read(tmp_path / "set")["loss"].to_list() == ["1.0", "2.0", "0.5", "high"]


def test_pieces_of_a_large_file_are_one_table(
    command: Command, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "__defaults__", (None, 100))
    make(runs / "007", {"lr": 1}, *range(20), 0.5, *range(20))
    make(runs / "lr=1", {"lr": 1}, *range(20), kind="arrow")
    command("export", runs, "--to", "dataset", "-o", tmp_path / "set")
    monkeypatch.setattr("jaxlog._dataset.packs._GROUP", 1)
    command("export", runs, "--to", "dataset", "-o", tmp_path / "set2")
    (path,) = (tmp_path / "set2" / "batch_metrics").iterdir()
    assert pyarrow.parquet.ParquetFile(path).num_row_groups > 4
    assert_frame_equal(read(tmp_path / "set2"), jaxlog.read_runs(runs).metrics)
    assert_frame_equal(read(tmp_path / "set"), jaxlog.read_runs(runs).metrics)


def test_an_export_that_was_killed_is_read_and_finished(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, found = tmp_path / "runs", tmp_path / "set"
    make(runs / "a", {}, 1)
    command("export", runs, "--to", "dataset", "-o", found)
    make(runs / "b", {}, 0.5)
    with monkeypatch.context() as patch:
        patch.setattr("jaxlog._dataset.extend.write_pack", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            command("export", runs, "--to", "dataset", "-o", found)
    (found / "drafts").mkdir(exist_ok=True)
    (found / "drafts" / "torn").write_bytes(b"PAR1")
    expected = jaxlog.read_runs(runs).metrics
    assert_frame_equal(read(found), expected)
    command("export", runs, "--to", "dataset", "-o", found)
    assert not (found / "drafts").exists()
    rows = pl.read_parquet(found / "batch_metrics")  # in the order of the names of files
    assert_frame_equal(rows, expected, check_row_order=False)


class Killed(BaseException):
    """The process of an export was killed: from then on, it changes no file."""


def kill_at(step: int, patch: pytest.MonkeyPatch) -> list[int]:
    """Kills an export at a step that changes a name of a file; returns a list with the steps."""
    steps = [0]

    def killing(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            if steps[0] >= step:
                raise Killed
            steps[0] += 1
            return function(*args, **kwargs)

        return run

    for name in ("replace", "unlink", "rmdir"):
        patch.setattr(Path, name, killing(getattr(Path, name)))
    return steps


def test_an_export_killed_at_any_step_has_no_run_twice_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New runs, changed ones, new columns and a merge of small packs, in one export."""
    runs, base = tmp_path / "runs", tmp_path / "base"
    monkeypatch.setattr("jaxlog._dataset.commit.MOST_SMALL", 1)
    named = {name: runs / name for name in "abcdef"}
    for several in ("ab", "c"):
        for name in several:
            make(named[name], {"lr": 1}, 1, 2)
        extend(base, {name: named[name] for name in several})
        monkeypatch.setattr("jaxlog._dataset.commit.MOST_SMALL", 8)
    monkeypatch.setattr("jaxlog._dataset.commit.MOST_SMALL", 1)
    make(named["a"], {"lr": 1}, 1, 2, 3)
    make(named["d"], {"lr": 1}, 4)
    make(named["e"], {"lr": 0.5, "note": "x"}, 0.5)
    shutil.rmtree(named["b"])  # its rows are in the data set only
    given = {name: named[name] for name in "acde"}
    expected = {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2], "d": [4], "e": [0.5]}

    def values(frame: pl.DataFrame) -> dict[str, list[float]]:
        found = frame.group_by("run", maintain_order=True).agg("loss")
        return dict(found.iter_rows())

    step = 0
    for step in itertools.count():
        made = tmp_path / f"set{step}"
        shutil.copytree(base, made)
        with monkeypatch.context() as patch:
            steps = kill_at(step, patch)
            with contextlib.suppress(Killed):
                extend(made, given)
        files = sorted((made / "batch_metrics").glob("*.parquet"))
        every = [pl.read_parquet(file) for file in files]
        seen = values(pl.concat(every, how="diagonal_relaxed")) if every else {}  # in a merge
        for run, found in seen.items():
            assert found in (expected[run], [1, 2]), f"{run} after {step} steps"
        lazy = values(jaxlog.scan_runs(made).collect())
        assert lazy.keys() >= set("abc"), f"after {step} steps"
        extend(made, given)
        whole = pl.read_parquet(made / "batch_metrics")
        assert values(whole) == expected, f"after {step} steps and another export"
        assert not (made / "drafts").exists()
        if steps[0] < step:
            break
    assert step > 15


def test_runs_are_spread_over_packs_of_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, data = tmp_path / "runs", tmp_path / "set"
    monkeypatch.setattr(commit, "MOST_SMALL", 2)

    def add(*numbers: int, rows: int = 1000) -> dict[str, list[str]]:
        for number in numbers:
            values = np.random.default_rng(number).random(rows)  # which cannot be compressed
            make(runs / f"{number:02d}", {"lr": number}, *values.tolist())
        paths = {path.name: path for path in sorted(runs.iterdir())}
        assert extend(data, paths).written == len(numbers)
        rows_of_runs = read(data).sort("run", maintain_order=True)
        assert_frame_equal(rows_of_runs, jaxlog.read_runs(runs).metrics)
        packs = {
            path.name: pl.read_parquet(path)["run"].unique(maintain_order=True).to_list()
            for path in (data / "batch_metrics").iterdir()
        }
        assert sorted(itertools.chain(*packs.values())) == sorted(paths)  # each in one pack
        return packs

    (name,) = add(0)
    size = (data / "batch_metrics" / name).stat().st_size  # of each of these runs
    monkeypatch.setattr(commit, "LARGEST", int(3.2 * size))
    first = add(*range(1, 10))
    assert sorted(first.values()) == [
        ["00"],
        ["01", "02", "03"],
        ["04", "05", "06"],
        ["07", "08", "09"],
    ]
    second = add(10, 11, 12)  # in a new pack
    assert sorted(second.values())[-1] == ["10", "11", "12"]
    assert first.items() < second.items()
    third = add(13, rows=10_000)  # larger than a pack
    (large,) = third.keys() - second.keys()
    assert third[large] == ["13"]
    assert (data / "batch_metrics" / large).stat().st_size > commit.LARGEST
    fourth = add(14)
    assert third.items() < fourth.items()
    fifth = add(15)  # a third small pack: they become one
    (merged,) = fifth.keys() - fourth.keys()
    assert fifth[merged] == ["00", "14", "15"]
    assert (data / "batch_metrics" / merged).stat().st_size <= commit.LARGEST


def test_what_cannot_be_extended_is_refused(command: Command, runs: Path, tmp_path: Path) -> None:
    found = tmp_path / "set"
    export = ("export", runs, "--to", "dataset", "-o", found)
    command(*export)
    for number, word in ((0, "export the runs to a new directory"), (2, "update jaxlog")):
        text = (found / "dataset.json").read_text()
        changed = json.loads(text) | {"jaxlog_dataset": number}
        (found / "dataset.json").write_text(json.dumps(changed))
        code, _, err = command(*export)
        assert code == 2
        assert f"got a data set of the format {number}, expected 1; {word}" in err
        with pytest.raises(ValueError, match="got a data set of the format"):
            jaxlog.scan_runs(found)
        (found / "dataset.json").write_text(text)
    other = make(tmp_path / "other" / "007", {}, 1.0)
    (other / "run.json").write_text('{"id": "ff", "status": "finished"}')
    assert "has another run named '007'" in command("export", other, *export[2:]).err
    assert (
        "expected a data set, or an empty or new directory"
        in command("export", other, "--to", "dataset", "-o", runs).err
    )


@pytest.mark.parametrize(
    "values",
    [
        ([1, 2], [0.5]),
        ([True], [1]),
        ([True], [0.5]),
        ([1.5], ["high"]),
        ([2**63], [1]),
        ([math.nan], [1.0, -math.inf]),
        ([[1, 2]], [[0.5, math.nan]]),
        ([[1, 2]], [[[1]]]),
        ([[]], [1.0]),
    ],
)  # fmt: skip
def test_runs_read_together_are_as_each_by_itself(
    values: tuple[list, list], tmp_path: Path
) -> None:
    from jaxlog._reading.concatenate import concatenated

    for name, own in zip("ab", values, strict=True):
        make(tmp_path / name, {}, *own)
    runs = jaxlog.read_runs(tmp_path)
    alone = concatenated({name: runs[name].metrics for name in runs.names})
    assert_frame_equal(jaxlog.read_runs(tmp_path).metrics, alone)
    assert_frame_equal(read(tmp_path), alone)
