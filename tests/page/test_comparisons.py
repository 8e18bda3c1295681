"""The comparison of the page: that of `jaxlog.compare`, sorted, with differences."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

import jaxlog
from jaxlog._analysis.intervals import difference_interval
from jaxlog._format.across_lanes import interquartile_mean
from jaxlog._page import call_rows
from jaxlog._page.asked import AbsentError
from jaxlog.sinks.console.values import number
from tests.conftest import MakeLogger
from tests.page.conftest import Page

ADDRESS = "comparison?call=eval&key=score"


def compared(directory: Path, key: str = "score", by: tuple[str, ...] = ("lr",)) -> dict[str, dict]:
    """The rows of `jaxlog.compare`, by group."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = jaxlog.compare(directory, key, call="eval", by=by)
    return {f"{row[by[0]]:g}": row for row in found.frame.iter_rows(named=True)}


def test_the_numbers_are_those_of_compare_the_best_first(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    answer = page(f"{ADDRESS}&group=lr")
    right = compared(sweep)
    assert [row["name"] for row in answer["rows"]] == ["0.01", "0.003", "0.001"]
    for row in answer["rows"]:
        own = right[row["name"]]
        assert (row["value"], row["lower"], row["upper"]) == (
            own["iqm"],
            own["lower"],
            own["upper"],
        )
        assert row["text"] == (
            f"{number(own['iqm'])} [{number(own['lower'])}, {number(own['upper'])}]"
        )
        assert (row["alive"], row["unfinished"]) == (own["alive"], own["unfinished"])
    rows = {row["name"]: row for row in answer["rows"]}
    assert (rows["0.003"]["lanes"], rows["0.003"]["alive"], rows["0.003"]["runs"]) == (8, 7, 2)
    assert any("1 of 24 lanes have diverged" in note for note in answer["notes"])
    assert any("run-5 (failed, last step 29)" in note for note in answer["notes"])
    assert not answer["lower_is_better"]


def test_of_losses_the_lowest_is_the_best(sweep: Path, make_logger: MakeLogger) -> None:
    for rate in (0.1, 0.2):
        with make_logger(sinks=[{"kind": "jsonl"}]).open(
            sweep.parent / "losses" / str(rate), config={"lr": rate}
        ) as run:
            run.log({"loss": rate}, step=0)
    page = Page(sweep.parent / "losses")
    page.look()
    answer = page("comparison?call=eval&key=loss&group=lr")
    assert answer["lower_is_better"]
    assert [row["name"] for row in answer["rows"]] == ["0.1", "0.2"]


def test_differences_are_to_the_baseline(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    answer = page(f"{ADDRESS}&group=lr&baseline=0.001")
    rows = {row["name"]: row for row in answer["rows"]}
    assert rows["0.001"]["difference"] is None
    difference = rows["0.01"]["value"] - rows["0.001"]["value"]
    assert rows["0.01"]["difference"] == difference
    assert rows["0.01"]["difference_text"].startswith(f"+{number(difference)} [")
    with pytest.raises(AbsentError, match="baseline: got '7', which is no group"):
        page(f"{ADDRESS}&group=lr&baseline=7")


def test_the_interval_of_a_difference_covers_it_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        one, other = random.normal(2.0, 1.0, 30), random.normal(1.0, 1.0, 30)
        lower, upper = difference_interval(one, other, resamples=400)
        hits += lower <= 1.0 <= upper
    assert 176 <= hits <= 200
    one = np.array([1.0, 2.0])
    assert np.isnan(difference_interval(one, np.array([1.0]))).all()
    lower, upper = difference_interval(one + 10, one)
    middle = interquartile_mean(one + 10) - interquartile_mean(one)
    assert lower <= middle <= upper
    assert difference_interval(one + 10, one) == (lower, upper)  # the same seed


def test_the_answer_names_the_leader_and_the_next(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    answer = page("answer?call=eval&key=score&group=lr")["answer"]
    rows = page(f"{ADDRESS}&group=lr")["rows"]
    overlap = rows[1]["upper"] >= rows[0]["lower"]
    assert answer["text"] == (
        f"lr 0.01 leads: {rows[0]['text']}; next 0.003: {number(rows[1]['value'])}"
        + (" (their intervals overlap)" if overlap else "")
    )
    assert (answer["metric"], answer["call"], answer["group"]) == ("score", "eval", "lr")
    one = page("answer?call=eval&key=score&group=none")["answer"]["text"]
    assert one.startswith("score: ")
    assert one.endswith(" over 24 lanes")
    assert page("answer?call=eval&key=score&where=run-0&group=run")["answer"]["text"].startswith(
        "run-0: "
    )


def test_dead_lanes_never_lead(make_logger: MakeLogger, tmp_path: Path) -> None:
    for rate, last in ((0.1, 5.0), (0.2, float("nan"))):
        with make_logger(sinks=[{"kind": "jsonl"}]).open(
            tmp_path / str(rate), config={"lr": rate}
        ) as run:
            run.log({"score": 1.0 if rate == 0.1 else 1000.0}, step=0)
            run.log({"score": last}, step=1)
    page = Page(tmp_path)
    page.look()
    text = page("answer?call=eval&key=score&group=lr")["answer"]["text"]
    assert text == "lr 0.1 and 0.2 are level: 5"  # the dead lane has the worst score of all
    rows = page(f"{ADDRESS}&group=lr")["rows"]
    assert {row["name"]: row["alive"] for row in rows} == {"0.1": 1, "0.2": 0}


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (2, "lr 1 and 2"),
        (3, "lr 1, 2 and 3"),
        (4, "lr 1, 2, 3 and 4"),
        (7, "lr 1, 2, 3, 4 and 3 more"),
    ],
)
def test_all_that_are_level_are_named(
    groups: int, names: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    for rate in range(groups + 1):  # the first is worse
        with make_logger(sinks=[{"kind": "jsonl"}]).open(
            tmp_path / str(rate), config={"lr": rate}
        ) as run:
            run.log({"score": min(rate, 1) * 5.0}, step=0)
    page = Page(tmp_path)
    page.look()
    text = page("answer?call=eval&key=score&group=lr")["answer"]["text"]
    assert text == f"{names} are level: 5"


def test_what_is_copied_is_escaped(make_logger: MakeLogger, tmp_path: Path) -> None:
    for name in ("a_b|c & 50%", "=1+1"):
        with make_logger(sinks=[{"kind": "jsonl"}]).open(
            tmp_path / name, config={"agent": name}
        ) as run:
            run.log({"score": 1.0}, step=0)
    page = Page(tmp_path)
    page.look()
    answer = page(f"{ADDRESS}&group=agent")
    assert r"a\_b|c \& 50\% & 1 &" in answer["latex"]
    assert r"| a_b\|c & 50% | 1 |" in answer["markdown"]
    rows = list(csv.reader(io.StringIO(answer["csv"])))
    assert rows[0] == ["agent", "score", "95 % interval", "lanes"]
    assert {row[0] for row in rows[1:]} == {"a_b|c & 50%", "'=1+1"}  # no formula


def test_of_many_rows_the_last_are_enough(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(sweep)
    page.look()
    whole = page(f"{ADDRESS}&group=lr")
    monkeypatch.setattr(call_rows, "MOST_ROWS", 10)
    other = Page(sweep)
    other.look()
    last = other(f"{ADDRESS}&group=lr")
    assert last["rows"] == whole["rows"]
    assert last["notes"] == whole["notes"]
