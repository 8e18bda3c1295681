"""The arrays of runs on the page: the last of some lanes, and a few steps before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import jaxlog
from jaxlog._page import array_pictures
from jaxlog._page.array_pictures import MOST_LANES, MOST_STEPS
from tests.report.pages import Parsed, page_of

HOSTILE = "<script>alert(1)</script> \x00 \u202e"


def listed(page: Parsed) -> dict[str, Any]:
    """The answer to `pictures` of the only run."""
    (address,) = page.addresses("pictures")
    return json.loads(page.answers()[address])


def pictures(page: Parsed) -> dict[str, list[str]]:
    """The texts in each picture of an array, by its title."""
    found = {}
    for one in listed(page)["arrays"]:
        root = ElementTree.fromstring(page.answers()[one["source"]])
        texts = root.iter("{http://www.w3.org/2000/svg}text")
        found[one["title"]] = ["".join(text.itertext()) for text in texts]
    return found


def test_the_last_arrays_of_lanes_and_earlier_steps_of_the_first(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run", lanes=[{"seed": i} for i in range(9)]) as run:
        for step in range(30):
            tables = np.full((9, 2, 2), step) + np.arange(9)[:, None, None]
            run.log({"x": np.arange(9)}, step=step, arrays={"table": tables})
        run.log(step=7, arrays={HOSTILE: np.ones(3), "empty": np.ones(0)}, name="end")
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    found = pictures(page)
    steps = np.linspace(0, 29, MOST_STEPS).round().astype(int)
    lanes = np.linspace(0, 8, MOST_LANES).round().astype(int)[1:]
    assert list(found)[: MOST_STEPS + MOST_LANES - 1] == [
        *(f"eval/table · step {step} · lane 0 · seed 0" for step in steps),
        *(f"eval/table · step 29 · lane {lane} · seed {lane}" for lane in lanes),
    ]
    # The scale of a heat map of equal numbers.
    assert "29" in found["eval/table · step 29 · lane 0 · seed 0"]
    assert "37" in found["eval/table · step 29 · lane 8 · seed 8"]
    assert listed(page)["arrays_left_out"] == 270 - 9
    assert any(title.startswith("end/<script>") for title in found)
    assert any(title.startswith("end/empty") for title in found)
    assert "alert(1)" not in (tmp_path / "page.html").read_text()


def test_pictures_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run") as run:
        for step in range(3):
            run.log(step=step, arrays={"noise": np.random.default_rng(step).random((9, 9))})
    monkeypatch.setattr(array_pictures, "MOST_BYTES", 4500)
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    shown = len(pictures(page))
    assert 0 < shown < 3
    assert listed(page)["arrays_left_out"] == 3 - shown


def test_damaged_lines_have_no_pictures(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run") as run:
        for step in range(3):
            run.log({"x": 1.0}, step=step, arrays={"a": np.eye(2)})
    file = tmp_path / "run" / "arrays.jsonl"
    first, second, third = file.read_text().splitlines()
    file.write_text("\n".join([first, second.replace("[[1.0", "[[[1.0"), "x", third + "\n"]))
    found = pictures(page_of(tmp_path / "page.html", tmp_path / "run"))
    assert list(found) == ["eval/a · step 0 · lane 0", "eval/a · step 2 · lane 0"]
