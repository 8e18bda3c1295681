"""`jaxlog top`: all runs in one table, which follows them and only reads."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._cli.run_columns import state_line
from jaxlog._watching.call_reader import MOST_POINTS
from jaxlog._watching.run_list import RunList
from jaxlog._watching.trend_points import TrendPoint
from tests.cli.conftest import ROOT, Command
from tests.conftest import MakeLogger

CONFIGS = [
    {"lr": 3e-4, "env": {"name": "CartPole"}, "same": 1},
    {"lr": 1e-3, "env": {"name": "CartPole"}, "same": 1},
    {"lr": 1e-3, "env": {"name": "Acrobot"}, "same": 1},
]


@pytest.fixture(params=["jsonl", "arrow"])
def directory(request: pytest.FixtureRequest, make_logger: MakeLogger, tmp_path: Path) -> Path:
    """Three runs of four lanes: one finished, one with a diverged lane, one failed."""
    for i, config in enumerate(CONFIGS):
        logger = make_logger(sinks=[{"kind": request.param}], total_updates=100)
        run = logger.open(tmp_path / "sweep" / f"run_{i}", config=config, lanes=[{}] * 4)
        for step in range(100 if i < 2 else 40):
            values = [float(step + lane) for lane in range(4)]
            values[0] = float("nan") if i == 1 and step > 50 else values[0]
            run.log({"loss": 1.0, "episode_returns": values}, step=step)
        run.close(ValueError("no") if i == 2 else None)
    return tmp_path / "sweep"


def test_a_pipe_gets_the_table_once(command: Command, directory: Path) -> None:
    code, out, err = command("top", directory)
    assert (code, err) == (0, "")
    state, header, *lines = out.splitlines()
    assert state.startswith("1 diverged · 1 failed · 1 finished · newest ")
    shown = "run status alarm age done updates/s episode_returns trend lanes lr env.name"
    assert header.split() == shown.split()
    words = {line.split()[0]: line.split() for line in lines}
    assert sorted(words) == ["run_0", "run_1", "run_2"]
    assert words["run_0"][1] == "finished"
    assert words["run_0"][-3:] == ["4", "0.0003", "CartPole"]
    assert words["run_1"][1:4] == ["finished", "diverged", "1/4"]
    assert words["run_1"][-3:] == ["3/4", "0.001", "CartPole"]
    assert words["run_2"][1] == "failed"
    assert words["run_2"][-3:] == ["4", "0.001", "Acrobot"]
    assert "  40 %  " in next(line for line in lines if line.startswith("run_2"))
    assert "  100.5  ▁" in next(line for line in lines if line.startswith("run_0"))
    assert "  101  ▁" in next(line for line in lines if line.startswith("run_1"))


def test_a_filter_selects_and_sorts(command: Command, directory: Path) -> None:
    def names(text: str) -> list[str]:
        code, out, err = command("top", directory, "--filter", text)
        assert (code, err) == (0, "")
        return [line.split()[0] for line in out.splitlines()[2:]]

    assert names("sort:run") == ["run_0", "run_1", "run_2"]
    assert names("sort:-return") == ["run_1", "run_0", "run_2"]
    assert names("lr=1e-3 name:cart") == ["run_1"]
    assert names("status=failed,killed") == ["run_2"]
    assert names("return>100 sort:lr") == ["run_0", "run_1"]
    assert names("alive<4") == ["run_1"]
    assert names("progress<50") == ["run_2"]
    assert names("age<1d health:diverged") == ["run_1"]
    assert names("status:running") == []


def test_a_filter_that_cannot_be_read_or_names_nothing(command: Command, directory: Path) -> None:
    code, out, err = command("top", directory, "-f", "return >")
    assert (code, out) == (2, "")
    assert err.startswith("jaxlog: top: --filter: >: got > without one name before it, expected")
    code, out, err = command("top", directory, "-f", "retrun>1")
    assert (code, err) == (0, "jaxlog: no run has retrun\n")
    assert len(out.splitlines()) == 1


def test_without_runs_it_says_so(command: Command, tmp_path: Path) -> None:
    code, out, err = command("top", tmp_path / "none")
    assert (code, out) == (2, "")
    assert "does not exist, expected the directory of a run" in err
    code, out, err = command("top", tmp_path)
    assert (code, out) == (2, "")
    assert "has neither run.json nor lines of a run" in err


def test_it_only_reads(command: Command, directory: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        found = [directory, *directory.rglob("*")]
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in found}

    before = state()
    followed = RunList(directory)
    for _ in range(2):
        followed.look()
    command("top", directory)
    assert state() == before


_opened: list[str] | None = None


def _audit(event: str, arguments: Sequence[Any]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


sys.addaudithook(_audit)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The files that were opened."""
    global _opened
    _opened = []
    yield _opened
    _opened = None


