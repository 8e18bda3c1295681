"""`jaxlog runs`: finds runs, and says what it does not find; the same in Python."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import jaxlog
from jaxlog._reading.finding import below
from jaxlog._text import counted
from jaxlog._watching.run_index import IndexedRun
from jaxlog._watching.run_row import RunRow
from tests.cli.conftest import Command, Logged
from tests.conftest import MakeLogger

NOW = 2e9
CONFIGS: dict[str, dict[str, Any]] = {
    "a/one": {"lr": 3e-4, "env": {"name": "CartPole"}, "seed": 0},
    "a/two": {"lr": 1e-3, "env": {"name": "CartPole"}, "seed": 0},
    "a/ten": {"lr": 1e-3, "env": {"name": "Acrobot"}, "seed": 0},
    "best": {"lr": "3e-4", "env": {"name": "Acrobot"}, "seed": 1, "clip": math.inf},
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs of four lanes, of which one has a diverged lane and one failed."""
    path = tmp_path_factory.mktemp("runs")
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}, total_updates=10)
    for number, (name, config) in enumerate(CONFIGS.items()):
        run = logger.open(path / name, config=config, lanes=[{}] * 4, tags=("first", f"n{number}"))
        failed = name == "a/ten"
        for step in range(5 if failed else 10):
            values = [100.0 * number + step + lane for lane in range(4)]
            values[0] = math.nan if name == "a/two" and step > 5 else values[0]
            run.log({"loss": 1.0 / (step + 1), "episode_returns": values}, step=step)
        run.close(ValueError("no") if failed else None)
    return path


def names(command: Command, directory: Path, *arguments: str) -> list[str]:
    code, out, err = command("runs", directory, "--csv", "--columns", "status", *arguments)
    assert (code, err) == (0, "")
    return [row["run"] for row in csv.DictReader(io.StringIO(out))]


def test_one_of_a_kind_is_counted_in_the_singular(
    command: Command, directory: Path, tmp_path: Path
) -> None:
    shutil.copytree(directory / "best", tmp_path / "runs" / "best")
    assert command("runs", tmp_path / "runs").out.startswith("1 run: ")
    found = jaxlog.read_runs(tmp_path / "runs")
    assert repr(found).startswith("RunsData(1 run)\n")
    assert "<strong>1 run</strong>" in found._repr_html_()
    with pytest.raises(LookupError, match=r"^1 run: "):
        found.metrics_of("unknown")
    assert counted(1_000, "run") == "1,000 runs"


def test_a_filter_selects_and_sorts(command: Command, directory: Path) -> None:
    assert names(command, directory) == ["best", "a/ten", "a/two", "a/one"]  # the newest first
    assert names(command, directory, "--where", "lr=3e-4", "--sort", "lr") == ["a/one", "best"]
    assert names(command, directory, "-w", "name:cart return<100") == ["a/one"]
    assert names(command, directory, "--sort=-return", "-n", "2") == ["best", "a/ten"]
    assert names(command, directory, "-w", "sort:return") == ["a/one", "a/two", "a/ten", "best"]
    assert names(command, directory, "-w", "tag=n1,n2 status=failed") == ["a/ten"]
    assert names(command, directory, "-w", "tags!=n1 done>5", "--sort", "run") == ["a/one", "best"]
    assert names(command, directory, "-w", "health:diverged alive<4") == ["a/two"]
    assert names(command, directory, "-w", "tag:zzz") == []


def test_a_table_has_the_columns_that_were_asked_for(command: Command, directory: Path) -> None:
    columns = ("--columns", "lr,env.name, return", "--sort=-return")
    code, out, err = command("runs", directory, *columns)
    assert (code, err) == (0, "")
    counts, *lines = out.splitlines()
    assert counts == "4 runs: 3 finished, 1 failed"
    assert [line.split() for line in lines] == [
        ["run", "lr", "env.name", "return", "alarm"],
        ["best", "3e-4", "Acrobot", "310.5"],
        ["a/ten", "0.001", "Acrobot", "205.5"],
        ["a/two", "0.001", "CartPole", "111", "diverged", "1/4"],
        ["a/one", "0.0003", "CartPole", "10.5"],
    ]


