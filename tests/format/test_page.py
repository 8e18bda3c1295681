"""The page that describes the files names whatever is in them, and suffices to read them."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import jax.numpy as jnp

import jaxlog
from jaxlog._format.events import MetricsEvent
from jaxlog._format.lines import FIELDS, KINDS, LANES, OVER_LANES
from tests.conftest import MakeLogger

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "format.md").read_text()
GUIDE = (DOCS / "guides" / "writing_a_sink.md").read_text()


def named(text: str) -> set[str]:
    """The names of a text, in backticks."""
    return set(re.findall(r"`([a-z_]+)`", text))


NAMED = named(PAGE)


def test_its_table_of_lines_names_every_field() -> None:
    table = PAGE.partition("\n## Lines\n")[2].partition("\n## ")[0]
    first = " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))
    parts = {part for kind in KINDS.values() for part in kind.parts}
    assert {*FIELDS, *parts, "labels", "metrics", "nonfinite"} <= named(first)


def test_its_section_about_columns_names_every_field() -> None:
    section = PAGE.partition("\n## Columns\n")[2].partition("\n## ")[0]
    assert {*LANES.own, *OVER_LANES.own} <= named(section)


def test_the_guide_names_the_attributes_of_an_event_that_are_fields() -> None:
    (row,) = re.findall(r"^\| `write_metrics` \|.*$", GUIDE, re.MULTILINE)
    attributes = {one.name for one in dataclasses.fields(MetricsEvent)}
    assert attributes & FIELDS.keys() <= named(row)


def test_it_names_every_field_of_run_json(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(1, sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path, config={"clip": math.inf}) as run:
        run.log({"loss": math.nan}, step=0)
        for seed in range(2):
            jaxlog.log(logger, jnp.int32(0), {"loss": 1.0}, labels={"seed": seed})
        state = run.state()
    try:
        with logger.open(tmp_path, if_exists="resume", state=state) as run:
            run.log({"loss": 1.0}, step=1)
            raise RuntimeError
    except RuntimeError:
        pass
    facts = json.loads((tmp_path / "run.json").read_text())
    assert set(facts) - NAMED == set()
    assert {"nonfinite", "lane_labels"} <= set(facts)
    assert not {field for call in facts["health"].values() for field in call} - NAMED
    keys = facts["calls"]["eval"]["keys"]["loss"]
    assert not set(keys) - NAMED
    health = facts["health"]["eval"]["keys"]["loss"]
    assert not set(health) - NAMED
    assert not {field for sink in facts["sinks"] for field in sink} - NAMED


def test_a_reader_made_from_it_reads_what_was_logged(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(2, log_frequency=1, sinks=[{"kind": "jsonl"}, {"kind": "memory"}])
    with logger.open(tmp_path):
        for step, returns in enumerate([[1.0, 2.5], [jnp.inf, jnp.nan]]):
            jaxlog.batch_step(logger, step, {"episode_returns": jnp.array(returns), "q_max": 3})

    calls = json.loads((tmp_path / "run.json").read_text())["calls"]
    found = []
    for text in (tmp_path / "batch_metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        values = {
            key: float(line["nonfinite"][key]) if value is None else value
            for key, value in line["metrics"].items()
        }
        of_returns = {
            meaning["statistic"]: values[key]
            for key, meaning in calls["batch"]["keys"].items()
            if meaning["metric"] == "episode_returns" and key in values
        }
        found.append((line["step"], of_returns.get("mean"), of_returns.get("nonfinite")))
    (first, second) = found
    assert first == (0, 1.75, None)
    assert (second[0], second[2]) == (1, 2)
    assert math.isnan(second[1])