def test_a_look_at_runs_that_have_ended_opens_no_file(directory: Path, opened: list[str]) -> None:
    followed = RunList(directory)
    followed.look()
    assert any("metrics" in name for name in opened)
    opened.clear()
    followed.look()
    assert opened == []
    assert len(followed.rows) == 3


def test_reading_is_cut_into_pieces(directory: Path) -> None:
    whole = RunList(directory)
    whole.look()
    pieces = RunList(directory)
    looks = 0
    while not looks or pieces.unread:
        pieces.look(0.0)  # one piece at a time
        looks += 1
        assert "unknown" not in state_line(pieces.rows, 0.0).plain  # those not looked at yet
        assert looks < 1000
    assert looks > 3
    found = {row.name: (row.points, row.metric, row.value) for row in pieces.rows}
    assert found == {row.name: (row.points, row.metric, row.value) for row in whole.rows}


def test_a_run_that_is_killed_is_found_by_its_new_status(tmp_path: Path) -> None:
    code = (
        "import sys, time, jaxlog\n"
        "run = jaxlog.Logger({'sinks': [{'kind': 'jsonl'}]}, total_updates=10).open(sys.argv[1])\n"
        "run.log({'loss': 1.0}, step=2); run.flush(); print('logged', flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        followed = RunList(tmp_path)
        followed.look()
        (row,) = followed.rows
        assert (row.run.status, row.values["status"]) == ("running", "running")
        assert row.values["health"] == "well"
        process.kill()
    followed.look()
    assert (row.run.status, row.values["status"]) == ("killed", "killed")
    assert row.values["health"] == "unfinished (3 of 10 updates)"


def test_the_file_of_the_main_metric_is_removed(tmp_path: Path) -> None:
    line = '{"timestamp":1.5,"step":0,"lane":0,"labels":{},"metrics":{"%s":2.0}}\n'
    for call, key in (("batch", "episode_returns"), ("eval", "loss")):
        (tmp_path / f"{call}_metrics.jsonl").write_text(line % key)
    followed = RunList(tmp_path)
    followed.look()
    (row,) = followed.rows
    assert row.metric == "episode_returns"
    (tmp_path / "batch_metrics.jsonl").unlink()
    for _ in range(2):
        (tmp_path / "eval_metrics.jsonl").write_text((line % "loss").replace("1.5", "2.5"))
        followed.look()
    assert (row.metric, row.value, row.read) == ("loss", 2.0, True)


def test_a_run_that_cannot_be_read_has_its_status(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow = bool(list(directory.rglob("*.arrows")))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    followed = RunList(directory)
    followed.look()
    assert followed.unread == 0  # else a screen would read again and again, without a pause
    assert sorted(row.run.status for row in followed.rows) == ["failed", "finished", "finished"]
    assert [bool(row.points) for row in followed.rows] == [not arrow] * 3


LINE = (
    '{{"timestamp":{time},"step":{step},"lane":{lane},"labels":{{}},"metrics":{{"loss":{loss}}}}}\n'
)


def written(path: Path, steps: Sequence[int], began: float, lanes: int = 1) -> None:
    """Appends lines, as the sink does."""
    with (path / "train_metrics.jsonl").open("a") as file:
        for step in steps:
            for lane in range(lanes):
                time = began + step
                file.write(LINE.format(time=time, step=step, lane=lane, loss=step + lane))


def points_of(path: Path) -> Sequence[TrendPoint]:
    fresh = RunList(path)
    fresh.look()
    (row,) = fresh.rows
    return row.points


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 3))
def test_the_points_do_not_depend_on_when_they_were_read(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], lanes: int
) -> None:
    path = tmp_path_factory.mktemp("run")
    followed = RunList(path)
    done = 0
    for size in sizes:
        written(path, range(done, done + size), 1e9, lanes)
        done += size
        followed.look()
        if done:
            (row,) = followed.rows
            assert row.points == points_of(path)
            assert row.points[0].step == 0
            assert row.points[-1] == (done - 1, None, 1e9 + done - 1, done - 1 + (lanes - 1) / 2)
            assert len(row.points) <= MOST_POINTS + 1
            steps = [point.step for point in row.points]
            assert steps == sorted(set(steps))
            assert row.done == done


