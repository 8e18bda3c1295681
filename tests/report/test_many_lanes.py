"""Runs of many lanes: a page that stays small, the same from lines and from columns."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import jaxlog
from jaxlog._cli.main import main
from tests.reading.files import Event, metrics, write
from tests.report.pages import page_of, run_of


def events(lanes: int) -> Iterator[Event]:
    """Lanes of three rates; some miss steps or keys, some diverge, some recover."""
    random = np.random.default_rng(0)
    for step in range(6):
        of_lanes = []
        for lane in range(lanes):
            value = float(np.float32(random.normal() + lane % 3))
            values = {"loss": value, "episode_count": lane % 4, "episode_return_max": value}
            if lane % 7 == 3 and step > 2:
                values |= {"loss": math.nan, "episode_return_nonfinite": step}
            if lane % 11 == 5:
                values["loss"] = math.inf if step == 1 else value
            if lane % 5 == step:  # no episode ended
                values = {"loss": values["loss"], "episode_count": 0}
            of_lanes.append(({"rate": 0.1 * (lane % 3), "seed": lane}, values))
        yield metrics(step, *of_lanes, env_step=64 * step)


@pytest.fixture(scope="module", params=[40, 700])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same run twice, in lines and in columns."""
    runs = []
    for kind in ("jsonl", "arrow"):
        runs.append(tmp_path_factory.mktemp(kind) / "run")
        runs[-1].mkdir()
        write(runs[-1], events(request.param), kind)
    return runs


def test_columns_and_lines_make_the_same_page(both: list[Path], tmp_path: Path) -> None:
    pages = [page_of(tmp_path / "page.html", run) for run in both]
    lines, columns = (
        {
            asked: without_versions(body)
            for asked, body in page.answers().items()
            if asked.startswith(("metrics", "curves", "comparison", "answer"))
        }
        for page in pages
    )
    assert len(lines) > 10
    assert columns == lines


def without_versions(body: bytes) -> bytes:
    """An answer without what differs by the time and the place of its run."""
    body = re.sub(rb'"version": ?\d+', b"", body)
    return re.sub(rb'/[^"]*/run\b', b"", body)


def test_columns_and_lines_make_the_same_plot(both: list[Path]) -> None:
    for spread in ("std", "range", "ci"):
        axes = [jaxlog.read_run(run).plot("loss", spread=spread) for run in both]
        (lines, texts), (columns, of_columns) = (
            ([line.get_xydata() for line in ax.lines], [text.get_text() for text in ax.texts])
            for ax in axes
        )
        assert of_columns == texts
        for found, expected in zip(columns, lines, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_columns_and_lines_make_the_same_comparison(both: list[Path]) -> None:
    with pytest.warns(UserWarning, match="lanes have diverged"):
        lines, columns = (jaxlog.compare(run, "loss") for run in both)
    assert columns.frame.equals(lines.frame)
    assert columns.scores.equals(lines.scores)
    assert columns.notes == lines.notes


def test_columns_and_lines_make_the_same_export(both: list[Path], tmp_path: Path) -> None:
    frames = []
    for place, run in enumerate(both):
        folder = tmp_path / str(place)
        assert main(["export", str(run), "-o", str(folder), "--to", "parquet"]) == 0
        frames.append(pl.read_parquet(folder / "batch_metrics.parquet"))
    assert frames[1].equals(frames[0])


def test_the_health_of_a_run_without_it_is_counted_in_its_frames(
    both: list[Path], tmp_path: Path
) -> None:
    for run in both:
        health = jaxlog.read_run(run).health
        assert health.diverged is not None
        (facts,) = page_of(tmp_path / "page.html", run).facts()
        assert str(health) in facts


@pytest.mark.parametrize("label", ["seed", "rate"])
def test_a_page_has_no_place_for_each_lane(label: str, tmp_path: Path) -> None:
    lanes = 5000
    names = [f"a{lane}b" for lane in range(lanes)]
    run = run_of(
        tmp_path / "run",
        (metrics(step, *(({label: name}, {"loss": step}) for name in names)) for step in range(2)),
    )
    page = page_of(tmp_path / "page.html", run)
    header = page.curves("loss").header
    if label == "seed":
        assert [group["lanes"] for group in header["groups"]] == [lanes]
    else:
        assert header["total_groups"] == lanes
        assert header["left_out"] > lanes - 20
    assert f"{lanes}: {label} a0b, a1b, a2b, a3b, a4b, a5b, a6b, a7b, …" in page.facts()[0]
    assert (tmp_path / "page.html").stat().st_size < 2e6
