"""Pictures of a run's episodes, from its first to its last, as many as a page bears."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from jaxlog._analysis.pictures import Pictures
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render.states import is_of_a_state
from jaxlog._report.chart_curves import spread_evenly
from jaxlog._report.html import Html, brief, joined, tag

MOST = 24
"""So many pictures of a run are shown."""
MOST_BYTES = 1_500_000
"""So large they may be together."""


class EpisodeImage(NamedTuple):
    """A picture of an episode.

    Attributes:
      title: what it is of.
      svg: the picture.
    """

    title: str
    svg: bytes


def pictures(run: RunFrames) -> tuple[list[EpisodeImage], int]:
    """Pictures of episodes that have states, and how many episodes there are in all."""
    frame = run.episodes
    has_states = any(is_of_a_state(name.removeprefix("details.")) for name in frame.columns)
    if not has_states and not (run.path / "svg").is_dir():
        return [], 0
    drawn = Pictures({run.path.name: run}, run.labels_of_episodes())
    found: list[EpisodeImage] = []
    size = 0
    for row in frame[_across(frame)].iter_rows(named=True):
        svg = drawn.of(row).encode("utf-8", "replace")
        if size + len(svg) <= MOST_BYTES:
            size += len(svg)
            found.append(EpisodeImage(_title(row), svg))
    return found, frame.height


def gallery(found: Sequence[EpisodeImage], there_are: int) -> Html:
    """Pictures side by side, each as an image, so that nothing in it runs or is loaded."""
    shown = [
        tag(
            "figure",
            tag("img", src=_address(one.svg), alt=one.title, decoding="async"),
            class_="episode",
        )
        for one in found
    ]
    left = there_are - len(found)
    note = f"{len(found)} of {there_are:,} episodes; {left:,} are left out here."
    return joined(
        tag("div", *shown, class_="episodes"), tag("p", note, class_="note") if left else ""
    )


def _address(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _across(frame: pl.DataFrame) -> list[int]:
    """The rows of some episodes: of steps from the first to the last, of each as many."""
    rows = frame.select("step").with_row_index("row").group_by("step").agg("row").sort("step")
    by_step = [rows["row"][i].to_list() for i in spread_evenly(len(rows), MOST // 2)]
    share = MOST // max(1, len(by_step))
    return [of_step[i] for of_step in by_step for i in spread_evenly(len(of_step), share)]


def _title(row: dict[str, object]) -> str:
    words = [str(row["name"]), f"step {row['step']:,}", f"lane {row['lane']}"]
    environment = row.get("environment_id")
    words += [] if environment is None else [f"environment {environment}"]
    return brief(" · ".join(words))