def test_it_says_how_many_runs_it_does_not_list(command: Command, directory: Path) -> None:
    code, out, _ = command("runs", directory, "-n", "1", "--where", "status=finished")
    assert code == 0
    counts, header, *lines = out.splitlines()
    assert counts == (
        "4 runs: 3 finished, 1 failed · 3 match · the first 1 are listed, -n 0 lists all"
    )
    assert header.split()[:4] == ["run", "status", "age", "done"]
    assert [line.split()[0] for line in lines] == ["best"]
    code, out, _ = command("runs", directory, "-n", "0", "--where", "status=finished")
    assert len(out.splitlines()) == 5


def test_json_has_everything(command: Command, directory: Path) -> None:
    code, out, err = command("runs", directory, "--json", "--sort", "run")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [row["run"] for row in rows] == ["a/one", "a/ten", "a/two", "best"]
    best = rows[-1]
    assert best["config"] == {"lr": "3e-4", "env.name": "Acrobot", "seed": 1, "clip": None}
    assert best["nonfinite"] == {"/config/clip": "inf"}
    assert best["metrics"]["episode_returns"] == 310.5
    assert (best["tags"], best["note"]) == (["first", "n3"], "")
    assert (best["done"], best["total"]) == (10, 10)
    assert Path(best["path"]) == directory / "best"
    assert rows[2]["health"] == "diverged (1 of 4 lanes, from step 6)"


