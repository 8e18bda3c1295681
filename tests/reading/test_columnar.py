"""Lines and columns are read as the same frames, also mixed, cut, and while they are written."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import jaxlog
from jaxlog._cli.main import main
from jaxlog._format.columnar import FORMAT, MARK
from jaxlog.sinks import Histogram, MetricsEvent, RunInfo
from jaxlog.sinks.arrow import ArrowSettings, ArrowSink
from tests.conftest import MakeLogger
from tests.reading.files import metrics, write
from tests.reading.test_lines import runs

KINDS = ("jsonl", "arrow")


def frames(directory: Path) -> dict[str, pl.DataFrame]:
    return jaxlog.read_run(directory).frames()


def assert_same(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    assert found.keys() == expected.keys()
    for name, frame in expected.items():
        assert_frame_equal(found[name], frame, check_exact=True)


MIXED = [
    metrics(0, ({"seed": 1, "x": "a"}, {"loss": np.float32(0.1), "n": True, "h": 1.5})),
    metrics(1, ({"seed": "b"}, {"loss": 2, "n": 3}), ({"x": "c"}, {"loss": 0.25, "late": np.nan})),
    metrics(2, ({}, {"n": 0.5, "late": np.inf}), ({"seed": 1}, {"late": 1, "new": np.int8(3)})),
    metrics(3, ({"loss": 1.0}, {"h": Histogram((0.0, 1.0), (3,), 1, 0), "new": np.float32(0.2)})),
]
"""Events whose keys have values of several types, and come late."""


@given(runs())
@example(MIXED)
@example([metrics(2**40, ({}, {"a": np.uint64(2**64 - 1)}), ({}, {})), metrics(0, ({}, {}))])
def test_columns_are_read_as_the_frames_of_lines(
    tmp_path_factory: pytest.TempPathFactory, events: list[MetricsEvent]
) -> None:
    tmp_path = tmp_path_factory.mktemp("runs")
    for kind in KINDS if events else ():
        (tmp_path / kind).mkdir()
        write(tmp_path / kind, events, kind)
    if events:
        lines, columns = (frames(tmp_path / kind) for kind in KINDS)
        assert_same(columns, lines)
        lazy = jaxlog.read_run(tmp_path / "arrow").scan().collect()
        assert_frame_equal(lazy, lines["batch_metrics"], check_exact=True)


def event(step: int, lanes: int = 3, **values: Any) -> MetricsEvent:
    values = values or {"loss": np.float32(0.1) * (step + 1)}
    found = metrics(step, *(({"seed": i}, values) for i in range(lanes)))
    over = {"mean": {key: float(np.mean(value)) for key, value in values.items()}}
    return replace(found, over_lanes=over)


Resumed = Callable[[str, Path, list[MetricsEvent]], None]


def run_of(kind: str, directory: Path, *sessions: list[MetricsEvent], **more: Any) -> Path:
    """Writes a run in several sessions, with one flush for each event."""
    directory.mkdir(exist_ok=True)
    cls = jaxlog.sinks.sink_class(kind)
    for number, events in enumerate(sessions):
        sink = cls(cls.Settings(kind=kind))
        if_exists = "resume" if number else "replace"
        sink.open(RunInfo("run", directory, if_exists=if_exists, id="0123abcd", **more))
        for one in events:
            sink.write_metrics(one)
            sink.flush()
        sink.close()
    return directory


SESSIONS = {
    "one": [[event(step) for step in range(4)]],
    "resumed": [[event(0), event(1)], [event(2)], [event(3), event(4)]],
    "new metric after a resume": [[event(0)], [event(1, loss=0.5, new=1)], [event(2)]],
    "fewer lanes": [[event(0, 4), event(1, 1)], [event(2, 2)]],
}


@pytest.mark.parametrize("name", SESSIONS)
def test_both_files_make_the_same_frames(tmp_path: Path, name: str) -> None:
    lines, columns = (frames(run_of(kind, tmp_path / kind, *SESSIONS[name])) for kind in KINDS)
    assert_same(columns, lines)
    assert len(lines["batch_over_lanes"]) == sum(map(len, SESSIONS[name]))


@pytest.mark.parametrize("places", [[], [2], [0, 2]])
def test_a_key_that_no_lane_has_makes_no_column(tmp_path: Path, places: list[int]) -> None:
    """As of `loss_nonfinite`, which all records have, and lines only if it is not 0."""
    events = []
    for step in range(3):
        one = event(step)
        count = np.full(3, step, np.int32)
        present = np.full(3, step in places)
        columns = replace(
            one.columns,
            values={**one.columns.values, "loss_nonfinite": count},
            present={"loss_nonfinite": present},
        )
        events.append(
            MetricsEvent.of_columns(
                columns,
                slice(0, 3),
                None,
                name=one.name,
                step=step,
                env_step=None,
                timestamp=one.timestamp,
                keys={},
                over_lanes={},
                num_lanes=3,
                finite=True,
                exact=False,
                total_updates=None,
                timing=None,
            )
        )
    lines, columns = (frames(run_of(kind, tmp_path / kind, events)) for kind in KINDS)
    assert_same(columns, lines)
    assert ("loss_nonfinite" in lines["batch_metrics"].columns) == bool(places)
    lazy = jaxlog.read_run(tmp_path / "arrow").scan()
    assert_frame_equal(lazy.collect(), lines["batch_metrics"], check_exact=True)


def test_runs_of_both_kinds_are_read_together(tmp_path: Path) -> None:
    for number, kind in enumerate((*KINDS, *KINDS)):
        run_of(kind, tmp_path / f"{number}", SESSIONS["one"][0])
    found = jaxlog.read_runs(tmp_path)
    per_run = found.metrics.partition_by("run", include_key=False)
    assert len(per_run) == 4
    for frame in per_run:
        assert_frame_equal(frame, per_run[0], check_exact=True)
    assert sorted(found["0"].arrays()) == sorted(found["1"].arrays())
    for name, values in found["0"].arrays().items():
        np.testing.assert_array_equal(found["1"].arrays()[name], values)


def test_a_run_with_both_files_has_each_row_once(tmp_path: Path) -> None:
    events = SESSIONS["one"][0]
    expected = frames(run_of("jsonl", tmp_path / "lines", events))
    both = run_of("jsonl", tmp_path / "both", events)
    run_of("arrow", both, events[:3], sink_kinds=KINDS)
    assert_same(frames(both), expected)
    assert_frame_equal(
        jaxlog.read_run(both).scan().collect(), expected["batch_metrics"], check_exact=True
    )
    # The sink of a run was changed when it was resumed.
    changed = run_of("jsonl", tmp_path / "changed", events[:2])
    run_of("arrow", changed, [], events[2:], sink_kinds=KINDS)
    assert_same(frames(changed), expected)


@given(st.integers(0), st.binary(max_size=30))
def test_a_cut_batch_is_left_out_and_the_others_are_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int, rest: bytes
) -> None:
    directory = run_of("arrow", tmp_path_factory.mktemp("run"), [event(i) for i in range(4)])
    path = directory / "batch_metrics.arrows"
    data = path.read_bytes()
    ends = [len(data)]
    for count in (3, 2, 1):
        events = [event(step) for step in range(count)]
        shorter = run_of("arrow", tmp_path_factory.mktemp("run"), events)
        ends.append((shorter / path.name).stat().st_size)
    cut %= len(data) + 1
    path.write_bytes(data[:cut])
    whole = sum(end <= cut for end in ends)
    run = jaxlog.read_run(directory)
    found = run.metrics_of("batch")["step"].to_list() if cut else []
    assert found == [step for step in range(whole) for _ in range(3)]
    # Bytes that are damaged are left out, with a warning or without, and never raise an error.
    path.write_bytes(data[:cut] + rest + data[cut + len(rest) :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for frame in frames(directory).values():
            assert isinstance(frame, pl.DataFrame)


def test_a_run_is_read_while_it_is_written(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "arrow"}])
    with logger.open(tmp_path) as run:
        for step in range(3):
            run.log({"loss": 0.5}, step=step)
            run.flush()
            live = jaxlog.read_run(tmp_path)
            assert live.status == "running"
            assert live.metrics["step"].to_list() == list(range(step + 1))
    assert not jaxlog.read_run(tmp_path).health


def test_a_file_that_was_cut_after_the_run_is_warned_about(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    path = tmp_path / "eval_metrics.arrows"
    with make_logger(sinks=[{"kind": "arrow"}]).open(tmp_path) as run:
        run.log({"loss": 0.5}, step=0)
        run.flush()
        first = path.stat().st_size
        run.log({"loss": 0.5}, step=1)
    path.write_bytes(path.read_bytes()[:first])
    text = rf"got {first:,} bytes, expected the [\d,]+ of 2 batches and 2 rows that run.json counts"
    with pytest.warns(UserWarning, match=text):
        assert jaxlog.read_run(tmp_path).metrics["step"].to_list() == [0]


def test_the_file_of_another_run_is_left_out(make_logger: MakeLogger, tmp_path: Path) -> None:
    with make_logger(sinks=[{"kind": "arrow"}]).open(tmp_path / "own") as run:
        run.log({"loss": 0.5}, step=0)
    other = run_of("arrow", tmp_path / "other", [event(0)])
    (other / "batch_metrics.arrows").rename(tmp_path / "own" / "batch_metrics.arrows")
    text = "has the columns of the run '0123abcd', expected those of"
    found = jaxlog.read_run(tmp_path / "own")
    with pytest.warns(UserWarning, match=text):
        assert len(found.metrics_of("batch")) == 0
    assert len(found.metrics_of("eval")) == 1


def test_a_file_of_a_newer_version_is_left_out(tmp_path: Path) -> None:
    path = run_of("arrow", tmp_path / "run", [event(0)]) / "batch_metrics.arrows"
    with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
        found = stream.read_all()
    newer = found.replace_schema_metadata({**found.schema.metadata, MARK: str(FORMAT + 1)})
    with path.open("wb") as file, pa.ipc.new_stream(file, newer.schema) as stream:
        stream.write_table(newer)
    text = f"has the format {FORMAT + 1}, and this jaxlog reads up to {FORMAT}; left out: update"
    with pytest.warns(UserWarning, match=text):
        assert len(jaxlog.read_run(path.parent).metrics) == 0


def test_pyarrow_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of("arrow", tmp_path / "run", [event(0)])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    text = "is columnar, and to read it needs pyarrow, which is not installed; pip install 'jaxlog"
    with pytest.raises(ModuleNotFoundError, match=text):
        _ = jaxlog.read_run(tmp_path / "run").metrics
    for command in (["show", str(tmp_path / "run")], ["tail", str(tmp_path / "run")]):
        assert main(command) == 2
        assert text in capsys.readouterr().err


@pytest.mark.parametrize("command", [["show"], ["tail"], ["tail", "--json", "-n", "3"]])
def test_commands_print_the_same_for_both_files(
    make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    settings = {"over_lanes": ["mean"], "log_frequency": 1}
    logger = make_logger(sinks=[{"kind": kind} for kind in KINDS], **settings)
    labels = [{"seed": seed} for seed in range(3)]
    with logger.open(tmp_path / "run", lanes=labels) as run:
        for step in range(30):
            losses = np.array([0.1, np.nan, step], np.float32)
            run.log({"loss": losses} | ({"new": step} if step > 20 else {}), step=step)
    said: list[str] = []
    for kind in ("jsonl", "arrow", "both"):
        for path in (tmp_path / "run").iterdir():
            other = {"jsonl": ".arrows", "arrow": ".jsonl"}.get(kind)
            if path.suffix == other:
                path.rename(tmp_path / path.name)
        assert main([*command, str(tmp_path / "run")]) == 0
        text = capsys.readouterr().out
        varies = ("run · finished", "lines ")
        said.append("\n".join(line for line in text.splitlines() if not line.startswith(varies)))
        for path in tmp_path.glob("eval_*"):
            path.rename(tmp_path / "run" / path.name)
    assert said[0] == said[1] == said[2]
    assert "loss" in said[0]


def test_a_lazy_frame_reads_the_columns_that_it_needs(tmp_path: Path) -> None:
    for kind in KINDS:
        run = jaxlog.read_run(run_of(kind, tmp_path / kind, *SESSIONS["new metric after a resume"]))
        query = run.scan().filter(pl.col("step") > 0, pl.col("lane") == 2).select("new", "loss")
        assert query.collect().rows() == [(1, 0.5), (None, pytest.approx(0.3))]
        assert run.scan("batch").head(2).collect()["lane"].to_list() == [0, 1]
        with pytest.raises(LookupError, match="has no metrics of a call 'eval'"):
            run.scan("eval")


def test_all_rows_of_a_long_run_are_read(tmp_path: Path) -> None:
    sink = ArrowSink(ArrowSettings())
    sink.open(RunInfo("run", tmp_path, if_exists="replace"))
    one = event(0, lanes=30_000)
    for step in range(3):  # more rows than one batch has
        sink.write_metrics(replace(one, step=step))
    sink.close()
    assert sink.file_counts()["batch_metrics.arrows"]["batches"] == 1
    found = jaxlog.read_run(tmp_path).metrics
    assert found["lane"].to_list() == [*range(30_000)] * 3
