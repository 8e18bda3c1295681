"""Pictures of some of a run's episodes, as many as the page has room for."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from jaxlog._analysis.html_pages import brief
from jaxlog._analysis.pictures import Pictures
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render.states import is_of_a_state
from jaxlog._report.chart_curves import spread_evenly

MOST = 24
"""The number of pictures of one run."""
MOST_BYTES = 1_500_000
"""The bytes of all pictures of one run."""


class EpisodeImage(NamedTuple):
    """A picture of an episode.

    Attributes:
      title: names the episode.
      source: the picture as an address, so that nothing in it runs or is loaded.
    """

    title: str
    source: str


class EpisodeImages(NamedTuple):
    """Pictures of a run's episodes.

    Attributes:
      images: some of them.
      left_out: the number of episodes without one.
    """

    images: Sequence[EpisodeImage]
    left_out: int


def episode_images(run: RunFrames) -> EpisodeImages | None:
    """Pictures of some episodes; None for a run without states and without pictures."""
    frame = run.episodes
    has_states = any(is_of_a_state(name.removeprefix("details.")) for name in frame.columns)
    if not len(frame) or not (has_states or (run.path / "svg").is_dir()):
        return None
    drawn = Pictures({run.path.name: run}, run.labels_of_episodes())
    images: list[EpisodeImage] = []
    size = 0
    for row in frame[_across(frame)].iter_rows(named=True):
        svg = drawn.of(row).encode("utf-8", "replace")
        if size + len(svg) <= MOST_BYTES:
            size += len(svg)
            images.append(EpisodeImage(_title(row), _address(svg)))
    return EpisodeImages(images, len(frame) - len(images))


def _address(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _across(frame: pl.DataFrame) -> list[int]:
    """The rows of some episodes, at steps spread evenly, about as many at each."""
    rows = frame.select("step").with_row_index("row").group_by("step").agg("row").sort("step")
    by_step = [rows["row"][i].to_list() for i in spread_evenly(len(rows), MOST // 2)]
    share = MOST // max(1, len(by_step))
    return [of_step[i] for of_step in by_step for i in spread_evenly(len(of_step), share)]


def _title(row: dict[str, object]) -> str:
    words = [str(row["name"]), f"step {row['step']:,}", f"lane {row['lane']}"]
    environment = row.get("environment_id")
    words += [] if environment is None else [f"environment {environment}"]
    return brief(" · ".join(words))
