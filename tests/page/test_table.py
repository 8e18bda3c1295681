"""The first screen: the line of state, the table of runs, and the metrics."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from jaxlog._page.asked import Asked, AskedError
from jaxlog._page.numbers import json_body
from jaxlog._watching.shared_facts import run_id
from tests.conftest import MakeLogger
from tests.page.conftest import STEPS, Page, value


def cells(answer: dict[str, Any], column: str) -> dict[str, Any]:
    """The cells of one column, by the names of the runs."""
    place = [one["name"] for one in answer["columns"]].index(column)
    return {row["name"]: row["cells"][place] for row in answer["rows"]}


def test_the_state_counts_the_runs_and_has_a_filter_for_each_alarm(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    answer = page("runs")
    state = answer["state"]
    assert state["text"].startswith("1 diverged · 1 failed · 4 finished · newest ")
    assert state["counts"] == [["diverged", 1], ["failed", 1], ["finished", 4]]
    assert state["newest"] == pytest.approx(time.time(), abs=60)
    assert [alarm["kind"] for alarm in state["alarms"]] == ["diverged", "failed"]
    names = {}
    for alarm in state["alarms"]:
        found = page(f"runs?where={alarm['where']}")
        names[alarm["kind"]] = [row["name"] for row in found["rows"]]
    assert names == {"diverged": ["run-1"], "failed": ["run-5"]}
    assert (answer["total"], answer["matching"], answer["unlooked"]) == (6, 6, 0)


def test_a_row_has_the_values_of_the_run(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    answer = page("runs?call=eval&key=score")
    assert answer["main"] == {"call": "eval", "key": "score"}
    last = [value(0.001, 0, lane, STEPS - 1) for lane in range(4)]
    assert cells(answer, "score")["run-0"] == pytest.approx(sum(last) / 4)
    assert cells(answer, "alive") == {f"run-{i}": "3/4" if i == 1 else "4/4" for i in range(6)}
    assert cells(answer, "progress") == {f"run-{i}": 50 if i == 5 else 100 for i in range(6)}
    assert cells(answer, "lr") == {f"run-{i}": (0.001, 0.003, 0.01)[i % 3] for i in range(6)}
    assert "net.width" not in [column["name"] for column in answer["columns"]]  # all have the same
    rows = {row["name"]: row for row in answer["rows"]}
    assert [rows[name]["tone"] for name in ("run-0", "run-5")] == ["ok", "bad"]
    assert rows["run-1"]["notes"] == ["diverged: 1 of 4 lanes"]
    assert rows["run-5"]["notes"] == ["failed: ValueError: no luck"]
    texts = dict(zip([c["name"] for c in answer["columns"]], rows["run-1"]["texts"], strict=True))
    assert (texts["status"], texts["progress"], texts["alive"]) == ("finished", "100 %", "3/4")


def test_the_trend_is_that_of_the_whole_run(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    answer = page("runs")
    assert answer["main"] == {"call": "eval", "key": "loss"}
    (trend,) = [column for column in answer["columns"] if column["kind"] == "trend"]
    assert (trend["title"], trend["sort"]) == ("loss, whole run", False)
    row = next(row for row in answer["rows"] if row["name"] == "run-0")
    assert (row["trend"][0], row["trend"][-1]) == (1.0, pytest.approx(1 / STEPS))
    other = page("runs?call=eval&key=score")
    assert all(column["kind"] != "trend" for column in other["columns"])  # it would mislead


def test_rows_are_filtered_sorted_pinned_and_paged(sweep: Path) -> None:
    page = Page(sweep)
    page.look()

    def names(query: str) -> list[str]:
        return [row["name"] for row in page(f"runs?{query}")["rows"]]

    assert sorted(names("where=lr%3C0.005+status:finished")) == ["run-0", "run-1", "run-3", "run-4"]
    assert names("sort=-lr&where=seed=0") == ["run-2", "run-1", "run-0"]
    assert names("where=seed=0+sort:lr") == ["run-0", "run-1", "run-2"]
    assert names("sort=run") == [f"run-{i}" for i in range(6)]
    pinned = page.ids()["run-4"]
    assert names(f"sort=run&pin={pinned}&limit=2") == ["run-4", "run-0"]
    assert names("sort=run&offset=4&limit=1") == ["run-4"]
    assert page("runs?where=lr=0.01&limit=0")["matching"] == 2
    assert cells(page("runs?columns=probe_missing&columns=loss"), "loss")["run-0"] is not None


def test_the_groupings_are_listed_the_best_first(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    groups = page("runs")["groups"]
    found = [(group["name"], group["kind"], group["values"]) for group in groups]
    assert found == [
        ("lr", "config", 3),
        ("env", "label", 2),
        ("seed", "label", 4),
        ("run", "run", 6),
        ("lane", "lane", 4),
        ("none", "none", 1),
    ]


def test_equal_runs_are_told_apart_by_their_names(make_logger: MakeLogger, tmp_path: Path) -> None:
    for name in ("one", "two"):
        with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / name, config={"a": 1}) as run:
            run.log({"loss": 1.0}, step=0)
    page = Page(tmp_path)
    page.look()
    assert page("runs")["group"] == "run"


def test_the_first_answer_comes_before_all_runs_were_looked_at(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / f"run-{number}") as run:
            run.log({"loss": 1.0}, step=0)
    monkeypatch.setattr("jaxlog._page.followed.READING", 0.0)
    page = Page(tmp_path)
    answer = page("runs")
    assert (answer["total"], answer["unlooked"]) == (5, 4)
    assert [row["status"] for row in answer["rows"]].count("") == 4
    assert answer["state"]["counts"] == [["finished", 1]]
    found = page("comparison?call=eval&key=loss")
    left = page.followed.unlooked
    assert 0 < left < 4
    assert (found["read"], found["of"], found["rows"]) == (5 - left, 5, [])
    page.look()
    assert page("runs")["unlooked"] == 0
    assert page("runs")["state"]["counts"] == [["finished", 5]]


def test_no_directory_no_runs_and_then_one(make_logger: MakeLogger, tmp_path: Path) -> None:
    page = Page(tmp_path / "later")
    page.look()
    answer = page("runs")
    assert (answer["total"], answer["state"]["text"], answer["main"]) == (0, "no runs", None)
    assert answer["title"] == "later"
    assert page("metrics")["metrics"] == []
    assert page("answer")["answer"] is None
    version = page.followed.version
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "later" / "first") as run:
        run.log({"loss": 1.0}, step=0)
        run.flush()
        page.look()
        assert page("runs")["state"]["counts"] == [["running", 1]]
        assert page.followed.changed_since(version) == [run_id("first")]
    page.look()
    assert page("runs")["state"]["counts"] == [["finished", 1]]


def test_a_run_that_is_removed_is_gone_and_one_that_is_moved_is_another(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    before = page.ids()
    (sweep / "run-0").rename(sweep / "moved")
    page.look()
    after = page.ids()
    assert "run-0" not in after
    assert after["moved"] not in before.values()
    assert {name: one for name, one in after.items() if name != "moved"}.items() <= before.items()
    assert Page(sweep).ids() == {}  # nothing is known before the first look
    again = Page(sweep)
    again.look()
    assert again.ids() == after  # ids are the same after a restart


def test_a_directory_that_is_a_run_is_shown_alone(sweep: Path) -> None:
    page = Page(sweep / "run-2")
    page.look()
    assert [row["name"] for row in page("runs")["rows"]] == ["run-2"]
    assert page("metrics")["metrics"][0]["runs"] == 1


def test_a_file_that_is_no_run_does_no_harm(sweep: Path) -> None:
    bad = sweep / "bad"
    bad.mkdir()
    (bad / "run.json").write_text("{")
    (bad / "eval_metrics.jsonl").write_bytes(b'{"timestamp":1,"step":0\n\xff\xfe\n{"timestamp":2')
    (sweep / "run-3" / "eval_metrics.jsonl").unlink()
    page = Page(sweep)
    page.look()
    rows = {row["name"]: row for row in page("runs")["rows"]}
    assert (rows["bad"]["status"], rows["run-3"]["status"]) == ("unknown", "finished")
    assert len(page("comparison?call=eval&key=score&group=lr")["rows"]) == 3


def test_metrics_are_in_the_order_of_the_page(pictured: Path) -> None:
    page = Page(pictured.parent)
    page.look()
    found = page("metrics")["metrics"]
    first = found[0]
    assert (first["call"], first["key"], first["category"]) == (
        "batch",
        "episode_return_mean",
        "rewards",
    )
    by_key = {one["key"]: one for one in found}
    assert by_key["episode_return_std"]["beside"]
    assert not by_key["success_rate"]["beside"]
    assert by_key["episode_return_histogram"]["kind"] == "histogram"
    assert "episode_return_nonfinite" not in by_key  # no line has it
    assert [one["key"] for one in page("metrics?where=status:failed")["metrics"]] == []


def test_lower_is_better_of_losses_and_parts_name_their_array(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "one") as run:
        run.log({"loss": 1.0, "norm/actor": 1.0, "norm/critic": 2.0}, step=0)
    page = Page(tmp_path)
    page.look()
    found = {one["key"]: one for one in page("metrics")["metrics"]}
    assert {key: one["lower_is_better"] for key, one in found.items()} == {
        "loss": True,
        "norm/actor": False,
        "norm/critic": False,
    }
    assert [found[key]["part_of"] for key in found] == [None, "norm", "norm"]


def test_hostile_names_are_only_text(make_logger: MakeLogger, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>\x1b[31m"
    config = {"<b>": "</script><script>alert(1)</script>\u202e", "x": 1}
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / name, config=config) as run:
        run.log({"loss": 1.0}, step=0)
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "plain", config={"x": 2}) as run:
        run.log({"loss": 1.0}, step=0)
    page = Page(tmp_path)
    page.look()
    body = page.body("runs")
    answer = json.loads(body)
    assert b"\x1b" not in body
    assert any("<img" in row["name"] for row in answer["rows"])  # the page writes it as text
    assert all("\x1b" not in row["name"] for row in answer["rows"])


def test_numbers_that_json_has_not_are_texts() -> None:
    values = {"a": float("nan"), "b": [float("inf"), -float("inf")], "c": 2**70, "d": "\ud800"}
    assert json.loads(json_body(values)) == {
        "a": "nan",
        "b": ["inf", "-inf"],
        "c": str(2**70),
        "d": "?",
    }


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=ten", "limit: got 'ten', expected an integer"),
        ("offset=-1", "offset: got '-1', expected an integer"),
        ("where=%3E", "got > without one name before it"),
        ("a=1&" * 1001, "got more than 1,000 parameters"),
        ("where=" + "a" * 200_000, "bytes of parameters, expected at most"),
    ],
)
def test_parameters_that_cannot_be_read_have_a_reason(sweep: Path, query: str, text: str) -> None:
    page = Page(sweep)
    with pytest.raises(AskedError) as raised:
        page(f"runs?{query}")
    assert text in str(raised.value)


def test_an_answer_is_not_made_again_for_who_has_it(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    for address in ("curves", "comparison"):
        query = "call=eval&key=score"
        first = page.answers.of(address, query)
        assert first is not None
        assert page.answers.of(address, query, first.tag) is None
        assert page.answers.of(address, f"{query}&group=run", first.tag) is not None
    (sweep / "run-0" / "run.json").write_text("{}")
    page.look()
    assert page.answers.of("comparison", query, first.tag) is not None
    assert Asked("a=%00").text("a") == "\0"
