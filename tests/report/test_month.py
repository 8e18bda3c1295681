"""The report, the list and the tables of a month of runs: what died is said, and wins nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._cli.main import main
from tests.browser import Open
from tests.month import RUNS, SEEDS, UPDATES, alive, returns_at
from tests.report.pages import Parsed, page_of

KEY = "episode_return_mean"


@pytest.fixture(scope="session")
def file(month: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the month."""
    file = tmp_path_factory.mktemp("month") / "page.html"
    page_of(file, month)
    return file


@pytest.fixture(scope="session")
def page(file: Path) -> Parsed:
    """What stands in it."""
    return Parsed(file.read_text("utf-8"))


def group_of(run: str) -> str:
    """The name of the group of a run: the keys of its config that differ."""
    algorithm, rate = run.split("-")
    return f"algorithm {algorithm}, learning_rate {float(rate):g}"


GROUPS = {group_of(name): name for name in RUNS}


def rows_of(page: Parsed, key: str) -> dict[str, dict[str, Any]]:
    """What the comparison has of each run, in its order."""
    rows = page.answer("comparison", call="batch", key=key)["rows"]
    return {GROUPS[row["name"]]: row for row in rows}


def test_the_comparison_ranks_by_what_happened(page: Parsed) -> None:
    rows = rows_of(page, KEY)
    last = {name: returns_at(name, (RUNS[name].stopped_at or UPDATES) - 1) for name in RUNS}
    assert {
        name: (row["alive"], row["lanes"], row["unfinished"]) for name, row in rows.items()
    } == {
        "ppo-0.01": (8, 8, 0),
        "ppo-0.1": (8, 8, 0),
        "ppo-1.0": (5, 8, 0),
        "ppo-10.0": (0, 8, 0),
        "sac-0.01": (8, 8, 8),
        "sac-0.1": (3, 8, 0),
        "sac-1.0": (7, 8, 8),
    }
    # A lane that died counts as the worst that any finished run has, here of ppo-0.01.
    worst = np.nanmin(last["ppo-0.01"])
    expected = {}
    for name in ("ppo-0.01", "ppo-0.1", "ppo-1.0", "ppo-10.0", "sac-0.1"):
        scores = np.sort(np.where(np.isfinite(last[name]), last[name], worst))
        expected[name] = scores[SEEDS // 4 : -SEEDS // 4].mean()
    found = {name: row["value"] for name, row in rows.items()}
    assert found == {
        **{n: pytest.approx(v) for n, v in expected.items()},
        "sac-0.01": None,
        "sac-1.0": None,
    }
    assert [name for name in rows if found[name] is not None] == sorted(
        expected, key=lambda name: expected[name], reverse=True
    )
    assert next(iter(rows)) == "ppo-0.1"
    answer = page.answer("answer", call="batch", key=KEY)["answer"]["text"]
    assert answer.startswith("algorithm ppo, learning_rate 0.1 leads: ")


def test_curves_say_how_many_lanes_live(page: Parsed) -> None:
    groups = page.curves(KEY).groups
    assert set(groups) == set(GROUPS)
    for name, group in ((GROUPS[one], group) for one, group in groups.items()):
        ended = group["x"] % 7 != 3
        expected = [alive(name, int(step)) for step in group["x"][ended]]
        assert group["alive"][ended].tolist() == expected


def test_the_first_lines_say_what_died_and_what_has_not_finished(page: Parsed) -> None:
    runs = page.answer("runs", limit="10000")
    alarms = {alarm["kind"]: alarm["text"] for alarm in runs["state"]["alarms"]}
    assert alarms == {"diverged": "4 diverged", "failed": "1 failed", "killed": "1 killed"}
    notes = {row["name"]: row["notes"] for row in runs["rows"]}
    assert notes["ppo-1.0"] == ["diverged: 3 of 8 lanes"]
    assert notes["sac-1.0"][0] == "diverged: 1 of 8 lanes"
    assert notes["ppo-0.1"] == []
    facts = "\n".join(page.facts())
    for said in (
        "diverged (5 of 8 lanes, from step 50)",
        "diverged (1 of 8 lanes, from step 15) · unfinished (70 of 100 updates)",
        "unfinished (30 of 100 updates)",
    ):
        assert said in facts


def test_a_browser_shows_it(file: Path, open_page: Open) -> None:
    opened = open_page(file, viewport={"width": 1280, "height": 900})
    opened.page.wait_for_selector("#main canvas")
    assert opened.page.locator("#answer").inner_text().startswith("algorithm ppo")
    shown = opened.page.locator("#comparison tbody tr", has_text="sac, 0.1")
    assert "3/8" in shown.inner_text()
    died = opened.page.locator(".rows .row", has_text="ppo-10.0")
    assert "diverged" in died.inner_text()
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
    (group,) = page_of(tmp_path / "page.html", tmp_path / "run").curves("q_max").groups.values()
    assert group["middle"].tolist() == [5.0]


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
    (group,) = page_of(tmp_path / "page.html", run).curves("q_max").groups.values()
    assert group["middle"].tolist() == [10.0]
