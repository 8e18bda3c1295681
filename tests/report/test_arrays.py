"""The arrays of runs in a report: the last of some lanes, and a few steps before."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import jaxlog
from jaxlog._report import array_images
from jaxlog._report.array_images import MOST_LANES, MOST_STEPS
from tests.report.pages import Parsed, page_of

HOSTILE = "<script>alert(1)</script> \x00 \u202e"


def pictures(page: Parsed) -> dict[str, list[str]]:
    """The texts in each picture, by its title."""
    found = {}
    for tag, attributes in page.tags:
        if tag == "img":
            kind, data = str(attributes["src"]).split(",")
            assert kind == "data:image/svg+xml;base64"
            root = ElementTree.fromstring(base64.b64decode(data))
            texts = root.iter("{http://www.w3.org/2000/svg}text")
            found[str(attributes["alt"])] = ["".join(text.itertext()) for text in texts]
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
    words = page.words()
    assert "|eval/table|" in words
    assert "9 of 270 lines with arrays of this call; the others are left out here." in words
    assert any(title.startswith("end/<script>") for title in found)
    assert any(title.startswith("end/empty") for title in found)
    assert "alert(1)" not in [text for inside, text in page.texts if "script" in inside]


def test_a_run_without_arrays_has_no_section(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run") as run:
        run.log({"x": 1.0}, step=0)
    assert "|Arrays|" not in page_of(tmp_path / "page.html", tmp_path / "run").words()


def test_pictures_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run") as run:
        for step in range(3):
            run.log(step=step, arrays={"noise": np.random.default_rng(step).random((9, 9))})
    monkeypatch.setattr(array_images, "MOST_BYTES", 6000)
    page = page_of(tmp_path / "page.html", tmp_path / "run")
    shown = len(pictures(page))
    assert 0 < shown < 3
    assert (
        f"{shown} of 3 lines with arrays of this call; the others are left out here."
        in page.words()
    )


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
