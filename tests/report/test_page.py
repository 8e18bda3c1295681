"""What stands in a report: the run's numbers, and texts of users as nothing but texts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import jaxlog
from jaxlog._report.call_charts import MOST_GROUPS, MOST_LANES
from jaxlog._report.episode_images import MOST_BYTES
from tests.reading.files import episode, metrics
from tests.report.pages import array, page_of, run_of

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&"
    "\u202e\u05dc\u05d5\u05dd 🦜\u2028\x00"
)
KNOWN_AT_ALL = HOSTILE.replace("\x00", "\ufffd")


def numbers_of(call: dict[str, Any], chart: dict[str, Any], number: str) -> Any:
    """A group's curve: at which steps, and the values."""
    curve = chart["groups"][number]
    steps = array(call["runs"][str(call["groups"][int(number)]["run"])]["step"])
    if "at" in curve:
        steps = steps[array(curve["at"])]
    return steps, array(curve["y"])


def test_the_numbers_are_those_of_the_lines(logged: Path, tmp_path: Path) -> None:
    (call,) = page_of(tmp_path / "page.html", logged).data()
    assert [group["name"] for group in call["groups"]] == ["learning_rate 0.5", "learning_rate 2"]
    assert [lane["name"] for lane in call["lanes"]][:2] == [
        "learning_rate 0.5 · seed 0",
        "learning_rate 0.5 · seed 1",
    ]
    frame = jaxlog.read_run(logged).metrics
    keys = {chart["key"]: chart for chart in call["charts"]}
    assert set(keys) == {
        *(f"episode_return_{statistic}" for statistic in ("mean", "std", "min", "max")),
        "episode_count",
        "policy_loss",
    }
    for number, rate in (("0", 0.5), ("1", 2.0)):
        own = frame.filter(pl.col("learning_rate") == rate)
        by_step = own.group_by("step", maintain_order=True).agg(
            pl.col("episode_return_mean", "policy_loss").fill_nan(None).mean()
        )
        for key in ("episode_return_mean", "policy_loss"):
            steps, values = numbers_of(call, keys[key], number)
            assert steps.tolist() == by_step["step"].to_list()
            np.testing.assert_allclose(values, by_step[key].to_numpy(), rtol=1e-6)
    lane = keys["policy_loss"]["lanes"]["1"]
    seed = frame.filter((pl.col("learning_rate") == 0.5) & (pl.col("seed") == 1))
    np.testing.assert_array_equal(array(lane["y"]), seed["policy_loss"].to_numpy().astype("f4"))
    assert np.isnan(array(lane["y"])[5])
    env_steps = array(call["runs"]["0"]["env_step"])
    assert env_steps.tolist() == by_step_of(frame, "env_step")


def by_step_of(frame: pl.DataFrame, name: str) -> list[float]:
    return frame.group_by("step", maintain_order=True).first()[name].to_list()


def test_the_table_compares_last_values(logged: Path, tmp_path: Path) -> None:
    words = page_of(tmp_path / "page.html", logged).words()
    frame = jaxlog.read_run(logged).metrics.filter(pl.col("step") == 39)
    for rate in (0.5, 2.0):
        last = frame.filter(pl.col("learning_rate") == rate)["episode_return_mean"]
        assert f"|{last.mean():.4g} ± {last.std(ddof=0):.2g}|" in words
        assert f"|{last.median():.4g}|" in words  # of three, the interquartile mean takes all
    assert "95% of IQM" in words


def test_groups_that_are_equal_have_no_marks(tmp_path: Path) -> None:
    """0.025 and the bootstrap's mean of three of it differ in the last bit."""
    lanes = [
        ({"rate": rate, "seed": seed}, {"loss": 0.025}) for rate in (1, 2) for seed in (0, 1, 2)
    ]
    page = page_of(tmp_path / "page.html", run_of(tmp_path / "run", [metrics(1, *lanes)]))
    assert page.words().count("|all are equal|") == 2
    assert "forest" not in [attributes.get("class") for _, attributes in page.tags]


