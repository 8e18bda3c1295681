"""What is combined while it is read is what all rows together give."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxlog._page import row_stream
from jaxlog._page.call_summary import CallSummary
from jaxlog._page.chart_values import ChartOf, chart_curves
from jaxlog._page.row_stream import RowStream
from jaxlog._page.run_store import RunStore
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
            found["nonfinite"] = {"score": "NaN" if math.isnan(value) else "Infinity"}
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
