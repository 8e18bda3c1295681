"""The images and tables of runs on the page, frozen and live."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import jaxlog
from jaxlog._page import vendored
from jaxlog._page.array_pictures import MOST_LANES, MOST_STEPS
from jaxlog._page.asked import AbsentError
from jaxlog._page.run_pictures import RunPictures
from jaxlog._page.shown_media import MOST_COLUMNS, MOST_ROWS
from jaxlog._render.png import own_pixels
from tests.browser import REQUIRED, Open
from tests.report.pages import page_of

HOSTILE = "<script>alert(1)</script> \x00 \u202e"


def logged(directory: Path) -> Path:
    """A run of nine lanes that logs an image at 30 steps, and tables."""
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(directory, lanes=[{"seed": i} for i in range(9)]) as run:
        for step in range(30):
            images = [jaxlog.Image(np.full((2, 3, 3), 10 * i + step, np.uint8)) for i in range(9)]
            run.log({"x": np.arange(9), "frame": images}, step=step)
        for step in range(3):
            rows = [[HOSTILE, step, float("nan"), None], *[[i, 0.5, "x", True] for i in range(80)]]
            table = jaxlog.Table(["task", "n", "m", HOSTILE], rows)
            run.log({"tasks": table}, step=step, name="end")
        wide = jaxlog.Table([f"c{i}" for i in range(40)], [range(40)])
        large = jaxlog.Image(np.zeros((300, 400), np.uint8), HOSTILE)
        run.log({"wide": wide, HOSTILE: large}, step=7, name="end")
    return directory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logged(tmp_path_factory.mktemp("media") / "run")


def pixels(svg: bytes) -> np.ndarray:
    """The pixels of the image in an SVG."""
    root = ElementTree.fromstring(svg)
    (image,) = root.iter("{http://www.w3.org/2000/svg}image")
    kind, data = image.attrib["href"].split(",")
    assert kind == "data:image/png;base64"
    return own_pixels(base64.b64decode(data))


def test_the_last_images_of_lanes_and_earlier_steps_of_the_first(run: Path) -> None:
    pictures = RunPictures(jaxlog.read_run(run))
    listed = pictures.listed("r", 1)
    steps = np.linspace(0, 29, MOST_STEPS).round().astype(int)
    lanes = np.linspace(0, 8, MOST_LANES).round().astype(int)[1:]
    expected = [(step, 0) for step in steps] + [(29, lane) for lane in lanes]
    found = [one for one in listed["images"] if one["title"].startswith("eval/frame")]
    assert [one["title"] for one in found] == [
        f"eval/frame · step {step} · lane {lane} · seed {lane}" for step, lane in expected
    ]
    for one, (step, lane) in zip(found, expected, strict=True):
        drawn = pixels(pictures.of(one["source"].rpartition("/")[2]))
        np.testing.assert_array_equal(drawn, np.full((2, 3, 3), 10 * lane + step))
    (large,) = [one for one in listed["images"] if one["wide"]]
    assert large["title"].startswith("end/<script>")
    assert large["title"].isprintable()
    assert listed["media_left_out"] == 30 * 9 - len(expected) + 2
    with pytest.raises(AbsentError, match="which is no image of this run"):
        pictures.of("image-99")


def test_the_last_table_of_each_name_is_shown_and_what_is_not_is_said(run: Path) -> None:
    tasks, wide = RunPictures(jaxlog.read_run(run)).listed("r", 1)["tables"]
    assert tasks["title"] == "end/tasks · step 2 · lane 0"
    first = tasks["rows"][0]
    assert (first[1], str(first[2]), first[3]) == (2, "nan", None)
    assert len(tasks["rows"]) == MOST_ROWS
    assert tasks["rows_left_out"] == 81 - MOST_ROWS
    assert (len(wide["columns"]), wide["columns_left_out"]) == (MOST_COLUMNS, 40 - MOST_COLUMNS)
    assert all(len(row) == MOST_COLUMNS for row in wide["rows"])


def test_an_image_whose_file_is_gone_is_not_shown(tmp_path: Path) -> None:
    directory = logged(tmp_path)
    before = RunPictures(jaxlog.read_run(directory))
    listed = before.listed("r", 1)["images"]
    (directory / "images/eval/frame-step_0000000029-lane_0008.png").unlink()
    last = next(one["source"] for one in listed if "step 29 · lane 8" in one["title"])
    with pytest.raises(AbsentError, match="as many files of images are kept as keep_images"):
        before.of(last.rpartition("/")[2])
    after = RunPictures(jaxlog.read_run(directory)).listed("r", 2)["images"]
    assert len(after) == len(listed) - 1
    assert not any("step 29 · lane 8" in one["title"] for one in after)


@pytest.mark.skipif(
    bool(vendored.missing()) and os.environ.get(REQUIRED) != "required",
    reason=f"the charts are not here; run: {vendored.COMMAND}",
)
def test_a_browser_shows_them(run: Path, tmp_path: Path, open_page: Open) -> None:
    parsed = page_of(tmp_path / "page.html", run)
    listed = json.loads(parsed.answers()[parsed.addresses("pictures")[0]])
    opened = open_page(tmp_path / "page.html")
    opened.page.wait_for_selector("figure.logged table")
    images: Any = opened.page.locator("figure.picture img")
    assert images.count() == len(listed["images"])
    assert images.evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
    table = opened.page.locator("figure.logged").first
    assert "<script>alert(1)</script>" in table.inner_text()
    assert "31 more rows are not shown" in table.inner_text()
    assert table.locator("tbody tr").count() == MOST_ROWS
    assert table.locator("tbody tr").first.locator("td").nth(2).inner_text() == "nan"
    assert opened.said == []
    assert opened.asked == []
