"""The report, the list and the tables of a month of runs: what died is said, and wins nothing."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._cli.main import main
from tests.browser import Open
from tests.month import RUNS, SEEDS, UPDATES, alive, returns_at
from tests.report.pages import Parsed, array, page_of

KEY = "episode_return_mean"


@pytest.fixture(scope="session")
def page(month: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the month."""
    file = tmp_path_factory.mktemp("month") / "page.html"
    page_of(file, month)
    return file


def rows_of(page: Path, key: str) -> dict[str, list[str]]:
    """What the comparison has of a metric: the cells of each group, by its name."""
    text = re.sub(r">\s+<", "><", page.read_text("utf-8"))
    (body,) = re.findall(rf"<tbody><tr><th [^>]*><bdi>{key}</bdi></th>(.*?)</tbody>", text)
    rows = [
        [html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td.*?</td>", row)]
        for row in body.split("</tr>")
        if row
    ]
    return {row[0]: row[1:] for row in rows}


def test_the_comparison_ranks_by_what_happened(page: Path) -> None:
    rows = rows_of(page, KEY)
    last = {name: returns_at(name, (RUNS[name].stopped_at or UPDATES) - 1) for name in RUNS}
    words = {
        name: f"{np.nanmean(own):.4g} ± {np.nanstd(own):.2g}"
        for name, own in last.items()
        if name != "ppo-10.0"
    }
    assert {name: row[:4] for name, row in rows.items()} == {
        "ppo-0.01": ["8", "", "", words["ppo-0.01"]],
        "ppo-0.1": ["8", "", "", words["ppo-0.1"]],
        "ppo-1.0": ["8", "3", "", f"{words['ppo-1.0']} (5 of 8 lanes)"],
        "ppo-10.0": ["8", "8", "", "NaN (0 of 8 lanes)"],
        "sac-0.01": ["8", "", "8", words["sac-0.01"]],
        "sac-0.1": ["8", "5", "", f"{words['sac-0.1']} (3 of 8 lanes)"],
        "sac-1.0": ["8", "1", "8", f"{words['sac-1.0']} (7 of 8 lanes)"],
    }
    # A lane that died counts as the worst that any finished run has, here of ppo-0.01.
    worst = np.nanmin(last["ppo-0.01"])
    expected = {}
    for name in ("ppo-0.01", "ppo-0.1", "ppo-1.0", "ppo-10.0", "sac-0.1"):
        scores = np.sort(np.where(np.isfinite(last[name]), last[name], worst))
        expected[name] = f"{scores[SEEDS // 4 : -SEEDS // 4].mean():.4g}"
    found = {name: row[4] for name, row in rows.items()}
    assert found == {**expected, "sac-0.01": "", "sac-1.0": ""}
    ranked = sorted(expected, key=lambda name: float(found[name]), reverse=True)
    assert ranked[0] == "ppo-0.1"
    assert float(found["ppo-10.0"]) == pytest.approx(worst, rel=1e-3)


def test_a_count_of_what_is_not_finite_is_0_where_the_lines_have_none(page: Path) -> None:
    rows = rows_of(page, "episode_return_nonfinite")
    assert {name: row[0] for name, row in rows.items()} == dict.fromkeys(rows, "8")
    assert rows["sac-0.1"][3] == "2.5 ± 1.9"  # 4 episodes of each of 5 lanes


def test_curves_say_how_many_lanes_live(page: Path) -> None:
    (call,) = Parsed(page.read_text("utf-8")).data()
    (chart,) = [chart for chart in call["charts"] if chart["key"] == KEY]
    for number, group in enumerate(call["groups"]):
        curve, name = chart["groups"][str(number)], group["name"]
        steps = array(call["runs"][str(group["run"])]["step"])
        steps = steps[array(curve["at"])] if "at" in curve else steps
        if not RUNS[name].diverged:
            assert "alive" not in curve
            continue
        found = dict(zip(steps.astype(int).tolist(), array(curve["alive"]).tolist(), strict=True))
        ended = [step for step in found if step % 7 != 3]
        assert {step: found[step] for step in ended} == {step: alive(name, step) for step in ended}


def test_the_legend_says_what_died_and_what_has_not_finished(page: Path) -> None:
    (call,) = Parsed(page.read_text("utf-8")).data()
    assert {group["name"]: group["beside"] for group in call["groups"]} == {
        "ppo-0.01": ["8 lanes"],
        "ppo-0.1": ["8 lanes"],
        "ppo-1.0": ["5 of 8 lanes alive"],
        "ppo-10.0": ["0 of 8 lanes alive"],
        "sac-0.01": ["8 lanes", "killed: 30 of 100 updates"],
        "sac-0.1": ["3 of 8 lanes alive"],
        "sac-1.0": ["7 of 8 lanes alive", "failed: 70 of 100 updates"],
    }
    lanes = {lane["name"]: lane["beside"] for lane in call["lanes"]}
    assert lanes["ppo-1.0 · seed 0"] == []
    assert lanes["ppo-1.0 · seed 1"] == ["diverged"]
    assert lanes["sac-1.0 · seed 2"] == ["diverged", "failed: 70 of 100 updates"]
    words = Parsed(page.read_text("utf-8")).words()
    for said in (
        "| · 3 of 8 lanes alive|",
        "|diverged (5 of 8 lanes, from step 50)|",
        "|diverged (1 of 8 lanes, from step 15) · unfinished (70 of 100 updates)|",
        "|unfinished (30 of 100 updates)|",
    ):
        assert said in words


def test_curves_are_dashed_once_a_lane_has_died(page: Path) -> None:
    text = re.sub(r"\s+", " ", page.read_text("utf-8"))
    (figure,) = re.findall(rf'<figcaption><bdi class="key">{KEY}</bdi>.*?</figure>', text)
    paths = re.findall(r'<path class="line c(\d) d0( died)?" d="([^"]*)"', figure)
    names = list(RUNS)
    dashed = {names[int(colour)] for colour, died, _ in paths if died}
    assert dashed == {name for name, run in RUNS.items() if run.diverged}
    assert "not finite" in figure


def test_curves_of_the_script_are_dashed_and_say_how_many_live(page: Path, open_page: Open) -> None:
    opened = open_page(page, viewport={"width": 1280, "height": 900})
    figure = opened.page.locator("figure.chart", has=opened.page.locator(f"text={KEY}")).first
    figure.scroll_into_view_if_needed()
    opened.page.wait_for_function("document.querySelectorAll('.line.died').length > 0")
    assert figure.locator(".line.died").count() == sum(bool(run.diverged) for run in RUNS.values())
    box = figure.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 90)
    told = figure.locator(".tooltip").inner_text()
    assert "100 ± 1 (3 of 8 lanes)" in told
    assert "60.65 ± 1.1" in told
    assert "NaN (0 of 8 lanes)" in told
    legend = opened.page.locator("#curves-0 .legend li").all_inner_texts()
    assert "sac-0.1 · 3 of 8 lanes alive" in legend
    assert "sac-0.01 · 8 lanes · killed: 30 of 100 updates" in legend
    assert (opened.said, opened.asked) == ([], [])


