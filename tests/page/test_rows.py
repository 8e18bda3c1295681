"""What is combined while it is read is what all rows together give."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from jaxlog._page import call_rows, row_stream
from jaxlog._page.asked import AbsentError
from jaxlog._page.call_rows import LastRows
from jaxlog._page.call_summary import CallSummary
from jaxlog._page.chart_values import ChartOf, chart_curves
from jaxlog._page.comparisons import compared
from jaxlog._page.folded_runs import Slice
from jaxlog._page.parsed_lines import ParsedLines
from jaxlog._page.plain_lines import plain_lines
from jaxlog._page.row_stream import RowStream
from jaxlog._page.run_store import RunStore
from jaxlog._reading.columns import flat
from jaxlog._reading.layouts import LANES
from jaxlog._reading.lines import read_metrics_of
from tests.page.conftest import Page

EVENTS = st.lists(
    st.tuples(
        st.integers(1, 3),  # how far the step is after the one before
        st.dictionaries(
            st.integers(0, 3),
            st.sampled_from([0.0, 1.0, -2.5, 7.0, math.nan, math.inf, None]),
            min_size=1,
        ),
    ),
    min_size=1,
    max_size=12,
)


def line(step: int, lane: int, value: float | None) -> bytes:
    found: dict[str, Any] = {"timestamp": float(step), "step": step, "lane": lane}
    found |= {"labels": {"env": "ab"[lane % 2]}, "metrics": {"other": 1.0}}
    if value is not None:
        found["metrics"]["score"] = value if math.isfinite(value) else None
        if not math.isfinite(value):
            found["nonfinite"] = {"score": str(value)}
    return orjson.dumps(found) + b"\n"


def write(path: Path, name: str, events: list[tuple[int, dict[int, float | None]]]) -> None:
    calls = {"eval": {"keys": {"score": {"stem": "score", "statistic": "", "metric": "score"}}}}
    run = path / name
    run.mkdir(parents=True, exist_ok=True)
    status = "failed" if name == "b" else "finished"
    (run / "run.json").write_bytes(orjson.dumps({"id": name, "status": status, "calls": calls}))
    step, lines = 0, []
    for further, values in events:
        step += further
        lines += [line(step, lane, values[lane]) for lane in sorted(values)]
    (run / "eval_metrics.jsonl").write_bytes(b"".join(lines))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    EVENTS,
    EVENTS,
    st.sampled_from([(), ("env",), ("run",), ("lane",)]),
    st.sampled_from(["std", "range", None]),
    st.sampled_from([80, 500, 2**22]),
)
def test_summaries_give_the_curves_of_all_rows(
    tmp_path_factory: pytest.TempPathFactory,
    one: Any,
    other: Any,
    by: tuple[str, ...],
    spread: Any,
    block: int,
) -> None:
    path = tmp_path_factory.mktemp("runs")
    write(path, "a", one)
    write(path, "b", other)
    page = Page(path)
    page.look()
    of = ChartOf("eval", "score", by, "step", spread, (), 600)
    store, runs = RunStore(), page.followed.runs()
    if not any(v is not None for events in (one, other) for _, vs in events for v in vs.values()):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_stream, "BLOCK", block)
        combined = chart_curves(store, runs, of)
        patch.setattr("jaxlog._page.chart_values._from_summaries", lambda *_: None)
        whole = chart_curves(store, runs, of)
    assert [group.name for group in combined.groups] == [group.name for group in whole.groups]
    for left, right in zip(combined.groups, whole.groups, strict=True):
        for part in ("x", "middle", "lower", "upper", "fewer", "alive_at"):
            np.testing.assert_allclose(
                getattr(left.curve, part), getattr(right.curve, part), 1e-9, 1e-9, err_msg=part
            )
        for part in ("lanes", "alive", "unfinished", "nonfinite", "partial"):
            assert getattr(left.curve, part) == getattr(right.curve, part), part


def streamed(stream: RowStream) -> list[int]:
    return [step for table in stream.tables() for step in table.frame["step"].to_list()]


def test_a_line_that_is_not_complete_is_read_when_it_is(tmp_path: Path) -> None:
    write(tmp_path, "a", [(1, {0: 1.0}), (1, {0: 2.0})])
    file = tmp_path / "a" / "eval_metrics.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + line(3, 0, 3.0)[:20])
    stream = RowStream(tmp_path / "a", "eval", lambda *_: None)
    assert streamed(stream) == [1, 2]
    assert streamed(stream) == []
    with file.open("ab") as opened:
        opened.write(line(3, 0, 3.0)[20:] + line(4, 0, 4.0))
    assert stream.is_continued
    assert streamed(stream) == [3, 4]
    file.write_bytes(whole)
    assert not stream.is_continued
    file.unlink()
    assert not stream.is_continued


def test_broken_lines_are_left_out_and_said(tmp_path: Path) -> None:
    write(tmp_path, "a", [(1, {0: 1.0}), (1, {0: 2.0})])
    file = tmp_path / "a" / "eval_metrics.jsonl"
    file.write_bytes(file.read_bytes() + b'{"step": "no"\n\xff\xfe\n' + line(9, 0, 9.0))
    summary = CallSummary(tmp_path / "a", "eval", (), "score")
    assert summary.update()
    assert summary.cells_of("score", "step")[1].tolist() == [1, 2, 9]
    (note,) = summary.notes
    assert "eval_metrics.jsonl" in note


def test_a_hole_in_a_file_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, "a", [(1, {0: 1.0})])
    file = tmp_path / "a" / "eval_metrics.jsonl"
    with file.open("r+b") as opened:
        opened.seek(2**40)
        opened.write(b"\n" + line(2, 0, 2.0))
    stream = RowStream(tmp_path / "a", "eval", lambda *_: None)
    assert streamed(stream) == [1, 2]
    assert stream.notes


PLAIN = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.floats(-1e18, 1e18), st.integers(-(2**60), 2**60)),
        st.one_of(st.none(), st.booleans(), st.just("text"), st.floats(0, 1), st.integers(0, 1)),
        st.sampled_from(["a", 'b "\\', "ü"]),
        st.sampled_from([1, 1, 1, 2.5]),
    ),
    min_size=1,
    max_size=6,
)


@given(PLAIN, st.booleans(), st.booleans())
def test_lines_that_are_alike_are_read_as_others_are(
    rows: list[Any], with_env_step: bool, with_other: bool
) -> None:
    lines = []
    for step, (lane, value, other, label, number) in enumerate(rows):
        found: dict[str, Any] = {"timestamp": 1e9 + step, "step": step}
        found |= {"env_step": 16 * step} if with_env_step else {}
        found |= {"lane": lane, "labels": {"env": label, "size": number}}
        found["metrics"] = {"score": value} | ({"other": other} if with_other else {})
        lines.append(orjson.dumps(found) + b"\n")
    data = b"".join(lines)
    plain = plain_lines(data)
    if plain is None:
        is_alike = with_other and not all(type(row[2]) in (int, float) for row in rows)
        assert is_alike or len({type(row[4]) for row in rows}) > 1
        return
    table = flat(read_metrics_of(Path("a"), data), LANES)
    frame = plain.frame([*plain.fields, *plain.labels, *plain.metrics])
    assert_frame_equal(frame, table.frame)
    assert tuple(plain.labels) == table.labels


@pytest.mark.parametrize(
    "data",
    [
        line(1, 0, math.nan),
        line(1, 0, 1.0) + line(2, 0, None),
        line(1, 0, 1.0).replace(b"1.0", b"true"),
        line(1, 0, 1.0).replace(b"1.0", b"[1.0]"),
        line(1, 0, 1.0).replace(b'"score"', b'"lane"'),
        line(1, 0, 1.0).replace(b'"step":1', b'"step":1.5'),
        line(1, 0, 1.0).replace(b'"step":1', b'"step":9007199254740993'),
        line(1, 0, 1.0) + b'{"timestamp":1.0\n',
        line(1, 0, 1.0) + b"\n",
        line(1, 0, 1.0)[:-1] + b"," + line(2, 0, 1.0) + b"{}\n",
        b"\0" + line(1, 0, 1.0),
    ],
)
def test_other_lines_are_left_to_the_other_reader(data: bytes) -> None:
    assert plain_lines(line(1, 0, 1.0)) is not None
    assert plain_lines(data) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(EVENTS, min_size=2, max_size=5),
    st.sampled_from([(), ("env",), ("run",), ("lane",)]),
    st.sampled_from(["std", "range", None]),
    st.data(),
)
def test_runs_that_are_added_one_by_one_give_the_curves_of_all(
    tmp_path_factory: pytest.TempPathFactory,
    runs: list[Any],
    by: tuple[str, ...],
    spread: Any,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("runs")
    for number, events in enumerate(runs):
        write(path, f"run-{number}", events)
    page = Page(path)
    page.look()
    of = ChartOf("eval", "score", by, "step", spread, (), 600)
    found = page.followed.runs()
    if not any(("eval", "score") in run.row.keys for run in found):
        return
    store, seen = RunStore(), []
    chosen = data.draw(st.permutations(found))
    while True:
        part = chart_curves(store, chosen, of, Slice(seconds=0.0))
        seen.append(part.read)
        if part.read == part.of:
            break
    assert seen == list(range(1, part.of + 1))  # one more run each time
    every = chart_curves(RunStore(), found, of)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxlog._page.chart_values._from_summaries", lambda *_: None)
        rows = chart_curves(RunStore(), found, of)
    assert [group.name for group in part.groups] == [group.name for group in rows.groups]
    for one, other, whole in zip(part.groups, every.groups, rows.groups, strict=True):
        for name in ("x", "middle", "lower", "upper", "fewer", "alive_at"):
            values = [getattr(group.curve, name) for group in (one, other, whole)]
            np.testing.assert_array_equal(values[0], values[1], err_msg=name)  # to the last bit
            np.testing.assert_allclose(values[0], values[2], 1e-9, 1e-9, err_msg=name)
        for name in ("lanes", "alive", "unfinished", "nonfinite", "partial"):
            assert getattr(one.curve, name) == getattr(whole.curve, name), name
        assert one.runs == whole.runs


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(EVENTS, min_size=2, max_size=4),
    st.sampled_from([(), ("env",), ("run",)]),
    st.sampled_from([80, 500, 2**22]),
)
def test_the_last_rows_are_compared_as_all_rows_are(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Any], by: tuple[str, ...], block: int
) -> None:
    path = tmp_path_factory.mktemp("runs")
    for number, events in enumerate(runs):
        write(path, "ab"[number] if number < 2 else f"run-{number}", events)  # `b` has failed
    page = Page(path)
    page.look()
    found, of = page.followed.runs(), ("eval", "score")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_stream, "BLOCK", block)
        texts = []
        for read in (RunStore().last_rows, RunStore().rows):
            rows = read(found, *of)
            try:
                compared_ = compared(rows.runs, *of, by, only_last=rows.only_last)
            except AbsentError as error:
                texts.append(str(error))
            else:
                with pl.Config(tbl_rows=-1, tbl_cols=-1, float_precision=12):
                    texts.append(f"{compared_.frame}{compared_.scores}{compared_.notes}")
    assert texts[0] == texts[1]


def _weakly(pieces: Iterator[Any], read: list[Any]) -> Iterator[Any]:
    """The pieces of a file, of which only the last few may be held."""
    for table, place in pieces:
        read.append(weakref.ref(table.frame))
        yield table, place
        del table
        assert sum(one() is not None for one in read) < 5


def test_of_many_rows_few_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_stream, "BLOCK", 300)
    monkeypatch.setattr(row_stream, "_PARSED", ParsedLines(1000))  # less than two tables
    monkeypatch.setattr(call_rows, "MOST_ROWS", 10)
    write(tmp_path, "a", [(1, {0: float(step), 1: math.nan}) for step in range(60)])
    read = []

    real = RowStream._lines
    monkeypatch.setattr(RowStream, "_lines", lambda *a: _weakly(real(*a), read))
    last = LastRows(tmp_path / "a", "eval", "score")
    assert last.update()
    assert len(read) > 20
    assert last.only_last
    assert last.lines is not None
    assert last.lines.frame["step"].to_list() == [60, 60]
