"""Readers and commands take addresses, and read of a store only what they need."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import polars as pl
import pytest

import jaxlog
from jaxlog._cli.main import main
from jaxlog._page.followed import FollowedRuns
from jaxlog._reading.finding import run_path
from tests.store.conftest import logger, store_of


@pytest.fixture
def runs(bucket: str) -> str:
    """The address of three runs."""
    for seed in range(3):
        with logger().open(f"{bucket}/runs/seed-{seed}", config={"seed": seed}) as run:
            for step in range(4):
                run.log({"return": 100.0 * seed + step}, step=step)
    return f"{bucket}/runs"


def copied_runs(where: Path) -> set[str]:
    """The runs of which a copy has values."""
    return {path.parent.name for path in where.rglob("eval_metrics.jsonl")}


def test_read_runs_reads_all_below_an_address_or_those_of_a_pattern(runs: str) -> None:
    assert jaxlog.read_runs(runs).names == ("seed-0", "seed-1", "seed-2")
    assert jaxlog.read_runs(f"{runs}/seed-[12]").names == ("seed-1", "seed-2")
    assert jaxlog.read_runs(runs).metrics_of("eval")["return"].len() == 12


def test_a_list_reads_the_values_of_the_runs_that_it_shows(
    runs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jaxlog.find_runs(runs, "seed>=5").names == ()
    assert copied_runs(tmp_path / "copies") == set()
    assert main(["runs", runs, "--where", "seed=1", "--columns", "seed,status"]) == 0
    assert "3 finished · 1 match" in capsys.readouterr().out.replace("3 runs: ", "")
    assert copied_runs(tmp_path / "copies") <= {"seed-1"}
    assert jaxlog.find_runs(runs, "seed>=1 sort:-seed").names == ("seed-2", "seed-1")
    assert copied_runs(tmp_path / "copies") == {"seed-1", "seed-2"}


def test_commands_show_addresses(
    runs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["show", f"{runs}/seed-2"]) == 0
    assert "203" in capsys.readouterr().out
    assert main(["show", runs]) == 0
    assert f"{runs}/seed-2" in capsys.readouterr().out
    assert main(["tail", f"{runs}/seed-1", "--lines", "1"]) == 0
    told = capsys.readouterr()
    assert "103" in told.out
    assert f"{runs}/seed-1: finished" in told.err
    assert main(["report", runs, "--output", "page.html"]) == 0
    assert "page.html: 3 runs" in capsys.readouterr().out
    assert len((tmp_path / "page.html").read_bytes()) > 200_000
    assert main(["export", f"{runs}/seed-1", "--to", "parquet", "--output", "tables"]) == 0
    assert pl.read_parquet("tables/eval_metrics.parquet")["return"].to_list()[-1] == 103.0
    assert main(["diff", f"{runs}/seed-1", f"{runs}/seed-2", "--only", "config"]) == 1
    told = capsys.readouterr().out
    assert f"--- {runs}/seed-1" in told
    assert "copies" not in told
    for command in (
        ["export", f"{runs}/seed-1", "--to", "csv"],
        ["export", f"{runs}/seed-1", "--to", "csv", "--output", "memory://bucket/tables"],
        ["report", runs, "--output", "memory://bucket/page.html"],
        ["tag", f"{runs}/seed-1", "best"],
        ["rm", f"{runs}/seed-1"],
        ["show", "https://example.org/run"],
    ):
        assert main(command) == 2
        assert "address" in capsys.readouterr().err


def test_commands_take_patterns_of_addresses(
    runs: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["runs", f"{runs}/seed-[12]", "--columns", "seed"]) == 0
    told = capsys.readouterr().out
    assert "2 finished" in told.replace("2 runs: ", "")
    assert "\nseed-2" in told
    assert main(["show", f"{runs}/seed-[12]"]) == 0
    assert f"{runs}/seed-1" in capsys.readouterr().out
    assert main(["tail", f"{runs}/*-0", "--lines", "1"]) == 0
    assert f"{runs}/seed-0: finished" in capsys.readouterr().err
    for command in ("top", "serve"):
        assert main([command, f"{runs}/seed-*"]) == 2
        assert f"{command}: got a pattern" in capsys.readouterr().err
    for pattern, error in (("seed-9*", "none of them a run"), ("*/none/*", "none of them a run")):
        assert main(["show", f"{runs}/{pattern}"]) == 2
        told = capsys.readouterr().err
        assert error in told
        assert "copies" not in told


def test_an_error_about_an_address_has_the_address(runs: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{runs}: got a directory.*{runs}/seed-0"):
        jaxlog.read_run(runs)


def test_a_run_that_goes_on_is_followed(runs: str) -> None:
    address = f"{runs}/seed-0"
    before = jaxlog.read_run(address)
    assert before.metrics_of("eval").height == 4
    state = None
    with logger().open(address, if_exists="resume", state=state) as run:
        run.log({"return": 9.0}, step=4)
    assert jaxlog.read_run(address).metrics_of("eval").height == 5
    with logger().open(address, if_exists="replace") as run:
        run.log({"return": 1.0}, step=0)
    assert jaxlog.read_run(address).metrics_of("eval")["return"].to_list() == [1.0]


def test_a_run_that_was_copied_to_a_store_is_read_and_resumed(bucket: str, tmp_path: Path) -> None:
    with logger().open(tmp_path / "here") as run:
        run.log({"loss": 1.0}, step=0)
    address = f"{bucket}/runs/there"
    fsspec.filesystem("memory").put(str(tmp_path / "here"), "/bucket/runs/there", recursive=True)
    assert jaxlog.read_run(address).metrics_of("eval")["loss"].to_list() == [1.0]
    with logger().open(address, if_exists="resume") as run:
        run.log({"loss": 2.0}, step=1)
    assert jaxlog.read_run(address).metrics_of("eval")["loss"].to_list() == [1.0, 2.0]


def test_a_file_system_is_a_store_too(tmp_path: Path) -> None:
    address = f"file://{tmp_path}/mounted/runs/x"
    with logger().open(address) as run:
        run.log({"loss": 1.0}, step=0)
        with pytest.raises(FileExistsError, match="has a run that is open"):
            logger().open(address, if_exists="resume")
    assert jaxlog.read_run(address).metrics_of("eval")["loss"].to_list() == [1.0]
    with logger().open(address, if_exists="resume") as run:
        run.log({"loss": 2.0}, step=1)
    assert jaxlog.read_run(address).metrics_of("eval")["loss"].to_list() == [1.0, 2.0]
    assert not [p for p in (tmp_path / "mounted").rglob("*") if p.name.startswith(".")]
    with ThreadPoolExecutor(1) as executor:  # reads the stored files by their address
        runs = jaxlog.read_runs(address, executor=executor)
        assert runs.metrics_of("eval")["loss"].to_list() == [1.0, 2.0]


def test_a_part_that_was_changed_is_noticed(runs: str) -> None:
    store = store_of(f"{runs}/seed-0")
    [part] = [name for name in store.find("data") if "eval_metrics" in name]
    data = store.get(part)
    store.put(part, data[:-5] + b"9999\n")
    with pytest.raises(OSError, match="has other bytes than were uploaded"):
        _ = jaxlog.read_run(f"{runs}/seed-0").metrics


def test_a_key_that_leads_out_of_a_run_is_not_written(bucket: str, tmp_path: Path) -> None:
    with logger().open(tmp_path / "plain") as run:
        run.log({"return": 1.0}, step=0)
    memory = fsspec.filesystem("memory")
    for name in ("run.json", "eval_metrics.jsonl"):
        memory.pipe_file(f"/bucket/plain/{name}", (tmp_path / "plain" / name).read_bytes())
    for name in ("../outside", "images/"):  # the second marks a folder, as consoles of stores do
        memory.store[f"/bucket/plain/{name}"] = type(memory.store["/bucket/plain/run.json"])(
            memory, f"/bucket/plain/{name}", b"x"
        )
    assert jaxlog.read_run(f"{bucket}/plain").metrics_of("eval").height == 1
    with logger().open(f"{bucket}/plain", if_exists="resume") as run:
        assert run.directory is not None
        assert not (run.directory.parent / "outside").exists()
        assert (run.directory / "eval_metrics.jsonl").exists()


def test_a_run_that_is_none_does_not_hide_the_others(
    runs: str, caplog: pytest.LogCaptureFixture
) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/runs/seed-1/session-0009.json", b"{}")
    assert jaxlog.read_runs(runs).names == ("seed-0", "seed-2")
    assert "a run was left out: memory://bucket/runs/seed-1: is not the object of" in caplog.text
    with pytest.raises(OSError, match="is not the object of a session"):
        jaxlog.read_run(f"{runs}/seed-1")


def test_runs_that_were_deleted_in_the_store_are_gone(runs: str) -> None:
    assert len(jaxlog.read_runs(runs)) == 3
    fsspec.filesystem("memory").rm("/bucket/runs/seed-1", recursive=True)
    assert jaxlog.read_runs(runs).names == ("seed-0", "seed-2")
    shutil.rmtree(jaxlog.read_run(f"{runs}/seed-0").path)
    assert jaxlog.read_run(f"{runs}/seed-0").metrics_of("eval").height == 4


def test_the_page_follows_runs_at_an_address(runs: str) -> None:
    followed = FollowedRuns(run_path(runs))
    followed.look(all_of_it=True)
    assert sorted(run.row.name for run in followed.runs()) == ["seed-0", "seed-1", "seed-2"]
    with logger().open(f"{runs}/seed-7") as run:
        run.log({"return": 7.0}, step=0)
        run.state()
        followed.look(all_of_it=True)
        [live] = [one.row for one in followed.runs() if one.row.name == "seed-7"]
        assert (live.run.status, live.metrics["return"]) == ("running", 7.0)
        run.log({"return": 8.0}, step=1)
        run.state()
        followed.look(all_of_it=True)
        assert live.metrics["return"] == 8.0