@pytest.fixture(autouse=True)
def as_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-xdist tells how wide its workers are."""
    monkeypatch.delenv("COLUMNS", raising=False)


def test_the_list_of_runs_says_what_died(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(month)]) == 0
    found = {}
    for line in capsys.readouterr().out.splitlines()[1:]:
        path, status, done, *_, last = re.split(r" {2,}", line.strip())
        found[Path(path).name] = (status, done, last if "(" in last else "")
    assert found == {
        "ppo-0.01": ("finished", "100/100", ""),
        "ppo-0.1": ("finished", "100/100", ""),
        "ppo-1.0": ("finished", "100/100", "diverged (3 of 8 lanes, from step 30)"),
        "ppo-10.0": ("finished", "100/100", "diverged (8 of 8 lanes, from step 20)"),
        "sac-0.01": ("killed", "30/100", "unfinished (30 of 100 updates)"),
        "sac-0.1": ("finished", "100/100", "diverged (5 of 8 lanes, from step 50)"),
        "sac-1.0": (
            "failed",
            "70/100",
            "diverged (1 of 8 lanes, from step 15) · unfinished (70 of 100 updates)",
        ),
    }


@pytest.mark.parametrize("name", RUNS)
def test_the_tables_of_a_run_say_what_died(
    month: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(month / name)]) == 0
    out = capsys.readouterr().out
    step = (RUNS[name].stopped_at or UPDATES) - 1
    live = alive(name, step)
    (row,) = re.findall(r"^  episode_return  .*$", out, re.MULTILINE)
    if live == 0:
        assert row.split()[1:5] == ["NaN", "(0", "of", "8"]
    else:
        own = returns_at(name, step)
        expected = f"{np.nanmean(own):.4g} ± {np.nanstd(own):.2g}"
        assert f" {expected} ({live} of 8 lanes) " in row or (live == SEEDS and expected in row)
    ended = {"killed": "killed after 30 of 100", "failed": "failed after 70 of 100"}
    assert ended.get(RUNS[name].status, "finished ━") in out


def test_a_scalar_is_its_mean_whatever_it_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = jaxlog.Logger({"batched_logging_enabled": True, "sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run"):
        every = jax.vmap(
            lambda q: jaxlog.batch_step(logger, 0, {"q_max": q, "episode_returns": jnp.ones(2)})
        )
        every(jnp.array([0.0, 10.0]))
    for command in ("show", "tail"):
        assert main([command, str(tmp_path / "run")]) == 0
        assert re.search(r"q_max +5 ± 5( |\n)", capsys.readouterr().out)
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    assert "| 5 ± 5|" in page.words()
    (chart,) = [chart for chart in page.data()[0]["charts"] if chart["key"] == "q_max"]
    assert array(chart["groups"]["0"]["y"]).tolist() == [5.0]


def test_a_run_whose_key_was_a_statistic_is_what_run_json_says(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    key = {"metric": "q", "statistic": "max", "kind": "statistic", "stem": "q", "category": "other"}
    (run / "run.json").write_text(json.dumps({"calls": {"batch": {"keys": {"q_max": key}}}}))
    with (run / "batch_metrics.jsonl").open("w") as file:
        for lane, value in enumerate((0.0, 10.0)):
            line = {"timestamp": 1.5, "step": 0, "lane": lane, "labels": {}}
            file.write(json.dumps(line | {"metrics": {"q_max": value}}, separators=(",", ":")))
            file.write("\n")
    (chart,) = page_of(tmp_path / "page.html", run).data()[0]["charts"]
    assert array(chart["groups"]["0"]["y"]).tolist() == [10.0]