def test_the_points_are_evenly_spaced_over_a_long_run(tmp_path: Path) -> None:
    written(tmp_path, range(5000), 1e9)
    steps = [point.step for point in points_of(tmp_path)]
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert MOST_POINTS / 2 <= len(steps) <= MOST_POINTS + 1
    assert max(gaps[:-1]) - min(gaps[:-1]) <= max(gaps) / 4


def test_a_run_that_is_cut_back_and_goes_on_is_read_anew(tmp_path: Path) -> None:
    written(tmp_path, range(300), 1e9)
    followed = RunList(tmp_path)
    followed.look()
    file = tmp_path / "train_metrics.jsonl"
    kept = b"".join(file.read_bytes().splitlines(keepends=True)[:100])
    file.write_bytes(kept)  # resumed from a state at step 100 ...
    written(tmp_path, range(100, 400), 1e9 + 1000)  # ... and longer than before at the next look
    followed.look()
    (row,) = followed.rows
    assert row.points == points_of(tmp_path)
    assert row.done == 400
    assert [p.timestamp < 1e9 + 1000 for p in row.points] == [p.step < 100 for p in row.points]
    file.write_bytes(kept)
    followed.look()
    assert (row.done, row.points) == (100, points_of(tmp_path))


def test_runs_appear_and_are_removed(tmp_path: Path) -> None:
    followed = RunList(tmp_path)
    followed.look()
    assert followed.rows == []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, range(3), 1e9)
    followed.look()
    assert sorted(row.name for row in followed.rows) == ["a", "b"]
    (tmp_path / "a" / "train_metrics.jsonl").unlink()
    followed.look()
    assert [row.name for row in followed.rows] == ["b"]


def test_an_event_whose_lanes_are_not_all_written_waits(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"status": "running", "host": "elsewhere"}))
    written(tmp_path, range(3), 1e9, lanes=4)
    followed = RunList(tmp_path)
    followed.look()
    (row,) = followed.rows
    with (tmp_path / "train_metrics.jsonl").open("a") as file:
        file.write(LINE.format(time=1e9 + 3, step=3, lane=0, loss=3))
    followed.look()
    assert (row.done, row.lanes) == (3, (4, 4))
    followed.look()  # no more lanes came
    assert (row.done, row.lanes) == (4, (1, 1))


def test_the_main_metric_stays_when_a_line_lacks_it(tmp_path: Path) -> None:
    file = tmp_path / "batch_metrics.jsonl"
    start = '{"timestamp":1.5,"step":%d,"lane":0,"labels":{},"metrics":{"loss":2.0%s}}\n'
    file.write_text(start % (0, ',"episode_count":3,"episode_return_mean":5.0'))
    followed = RunList(tmp_path)
    followed.look()
    (row,) = followed.rows
    assert (row.metric, row.value) == ("episode_return_mean", 5.0)
    with file.open("a") as more:
        more.write(start % (1, ""))
    followed.look()
    assert (row.metric, row.value) == ("episode_return_mean", None)
    assert [point.value for point in row.points] == [5.0, None]
    os.utime(file)
    followed.look()
    assert row.done == 2
