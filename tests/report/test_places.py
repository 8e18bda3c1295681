"""A report has one value for each lane, step and metric, as plots and comparisons have."""

from __future__ import annotations

from pathlib import Path

from tests.reading.files import metrics
from tests.report.pages import array, page_of, run_of


def test_lines_of_one_step_are_merged_and_what_replaces_one_is_said(tmp_path: Path) -> None:
    # Evaluation and training by turns; then a loop begins anew.
    events = [
        metrics(0, ({}, {"eval": 1.0})),
        metrics(0, ({}, {"loss": 5.0})),
        metrics(1, ({}, {"eval": 2.0})),
        metrics(1, ({}, {"loss": 6.0})),
        metrics(1, ({}, {"loss": 7.0})),
    ]
    page = page_of(tmp_path / "page.html", run_of(tmp_path / "run", events))
    (call,) = page.data()
    found = {chart["key"]: array(chart["groups"]["0"]["y"]).tolist() for chart in call["charts"]}
    # The last line of step 1 replaces the pass before it, of which `eval` was a part.
    assert found == {"eval": [1.0], "loss": [5.0, 7.0]}
    words = page.words()
    assert "5 lines of 1 lane." in words
    assert "run: 2 lines were replaced by a later line of the same step and lane; " in words


def test_seeds_one_after_another_are_lanes(tmp_path: Path) -> None:
    events = [metrics(s, ({"seed": i}, {"x": float(i)})) for i in (0, 1) for s in (0, 1)]
    page = page_of(tmp_path / "page.html", run_of(tmp_path / "run", events))
    (call,) = page.data()
    assert [lane["name"] for lane in call["lanes"]] == ["seed 0", "seed 1"]
    assert "differ in the label 'seed'" in page.words()
