"""A data set that was copied to a store is scanned there."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import jaxlog
from jaxlog._dataset import commit
from jaxlog._dataset.extend import extend
from jaxlog._store.objects import ObjectStore
from tests.cli.conftest import Command, command
from tests.store.conftest import logger, store_of

__all__ = ["command"]


def uploaded(directory: Path, address: str) -> ObjectStore:
    store = store_of(address)
    for path in directory.rglob("*"):
        if path.is_file():
            store.put(path.relative_to(directory).as_posix(), path.read_bytes())
    return store


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of three runs, each in a file of its own."""
    monkeypatch.setattr(commit, "LARGEST", 1)
    for number in range(3):
        with logger().open(tmp_path / "runs" / str(number), config={"lr": number / 10}) as run:
            for step in range(3):
                run.log({"loss": step + 10.0 * number, f"own{number}": step}, step=step)
    extend(tmp_path / "set", {str(i): tmp_path / "runs" / str(i) for i in range(3)})
    return tmp_path / "set"


def test_a_data_set_in_a_store_is_scanned_as_it_is_here(
    bucket: str, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(dataset, f"{bucket}/set")
    for config in (False, True):
        here = jaxlog.scan_runs(dataset, config=config)
        there = jaxlog.scan_runs(f"{bucket}/set", config=config)
        assert there.collect_schema() == here.collect_schema()
        assert_frame_equal(there.collect(), here.collect())
    means = there.group_by("config.lr").agg(pl.col("loss").mean()).sort("config.lr").collect()
    assert means["loss"].to_list() == [1.0, 11.0, 21.0]
    assert there.select(pl.len()).collect().item() == 9
    assert there.filter(pl.col("loss") > 20.5).select("step").collect()["step"].to_list() == [1, 2]
    opened: list[str] = []
    opens = ObjectStore.opened
    monkeypatch.setattr(
        ObjectStore, "opened", lambda self, name: opened.append(name) or opens(self, name)
    )
    assert there.head(2).collect().height == 2
    assert len(opened) == 1  # of three


def test_a_data_set_that_was_copied_in_the_middle_of_an_export_is_scanned(
    bucket: str, dataset: Path
) -> None:
    store = uploaded(dataset, f"{bucket}/set")
    expected = jaxlog.scan_runs(dataset).collect()
    manifest = json.loads((dataset / "dataset.json").read_text())
    file = manifest["runs"]["1"]["files"]["eval_metrics"]["name"]
    draft = {"table": "eval_metrics", "draft": "abc", "name": "new.parquet", "members": [file]}
    store.put("dataset.json", json.dumps(manifest | {"merging": [draft]}).encode())
    assert_frame_equal(jaxlog.scan_runs(f"{bucket}/set").collect(), expected)
    store.put("drafts/abc", store.get(f"eval_metrics/{file}"))
    store.delete([f"eval_metrics/{file}"])
    assert_frame_equal(jaxlog.scan_runs(f"{bucket}/set").collect(), expected)
    store.put("dataset.json", b'{"jaxlog_dataset": 9}')
    with pytest.raises(ValueError, match=f"{bucket}/set: got a data set of the format 9"):
        jaxlog.scan_runs(f"{bucket}/set")


def test_runs_in_a_store_are_exported_here_and_not_to_a_store(
    bucket: str, tmp_path: Path, command: Command
) -> None:
    with logger().open(f"{bucket}/runs/a") as run:
        run.log({"loss": 1.0}, step=0)
    code, _, err = command("export", f"{bucket}/runs", "--to", "dataset", "-o", f"{bucket}/set")
    assert code == 2
    assert "--output: got an address, expected a path on this machine" in err
    assert "aws s3 sync --delete" in err
    code, _, _ = command("export", f"{bucket}/runs", "--to", "dataset", "-o", tmp_path / "set")
    assert code == 0
    expected = jaxlog.scan_runs(tmp_path / "set").collect()
    assert_frame_equal(jaxlog.scan_runs(f"{bucket}/runs").collect(), expected)
