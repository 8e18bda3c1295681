"""Lines are assigned to lanes and steps, with a warning if that is ambiguous."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._format.events import Lane, MetricsEvent
from jaxlog._reading.call_lines import lines_of_call
from jaxlog._reading.columns import TableFrame
from tests.reading.files import metrics, write

NAN = float("nan")


def line(step: int, values: dict[str, Any], lane: int = 0, **labels: Any) -> MetricsEvent:
    """Makes an event of one lane."""
    return MetricsEvent("batch", step, None, 1.5, (Lane(lane, labels, values),), {})


def read(path: Path, *events: MetricsEvent) -> jaxlog.RunData:
    return jaxlog.read_run(write(path, events))


def said(run: jaxlog.RunData, words: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a run, and checks that they give one warning."""
    with pytest.warns(UserWarning, match=f"^{re.escape(f'{run.path}: {words}')}$") as caught:
        found = run.arrays()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return found


REPLACED = (
    "{} lines were replaced by a later line of the same step and lane; if a loop runs again, "
    "continue its steps or give each pass a label; run.metrics has all lines"
)
APART = (
    "lines of the same step and lane number differ in the label {}; each value is read as a "
    "separate lane"
)


def test_lines_of_a_step_with_different_metrics_are_merged(tmp_path: Path) -> None:
    # As brax's progress_fn logs them: evaluation and training alternate, in any order.
    run = read(
        tmp_path,
        line(0, {"eval": 1.0}),
        line(8, {"eval": 2.0}),
        line(8, {"loss": 0.5, "speed": 30}),
        line(16, {"loss": NAN, "speed": 31}),
        line(16, {"eval": 3.0}),
    )
    arrays = run.arrays()
    assert arrays["step"].tolist() == [0, 8, 16]
    np.testing.assert_array_equal(arrays["eval"], [[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(arrays["loss"], [[NAN, 0.5, NAN]])
    np.testing.assert_array_equal(arrays["speed"], [[NAN, 30.0, 31.0]])
    assert jaxlog.compare(run, "eval").scores["score"].to_list() == [3.0]
    assert jaxlog.compare(run, "speed").scores["score"].to_list() == [31.0]
    assert run.metrics.height == 5


def test_a_repeated_step_replaces_the_earlier_line_with_a_warning(tmp_path: Path) -> None:
    run = read(tmp_path, *(line(step, {"x": 10.0 * i + step}) for i in range(3) for step in (0, 1)))
    np.testing.assert_array_equal(said(run, REPLACED.format(4))["x"], [[20.0, 21.0]])
    with pytest.warns(UserWarning, match=r"^x: \w+: 4 lines were replaced"):
        assert jaxlog.compare(run, "x").scores["score"].to_list() == [21.0]
    with pytest.warns(UserWarning, match=r"^x: \w+: 4 lines were replaced"):
        (curve,) = run.plot("x").lines
    np.testing.assert_array_equal(curve.get_ydata(), [20.0, 21.0])


def test_a_repeated_line_replaces_all_merged_lines(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        line(0, {"x": 1.0}),
        line(0, {"y": 2.0}),
        line(0, {"x": 3.0}),  # a new pass, which has not come to y
    )
    arrays = said(run, REPLACED.format(2))
    np.testing.assert_array_equal((arrays["x"], arrays["y"]), [[[3.0]], [[NAN]]])


def test_each_pass_of_merged_lines_is_counted(tmp_path: Path) -> None:
    lines = [line(0, {name: float(i)}) for i, name in enumerate("xyxyxy")]
    arrays = said(read(tmp_path, *lines), REPLACED.format(4))
    np.testing.assert_array_equal((arrays["x"], arrays["y"]), [[[4.0]], [[5.0]]])


def test_seeds_that_run_one_after_another_are_separate_lanes(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        *(
            line(step, {"x": 10.0 * seed + step}, seed=seed, env="a")
            for seed in (5, 6, 7)
            for step in (0, 1)
        ),
    )
    arrays = said(run, APART.format("'seed'"))
    assert (arrays["lane"].tolist(), arrays["seed"].tolist()) == ([0, 1, 2], [5, 6, 7])
    np.testing.assert_array_equal(arrays["x"], [[50.0, 51.0], [60.0, 61.0], [70.0, 71.0]])
    with pytest.warns(UserWarning, match="differ in the label 'seed'"):
        assert jaxlog.compare(run, "x").scores["score"].to_list() == [51.0, 61.0, 71.0]


def test_lanes_of_several_passes_keep_their_numbers_in_the_first(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        *(
            metrics(0, *(({"seed": seed + lane}, {"x": float(seed + lane)}) for lane in (0, 1)))
            for seed in (0, 2)
        ),
    )
    arrays = said(run, APART.format("'seed'"))
    assert arrays["lane"].tolist() == arrays["seed"].tolist() == [0, 1, 2, 3]
    assert arrays["x"].tolist() == [[0.0], [1.0], [2.0], [3.0]]


def test_a_label_that_changes_does_not_split_a_lane(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        *(
            metrics(step, *(({"seed": i, "lr": 2**step + i}, {"x": step + i}) for i in (0, 1)))
            for step in range(4)
        ),
    )
    words = (
        "the label 'lr' changes along a lane; the lane is counted once, with the last value of the "
        "label"
    )
    assert said(run, words)["lr"].tolist() == [8, 9]
    with pytest.warns(UserWarning, match=f"^x: \\w+: {words}$"):
        found = jaxlog.compare(run, "x")
    assert found.by == ()
    assert found.frame["scores"].to_list() == [2]
    with pytest.warns(UserWarning, match="the label 'lr' changes along a lane"):
        found = jaxlog.compare(run, "x", by="lr")
    assert found.frame.select("lr", "iqm").rows() == [(8, 3.0), (9, 4.0)]


def test_a_label_that_changes_does_not_identify_lanes(tmp_path: Path) -> None:
    # Seeds one after another, each with a learning rate that it raises.
    run = read(
        tmp_path,
        *(line(step, {"x": 1.0}, lr=2**step + s, seed=s) for s in (0, 1) for step in range(3)),
    )
    with pytest.warns(UserWarning) as caught:  # noqa: PT030  both are looked at
        arrays = run.arrays()
    assert [str(w.message).partition(": ")[2].partition(";")[0] for w in caught] == [
        APART.format("'seed'").partition(";")[0],
        "the label 'lr' changes along a lane",
    ]
    assert (arrays["x"].shape, arrays["seed"].tolist()) == ((2, 3), [0, 1])


def test_lines_without_a_label_belong_to_the_lane_that_has_it(tmp_path: Path) -> None:
    run = read(tmp_path, line(0, {"x": 1.0}, seed=3), line(0, {"y": 2.0}), line(1, {"y": 4.0}))
    arrays = run.arrays()
    np.testing.assert_array_equal(arrays["x"], [[1.0, NAN]])
    np.testing.assert_array_equal(arrays["y"], [[2.0, 4.0]])


def test_many_lines_of_one_step(tmp_path: Path) -> None:
    run = read(tmp_path, *(line(0, {"x": float(i)}) for i in range(2000)))
    assert said(run, REPLACED.format("1,999"))["x"].tolist() == [[1999.0]]


def one_by_one(lines: list[set[str]]) -> tuple[dict[str, int], int]:
    """Finds the line of each metric, and counts replaced lines, in a plain loop over lines."""
    found: dict[str, int] = {}
    merged = replaced = 0
    for number, keys in enumerate(lines):
        if keys & set(found):
            found, replaced, merged = {}, replaced + merged, 0
        found |= dict.fromkeys(keys, number)
        merged += 1
    return found, replaced


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sets(st.sampled_from("abc"), max_size=2)),
        min_size=1,
        max_size=12,
    )
)
def test_the_result_is_that_of_a_loop_over_lines(lines: list[tuple[int, set[str]]]) -> None:
    rows = [
        {"lane": 0, "step": step} | {key: float(i) if key in keys else None for key in "abc"}
        for i, (step, keys) in enumerate(lines)
    ]
    schema = {"lane": pl.Int64} | {"step": pl.Int64} | dict.fromkeys("abc", pl.Float64)
    placed = lines_of_call(TableFrame(pl.DataFrame(rows, schema=schema)))
    total = 0
    for row in placed.frame.iter_rows(named=True):
        of = [(i, keys) for i, (step, keys) in enumerate(lines) if step == row["step"]]
        expected, replaced = one_by_one([keys for _, keys in of])
        total += replaced
        numbers = {key: float(of[place][0]) for key, place in expected.items()}
        assert {key: row[key] for key in "abc" if row[key] is not None} == numbers
    assert placed.replaced == total
    assert placed.frame["step"].to_list() == list(dict.fromkeys(step for step, _ in lines))