def test_it_says_what_show_says_and_no_secret(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    words = page.words()
    for told in ("finished", "gamma 0.99", "versions", "devices", "240 in batch_metrics.jsonl"):
        assert told in words
    assert '"log_frequency": 1' in words
    assert "hunter2" not in (tmp_path / "page.html").read_text()
    assert "(redacted)" in words


def test_nothing_is_loaded_and_only_the_own_script_runs(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "action", "data", "poster", "srcset"):
                assert value is not None
                assert value.startswith(("#", "data:image/svg+xml;base64,")), value
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("script", "style"):
        text = next(
            text
            for inside, text in page.texts
            if inside[-1:] == (tag,) and not text.startswith("[")
        )
        hashed = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{hashed}'" in policy


def test_links_lead_to_sections(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    links = [str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"]
    assert len(names) == len(set(names))
    assert links == ["summary", "curves-0", "comparison-0", "episodes", "settings"]
    assert set(links) <= set(names)
    headings = [text for inside, text in page.texts if inside[-1:] in (("h2",), ("h4",))]
    assert headings == [
        "Summary",
        "Curves · batch",
        "Comparison · batch",
        "Episodes",
        "Config and settings",
        "Config",
        "Settings",
    ]


def hostile(directory: Path) -> Path:
    """A run in which every text is somebody's attack."""

    def events() -> Iterator[Any]:
        for step in range(3):
            lanes = (
                ({HOSTILE: HOSTILE + str(lane)}, {HOSTILE: 1.5 + lane, "n" * 10_000: 1.0})
                for lane in range(2)
            )
            yield metrics(step, *lanes)
        yield episode(1, {"environment_id": 0, HOSTILE: HOSTILE})

    run_of(directory, events())
    facts: dict[str, Any] = dict.fromkeys(("name", "error", "git"), HOSTILE)
    facts |= {"status": "failed", "tags": [HOSTILE], "devices": [HOSTILE]}
    facts |= {key: {HOSTILE: HOSTILE} for key in ("config", "settings", "versions")}
    facts["sinks"] = [{"kind": HOSTILE, "written": 1, "lost": 2, "failure": HOSTILE}]
    (directory / "run.json").write_text(json.dumps(facts))
    picture = directory / "svg" / "batch" / "step_0000000001" / "lane_0000_env_000000.svg"
    picture.parent.mkdir(parents=True)
    picture.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(3)</script>'
        '<image href="http://example.com/x.png" width="9" height="9"/></svg>'
    )
    return directory


def test_texts_of_users_are_texts(tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", hostile(tmp_path / "run"))
    assert [tag for tag, _ in page.tags].count("script") == 2
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [set(attributes) for attributes in images] == [{"src", "alt", "decoding"}]
    # In a line of facts control and format characters are shown, and white space is one space.
    shown = KNOWN_AT_ALL.replace("\u2028", " ").replace("\u202e", "\ufffd")
    assert f"|{shown}|" in page.words()
    (call,) = page.data()
    assert call["charts"][0]["key"] == HOSTILE
    assert max(len(chart["key"]) for chart in call["charts"]) < 200


def test_the_policy_stands_before_anything_of_a_user(tmp_path: Path) -> None:
    page_of(tmp_path / "page.html", hostile(tmp_path / "run"))
    text = (tmp_path / "page.html").read_text()
    assert text.index("Content-Security-Policy") < text.index("alert(1)")


@pytest.mark.parametrize("lines", [0, 1])
def test_hardly_any_lines(lines: int, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [metrics(7, ({}, {"loss": 1.25}))] * lines)
    (run / "run.json").write_text("{}")
    page = page_of(tmp_path / "page.html", run)
    if lines:
        (call,) = page.data()
        assert numbers_of(call, call["charts"][0], "0")[0].tolist() == [7.0]
        assert "|1.25|" in page.words()
    else:
        assert "Curves" not in page.words()


def test_a_run_of_a_single_environment(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run"):
        for number in range(3):
            logger.log_episode_summary({"total_reward": 1.5 * number, "task": "maze"})
            logger.log_evaluation_summary({"accuracy": 0.25 * number})
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    assert "3 in episodes.jsonl" in page.words()
    found = {
        chart["key"]: numbers_of(call, chart, "0")[1].tolist()
        for call in page.data()
        for chart in call["charts"]
    }
    assert found["total_reward"] == [0.0, 1.5, 3.0]
    assert found["accuracy"] == [0.0, 0.25, 0.5]


def test_tasks_that_follow_each_other_are_one_curve_which_is_named_for_none(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    for name, tasks in (("one", ["maze"]), ("two", ["maze", "door"])):
        with logger.open(tmp_path / name):
            for task in tasks:
                logger.log_task_start({"task_id": task})
                logger.log_episode_summary({"total_reward": 1.0})
        (call,) = page_of(tmp_path / "page.html", tmp_path / name).data()
        (group,), (lane,) = call["groups"], call["lanes"]
        expected = "task_id maze" if name == "one" else "the run"
        assert (group["name"], lane["name"]) == (expected, expected)


def test_values_that_are_extreme(tmp_path: Path) -> None:
    values = {"huge": 1.7e308, "tiny": 5e-324, "low": -1.7e308, "inf": float("inf")}
    whole = {"count": 2**53 - 1, "yes": True}
    run = run_of(tmp_path / "run", [metrics(step, ({}, values | whole)) for step in range(4)])
    (call,) = page_of(tmp_path / "page.html", run).data()
    found = {chart["key"]: numbers_of(call, chart, "0")[1].tolist() for chart in call["charts"]}
    assert found["huge"] == [1.7e308] * 4
    assert found["low"] == [-1.7e308] * 4
    assert found["inf"] == [float("inf")] * 4
    assert found["yes"] == [1.0] * 4
    svgs = re.findall(r' d="([^"]*)"', (tmp_path / "page.html").read_text())
    assert svgs
    assert not any(bad in d for d in svgs for bad in ("nan", "inf"))


def test_a_metric_may_be_called_name(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [metrics(0, ({}, {"name": 1.0, "episode": 2.0}))])
    (call,) = page_of(tmp_path / "page.html", run).data()
    assert [chart["key"] for chart in call["charts"]] == ["name", "episode"]


def test_a_metric_that_comes_late_begins_late(tmp_path: Path) -> None:
    late = (
        metrics(step, ({}, {"a": 1.0} | ({"b": 2.0} if step > 150 else {}))) for step in range(200)
    )
    (call,) = page_of(tmp_path / "page.html", run_of(tmp_path / "run", late)).data()
    steps, _ = numbers_of(call, call["charts"][1], "0")
    assert (steps[0], steps[-1], len(steps)) == (151, 199, 49)


def test_many_lanes_and_metrics_make_no_large_file(tmp_path: Path) -> None:
    lanes = range(256)
    keys = [f"metric_{number}" for number in range(100)]
    events = (
        metrics(s, *(({"rate": lane, "seed": 0}, dict.fromkeys(keys, 0.1 * s)) for lane in lanes))
        for s in range(8)
    )
    page = page_of(tmp_path / "page.html", run_of(tmp_path / "run", events))
    (call,) = page.data()
    assert 40 < len(call["groups"]) <= MOST_GROUPS
    assert call["groups"][0]["name"] == "rate 0"
    assert call["groups"][-1]["name"] == "rate 255"
    assert len(call["lanes"]) <= MOST_LANES
    assert f"{len(call['groups'])} of 256 groups are shown" in page.words()
    assert (tmp_path / "page.html").stat().st_size < 5e6


def test_a_long_run_is_thinned_and_keeps_its_extremes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    values[12_345] = 99.0
    events = (metrics(step, ({}, {"loss": value})) for step, value in enumerate(values.tolist()))
    (call,) = page_of(tmp_path / "page.html", run_of(tmp_path / "run", events)).data()
    steps, found = numbers_of(call, call["charts"][0], "0")
    assert len(steps) <= 602
    assert found[steps.tolist().index(12_345)] == 99.0
    np.testing.assert_allclose(found, values[steps.astype(int)], rtol=1e-6)
    assert found.min() == np.float32(values.min())


def test_pictures_are_those_of_the_sink(logged: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", logged)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    files = {path.read_bytes() for path in logged.glob("svg/**/*.svg") if path.name != "sheet.svg"}
    drawn = [base64.b64decode(str(image["src"]).split(",")[1]) for image in images]
    assert len(drawn) == 20  # four of each step
    assert set(drawn) <= files
    assert {str(image["alt"]).split(" · ")[1] for image in images} == {
        f"step {step}" for step in (0, 10, 20, 30, 39)
    }
    assert "20 of 30 episodes; 10 are left out here." in page.words()


def test_without_the_sink_they_are_drawn_of_their_lines(logged: Path, tmp_path: Path) -> None:
    shutil.copytree(logged, tmp_path / "run", ignore=shutil.ignore_patterns("svg"))
    lines = tmp_path / "run" / "episodes.jsonl"
    lines.write_bytes(lines.read_bytes() + b'{"initial_state": broken\n')
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert 20 <= len(images) <= 24
    svg = base64.b64decode(str(images[0]["src"]).split(",")[1]).decode()
    assert "initial" in svg
    assert "final" in svg


def test_a_picture_that_is_too_large_leaves_room_for_the_others(
    logged: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(logged, run)
    drawn = sorted(path for path in run.glob("svg/**/*.svg") if path.name != "sheet.svg")
    whole = drawn[0].read_text()
    drawn[0].write_text(whole.replace("</svg>", f"<!--{'x' * MOST_BYTES}--></svg>"))
    page = page_of(tmp_path / "page.html", run)
    assert [tag for tag, _ in page.tags].count("img") == 19
    assert "19 of 30 episodes; 11 are left out here." in page.words()
    for path in drawn[1:]:
        path.write_text(drawn[0].read_text())
    page = page_of(tmp_path / "page.html", run)
    assert "img" not in [tag for tag, _ in page.tags]
    assert "0 of 30 episodes; 30 are left out here." in page.words()


def test_episodes_without_states_have_no_pictures(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [episode(1, {"total_reward": 2.0})])
    page = page_of(tmp_path / "page.html", run)
    assert "img" not in [tag for tag, _ in page.tags]


def test_several_runs_are_side_by_side(tmp_path: Path) -> None:
    for number in range(3):
        events = (
            metrics(s, *(({"seed": i}, {"loss": number + i / s}) for i in range(4))) for s in (1, 2)
        )
        run_of(tmp_path / f"run-{number}", events)
    run_of(tmp_path / "other", [metrics(5, ({}, {"accuracy": 0.5}), name="eval")])
    page = page_of(tmp_path / "page.html", tmp_path)
    batch, evaluation = page.data()
    assert [group["name"] for group in batch["groups"]] == ["run-0", "run-1", "run-2"]
    assert [group["lanes"] for group in batch["groups"]] == [4, 4, 4]
    assert [group["name"] for group in evaluation["groups"]] == ["other"]
    for number in range(3):
        _, values = numbers_of(batch, batch["charts"][0], str(number))
        np.testing.assert_allclose(values, [number + 1.5, number + 0.75], rtol=1e-6)
    assert "4 runs" in page.words()
