"""The sinks of lines and of columns make the same promises: the same rows, whatever happens.

The rows are compared with those of a sink that nothing happened to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import jaxlog
from jaxlog._format.segment import segment_of
from jaxlog.sinks import Histogram, MetricsEvent, RunInfo, Sink, sink_class
from tests.reading.files import metrics
from tests.sinks.disk import full_disk

KINDS = ("jsonl", "arrow")
both = pytest.mark.parametrize("kind", KINDS)
LATE = 3
"""The first step of a late key."""


def event(step: int) -> MetricsEvent:
    """Rows of three lanes; one value is NaN, one is missing, and a key comes late."""
    bins = Histogram((0.0, 1.0, 2.0), (step, 2), 0, 1)
    late = {"late": np.float32(0.1)} if step >= LATE else {}
    lanes = (
        {"loss": np.float32(0.1) * step, "count": step, "bins": bins},
        {"loss": np.float32(np.nan), "count": -step} | late,
        {"loss": np.float32(1e-30), "bins": bins},
    )
    found = metrics(step, *(({"seed": i}, values) for i, values in enumerate(lanes)))
    return replace(found, env_step=64 * step, over_lanes={"mean": {"loss": 0.5 * step}})


EVENTS = [event(step) for step in range(6)]


def opened(kind: str, directory: Path, if_exists: Any = "replace", **more: Any) -> Sink:
    directory.mkdir(exist_ok=True)
    cls = sink_class(kind)
    sink = cls(cls.Settings(kind=kind))
    run = RunInfo("run", directory, if_exists=if_exists, id="0123abcd", **more)
    sink.check(run)
    sink.open(run)
    return sink


def write(sink: Sink, events: Sequence[MetricsEvent]) -> Sink:
    for one in events:
        sink.write_metrics(one)
        sink.flush()
    return sink


def of_metrics(directory: Path) -> list[Path]:
    """The files of metrics, of either kind."""
    found = sorted(directory.glob("batch_*"))
    assert all(path.suffix == ".jsonl" or segment_of(path.name) for path in found)
    return found


def assert_has(directory: Path, steps: Sequence[int], root: Path) -> None:
    """Checks that a run has the rows of some steps, and no others."""
    whole = root / "whole"
    write(opened("jsonl", whole), [EVENTS[step] for step in steps]).close()
    found, expected = (jaxlog.read_run(path).frames() for path in (directory, whole))
    assert found.keys() == expected.keys()
    for name, frame in expected.items():
        columns = frame.columns
        assert sorted(found[name].columns) == sorted(columns)
        assert_frame_equal(found[name].select(columns), frame, check_exact=True)


@both
@given(st.integers(1, 5), st.floats(0, 1, exclude_max=True))
def test_a_kill_in_a_write_keeps_what_was_flushed_before(
    kind: str, tmp_path_factory: pytest.TempPathFactory, done: int, part: float
) -> None:
    """The files end somewhere in the write of one event, when the process is gone."""
    root = tmp_path_factory.mktemp("runs")
    directory = root / "run"
    sink = write(opened(kind, directory), EVENTS[:done])
    position = sink.position()
    write(sink, EVENTS[done : done + 1]).close()
    for path in of_metrics(directory):
        before, size = position.get(path.name, 0), path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(before + int(part * (size - before)))
    write(opened("jsonl", root / "more"), EVENTS[: done + 1]).close()
    found, expected = (jaxlog.read_run(path).metrics for path in (directory, root / "more"))
    assert 3 * done <= len(found) <= 3 * done + 3
    assert_frame_equal(found, expected.head(len(found)).select(found.columns), check_exact=True)
    write(opened(kind, directory, "resume", position=position), EVENTS[done:]).close()
    assert_has(directory, range(6), root)


@both
@given(st.integers(1, 5), st.integers(0, 5))
def test_a_run_that_goes_on_from_a_state_has_each_row_once(
    kind: str, tmp_path_factory: pytest.TempPathFactory, state: int, killed: int
) -> None:
    root = tmp_path_factory.mktemp("runs")
    sink = write(opened(kind, root / "run"), EVENTS[:state])
    position = sink.position()
    write(sink, EVENTS[state : state + killed]).close()
    again = write(opened(kind, root / "run", "resume", position=position), EVENTS[state:])
    again.close()
    assert_has(root / "run", range(6), root)


@both
@given(st.integers(1, 4), st.integers(0, 200))
def test_a_disk_that_fills_in_a_write_loses_nothing(
    kind: str, tmp_path_factory: pytest.TempPathFactory, done: int, room: int
) -> None:
    root = tmp_path_factory.mktemp("runs")
    sink = write(opened(kind, root / "run"), EVENTS[:done])
    largest = max(path.stat().st_size for path in of_metrics(root / "run"))
    sink.write_metrics(EVENTS[done])
    # With the key that comes late begins another, smaller file of columns.
    limit = room if done >= LATE else largest + room
    with full_disk(limit), pytest.raises(OSError, match="File too large"):
        sink.flush()
    assert sink.pending() == 3
    # The rows over lanes may have found room in a file of their own, those of lanes have not.
    found = jaxlog.read_run(root / "run")
    assert found.metrics["step"].unique().sort().to_list() == list(range(done))
    write(sink, EVENTS[done + 1 :]).close()
    assert sink.pending() == 0
    assert_has(root / "run", range(6), root)


@both
def test_a_run_is_read_while_it_is_written(kind: str, tmp_path: Path) -> None:
    sink = opened(kind, tmp_path / "run")
    for step, one in enumerate(EVENTS):
        write(sink, [one])
        assert_has(tmp_path / "run", range(step + 1), tmp_path)
    sink.close()


@both
@pytest.mark.parametrize("before", KINDS)
def test_a_run_that_replaces_another_has_its_own_rows_alone(
    before: str, kind: str, tmp_path: Path
) -> None:
    write(opened(before, tmp_path / "run"), EVENTS).close()
    write(opened(kind, tmp_path / "run"), EVENTS[:2]).close()
    assert_has(tmp_path / "run", range(2), tmp_path)


@pytest.mark.parametrize("first", KINDS)
@given(cut=st.integers(1, 5))
def test_a_run_that_changes_its_sink_has_all_rows(
    first: str, tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    root = tmp_path_factory.mktemp("runs")
    (other,) = set(KINDS) - {first}
    write(opened(first, root / "run"), EVENTS[:cut]).close()
    write(opened(other, root / "run", "resume", sink_kinds=KINDS), EVENTS[cut:]).close()
    assert_has(root / "run", range(6), root)


def test_runs_of_both_kinds_are_one_frame(tmp_path: Path) -> None:
    for kind in KINDS:
        write(opened(kind, tmp_path / kind), EVENTS).close()
    found = jaxlog.read_runs(tmp_path)
    of_lines, of_columns = found.metrics.partition_by("run", include_key=False)
    assert_frame_equal(of_lines, of_columns, check_exact=True)
    assert isinstance(found.metrics["bins"].dtype, pl.Struct)