def test_csv_has_the_values_of_all_runs(command: Command, directory: Path) -> None:
    _, out, _ = command("runs", directory, "--csv", "--sort", "run")
    frame = pl.read_csv(io.StringIO(out), infer_schema_length=None)
    assert frame["run"].to_list() == ["a/one", "a/ten", "a/two", "best"]
    assert frame["episode_returns"].to_list() == [10.5, 205.5, 111.0, 310.5]
    assert frame["clip"].to_list() == [None, None, None, math.inf]
    assert frame["metrics.loss" if "metrics.loss" in frame.columns else "loss"].is_not_null().all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--where", "lr=1 return>"),
            "jaxlog: runs: --where: return>: got no value after >, expected a term like "
            "return>400, without spaces\n  lr=1 return>\n       ^\n",
        ),
        (
            ("--where", "retrun>5"),
            "jaxlog: runs: no run has retrun; did you mean episode_returns or run?\n",
        ),
        (("--columns", "lrr"), "jaxlog: runs: no run has lrr; did you mean lr?\n"),
        (
            ("--sort", "xyzzy"),
            "jaxlog: runs: no run has xyzzy, expected one of run, status, health",
        ),
        (
            ("--where", "sort:lr", "--sort", "loss"),
            "jaxlog: runs: --where: got sort:lr and --sort loss, expected one order; leave out "
            "one\n",
        ),
        (("--json", "--csv"), "jaxlog: runs: got --json and --csv, expected one of them\n"),
        (("-n", "-1"), "jaxlog: runs: -n: got -1, expected 0 for all runs, or more\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_refused(
    command: Command, directory: Path, arguments: tuple[str, ...], text: str
) -> None:
    code, out, err = command("runs", directory, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(text)


def test_a_directory_without_runs_is_refused(command: Command, tmp_path: Path) -> None:
    code, _, err = command("runs", tmp_path)
    assert code == 2
    assert "has neither run.json nor lines of a run" in err


def odd_runs(directory: Path, make_logger: MakeLogger, logged: Logged) -> Iterator[Path]:
    """Runs whose last lines have to be read with care."""
    yield shutil.copytree(logged.directory, directory / "lanes")
    killed = shutil.copytree(logged.directory, directory / "killed")
    facts = json.loads((killed / "run.json").read_text())
    facts |= {"status": "running", "pid": 2**22 + 1}
    (killed / "run.json").write_text(json.dumps({k: v for k, v in facts.items() if k != "ended"}))
    bare = shutil.copytree(logged.directory, directory / "bare")
    (bare / "run.json").unlink()
    cut = shutil.copytree(logged.directory, directory / "cut")
    with (cut / "batch_metrics.jsonl").open("ab") as file:
        file.write(b'{"timestamp":1.0,"step":')
    for kind, lanes in (("arrow", 3), ("jsonl", 400), ("jsonl", 1)):
        logger = make_logger(sinks=[{"kind": kind}], total_updates=20)
        with logger.open(
            directory / f"{kind}-{lanes}", config={"a": {"b": [1, 2]}}, lanes=[{}] * lanes
        ) as run:
            for step in range(10):
                values = {"policy_loss": 0.5, "returns": [float(step + i) for i in range(lanes)]}
                run.log(values, step=step)
                run.log({"score": math.nan}, step=2 * step, name="test")
    single = make_logger(sinks=[{"kind": "jsonl"}])
    with single.open(directory / "single"):
        single.log_episode_summary({"total_reward": 3.0, "total_steps": 5})
    with make_logger(sinks=[{"kind": "jsonl"}]).open(directory / "empty"):
        pass


def test_the_index_has_the_values_of_a_row(
    tmp_path: Path, make_logger: MakeLogger, logged: Logged
) -> None:
    paths = set(odd_runs(tmp_path, make_logger, logged)) | set(below(tmp_path))
    assert len(paths) == 9
    for path in paths:
        row = RunRow(path, path.name)
        row.look(math.inf)
        indexed = IndexedRun(path, path.name)
        for name in (*row.values, "return", "loss", "b", "tag", "nothing"):
            expected, found = row.value_of(name, NOW), indexed.value_of(name, NOW)
            assert repr(found) == repr(expected), (path.name, name)
        assert (indexed.metric, indexed.done) == (row.metric, row.done)
        assert dict(indexed.metrics).keys() == dict(row.metrics).keys()
        assert str(indexed.health) == str(row.health)


def test_python_finds_the_same_runs(directory: Path) -> None:
    found = jaxlog.find_runs(directory, "lr=1e-3 sort:-return")
    assert found.names == ("a/ten", "a/two")
    assert found.filter("name:cart").names == ("a/two",)
    assert jaxlog.read_runs(directory).filter("tag=n3").names == ("best",)
    assert found.metrics["run"].unique().sort().to_list() == ["a/ten", "a/two"]
    table = found.table()
    assert table["run"].to_list() == ["a/ten", "a/two"]
    assert table["tags"].to_list() == [["first", "n2"], ["first", "n1"]]
    assert table["episode_returns"].to_list() == [205.5, 111.0]
    assert table["env.name"].to_list() == ["Acrobot", "CartPole"]
    chosen = jaxlog.find_runs(directory).table(["lr", "return"]).sort("run")
    assert chosen.columns == ["run", "lr", "return"]
    assert chosen["lr"].to_list() == ["0.0003", "0.001", "0.001", "3e-4"]  # one of them is a text
    none = found.filter("status=running")
    assert (len(none), none.table(["lr"]).shape) == (0, (0, 2))


def test_python_refuses_bad_input(directory: Path) -> None:
    runs = jaxlog.read_runs(directory)
    with pytest.raises(LookupError, match=r"no run has lrr; did you mean lr?"):
        runs.filter("lrr=1")
    with pytest.raises(LookupError, match=r"no run has losss; did you mean loss?"):
        runs.table(["losss"])
    with pytest.raises(ValueError, match="got no value after ="):
        jaxlog.find_runs(directory, "lr=")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        jaxlog.find_runs(directory / "none", "lr=1")


def test_a_metric_named_like_a_key_of_the_config_keeps_its_column(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "one", config={"loss": "mse", "status": "draft"}) as run:
        run.log({"loss": 0.5}, step=0)
    row = jaxlog.read_runs(tmp_path).table().row(0, named=True)
    assert (row["status"], row["config.status"]) == ("finished", "draft")
    assert (row["loss"], row["metrics.loss"]) == ("mse", 0.5)
