"""What stands in a report: the answers of the live page, and texts of users only as texts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import jaxlog
from jaxlog._page import report as made
from jaxlog._page.answers import Answers
from jaxlog._page.followed import FollowedRuns
from tests.reading.files import metrics
from tests.report.pages import page_of, run_of

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&"
    "\u202e\u05dc\u05d5\u05dd 🦜\u2028\x00"
)


def test_its_answers_are_those_of_the_server(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    answers = Answers(FollowedRuns(logged))
    answers.followed.look(all_of_it=True)
    for name in ("metrics", "answer", "curves", "comparison", "pictures"):
        asked = page.addresses(name)
        assert asked, name
        for address in asked:
            found = answers.of(name, address.partition("?")[2])
            assert found is not None
            assert page.answers()[address] == found.body, address


def test_the_numbers_are_those_of_the_lines(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    frame = jaxlog.read_run(logged).metrics
    for rate, name in ((0.5, "0.5"), (2.0, "2")):
        own = frame.filter(pl.col("learning_rate") == rate)
        by_step = own.group_by("step", maintain_order=True).agg(
            pl.col("episode_return_mean", "policy_loss").fill_nan(None).mean()
        )
        for key in ("episode_return_mean", "policy_loss"):
            group = page.curves(key).groups[name]
            assert group["x"].tolist() == by_step["step"].to_list()
            np.testing.assert_allclose(group["middle"], by_step[key].to_numpy(), rtol=1e-6)
    last = frame.filter((pl.col("step") == 39) & (pl.col("learning_rate") == 2))
    rows = page.answer("comparison", call="batch", key="episode_return_mean")["rows"]
    assert rows[0]["name"] == "2"
    assert rows[0]["value"] == pytest.approx(last["episode_return_mean"].median())  # of three


def test_it_leads_with_the_answer(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    answer = page.answer("answer", call="batch", key="episode_return_mean")["answer"]
    assert answer["text"].startswith("learning_rate 2 leads: ")
    (words,) = [text for inside, text in page.texts if "pre" in inside and "leads" in text]
    assert words == answer["text"]  # without a script, too


def test_it_has_what_its_controls_lead_to(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    main = {"call": "batch", "key": "episode_return_mean"}
    for name in ("seed", "lane", "none"):
        for kind in ("answer", "comparison"):
            page.answer(kind, group=name, **main)
        assert page.curves(main["key"], group=name).header["group"] == (
            "" if name == "none" else name
        )
    for x in ("env_step", "relative", "time"):
        page.curves(main["key"], x=x)
    for band in ("iqr", "ci", "range", "none"):
        page.curves(main["key"], band=band)
    compared = page.answer("comparison", baseline="2", **main)
    assert compared["rows"][1]["difference"] < 0
    for key in ("policy_loss", "episode_count"):
        page.answer("comparison", call="batch", key=key)


def test_it_says_what_show_says_and_no_secret(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    (facts,) = page.facts()
    for told in ("gamma 0.99", "jax ", "240 in batch_metrics.jsonl"):
        assert told in facts
    (address,) = page.addresses("facts")
    answer = json.loads(page.answers()[address])
    assert "log_frequency: 1" in answer["settings"].splitlines()
    assert ["api_key", "(redacted)"] in answer["config"]
    for body in page.answers().values():
        assert b"hunter2" not in body


def test_nothing_is_loaded_and_only_the_own_script_runs(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "action", "data", "poster", "srcset"):
                assert str(value).startswith(("data:", "#"))
    (policy,) = [
        str(attributes["content"])
        for _, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy


def hostile(directory: Path) -> Path:
    """A run whose every name is one that breaks out of HTML."""
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    config = {HOSTILE: HOSTILE}
    lanes = [{"task": HOSTILE}, {"task": "b"}]
    with logger.open(directory, config=config, lanes=lanes) as run:
        for step in range(3):
            run.log({f"m/{'x' * 300}": [1.0, 2.0], "loss": [0.5, 0.25]}, step=step)
            run.log(step=step, arrays={"<b>table": np.ones((2, 2, 2))})
    return directory


def test_texts_of_users_are_texts(tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", hostile(tmp_path / "run"))
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in page.tags]
    text = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in text
    assert "\x00" not in text
    assert any(b"alert(1)" in body for body in page.answers().values())


def test_the_policy_stands_before_anything_of_a_user(tmp_path: Path) -> None:
    page_of(tmp_path / "page.html", hostile(tmp_path / "<i>run"))
    text = (tmp_path / "page.html").read_text()
    assert "<i>" not in text
    assert text.index("Content-Security-Policy") < text.index("&lt;i&gt;run")


@pytest.mark.parametrize("lines", [0, 1])
def test_hardly_any_lines(lines: int, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [metrics(7, ({}, {"loss": 1.25}))] * lines)
    (run / "run.json").write_text("{}")
    page = page_of(tmp_path / "page.html", run)
    if lines:
        (group,) = page.curves("loss").groups.values()
        assert (group["x"].tolist(), group["middle"].tolist()) == ([7.0], [1.25])
    else:
        assert page.addresses("curves") == []
        assert page.answer("metrics")["metrics"] == []


def test_a_run_of_a_single_environment(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run"):
        for number in range(3):
            logger.log_episode_summary({"total_reward": 1.5 * number, "task": "maze"})
            logger.log_evaluation_summary({"accuracy": 0.25 * number})
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    assert "3 in episodes.jsonl" in page.facts()[0]


def test_many_lanes_and_metrics_make_no_large_file(tmp_path: Path) -> None:
    lanes = range(256)
    keys = [f"metric_{number}" for number in range(100)]
    events = (
        metrics(s, *(({"rate": lane, "seed": 0}, dict.fromkeys(keys, 0.1 * s)) for lane in lanes))
        for s in range(8)
    )
    page = page_of(tmp_path / "page.html", run_of(tmp_path / "run", events))
    assert len(page.addresses("curves")) >= 100
    header = page.curves("metric_0").header
    assert header["total_groups"] == 256
    assert header["left_out"] > 0  # bands instead
    assert (tmp_path / "page.html").stat().st_size < 2e6


def test_the_room_is_kept_and_the_most_important_comes_first(
    logged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = page_of(tmp_path / "page.html", logged)
    size = sum(len(body) for body in whole.answers().values())
    assert size > 100_000
    monkeypatch.setattr(made, "ROOM", 30_000)
    monkeypatch.setattr(made, "ROOM_OF_A_RUN", 0)
    page = page_of(tmp_path / "small.html", logged)
    text = (tmp_path / "small.html").read_text()
    (answers,) = re.findall(r'id="answers">(.*?)</script>', text)
    assert len(answers) < 30_000 + 200 * len(page.answers())
    assert set(page.answers()) < set(whole.answers())
    main = {"call": "batch", "key": "episode_return_mean"}
    for name in ("answer", "comparison"):
        assert page.answer(name, **main) == whole.answer(name, **main)
    assert page.curves(main["key"]).groups


def test_pictures_are_those_of_the_sink(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    (address,) = page.addresses("pictures")
    listed = json.loads(page.answers()[address])["episodes"]
    assert len(listed) == 30
    files = {path.read_bytes() for path in logged.glob("svg/**/*.svg") if path.name != "sheet.svg"}
    drawn = [page.answers()[one["source"]] for one in listed if one["source"] in page.answers()]
    assert len(drawn) == made.MOST_PICTURES
    assert set(drawn) <= files


def test_without_the_sink_they_are_drawn_of_their_lines(logged: Path, tmp_path: Path) -> None:
    shutil.copytree(logged, tmp_path / "run", ignore=shutil.ignore_patterns("svg"))
    lines = tmp_path / "run" / "episodes.jsonl"
    lines.write_bytes(lines.read_bytes() + b'{"initial_state": broken\n')
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    drawn = [body for address, body in page.answers().items() if address.startswith("picture/")]
    assert len(drawn) == made.MOST_PICTURES
    assert b"initial" in drawn[0]
    assert b"final" in drawn[0]


def test_runs_share_the_room_of_pictures(logged: Path, tmp_path: Path) -> None:
    for number in range(40):
        shutil.copytree(
            logged, tmp_path / "runs" / str(number), ignore=shutil.ignore_patterns("svg")
        )
    page = page_of(tmp_path / "page.html", tmp_path / "runs")
    drawn = [address.split("/")[1] for address in page.answers() if address.startswith("picture/")]
    assert len(set(drawn)) >= 8
    assert max(drawn.count(run) for run in drawn) == made.PICTURES_OF_ALL // 40
    assert (tmp_path / "page.html").stat().st_size < 2e6


def test_several_runs_are_side_by_side(tmp_path: Path) -> None:
    for number in range(3):
        events = (
            metrics(s, *(({"seed": i}, {"loss": number + i / s}) for i in range(4))) for s in (1, 2)
        )
        run_of(tmp_path / f"run-{number}", events)
    run_of(tmp_path / "other", [metrics(5, ({}, {"accuracy": 0.5}), name="eval")])
    page = page_of(tmp_path / "page.html", tmp_path)
    assert page.answer("runs", limit="10000")["total"] == 4
    groups = page.curves("loss").groups
    assert set(groups) == {"run-0", "run-1", "run-2"}
    for number in range(3):
        found = groups[f"run-{number}"]["middle"]
        np.testing.assert_allclose(found, [number + 1.5, number + 0.75], rtol=1e-6)


def test_only_the_given_runs_are_in_it(tmp_path: Path) -> None:
    for number in range(3):
        run_of(tmp_path / f"run-{number}", [metrics(0, ({}, {"loss": float(number)}))])
    page = page_of(tmp_path / "page.html", tmp_path / "run-0", tmp_path / "run-2")
    rows = page.answer("runs", limit="10000")["rows"]
    assert sorted(row["name"] for row in rows) == ["run-0", "run-2"]
    code = page.curves("loss").header["python"]
    assert "run-1" not in code
    assert code.count("run-") == 2  # the paths, since the directory has another run


def test_a_run_that_logged_no_picture_has_none(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [metrics(0, ({}, {"loss": 1.0}))])
    assert page_of(tmp_path / "page.html", run).addresses("pictures") == []


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(tmp_path / "run", [metrics(s, ({}, {"loss": 1.0})) for s in range(4)])
    file = run / "batch_metrics.jsonl"
    first, _, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join([first, "broken\n", *others]))
    page = page_of(tmp_path / "page.html", run)
    assert "line 2" in capsys.readouterr().err
    assert any("line 2" in note for note in page.curves("loss").header["notes"])
