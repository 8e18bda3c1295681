"""The pictures of a run: its episodes, those that failed first, and the arrays that it logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from jaxlog._analysis.html_pages import brief
from jaxlog._analysis.pictures import Pictures
from jaxlog._page.asked import AbsentError
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render.markup import xml_text
from jaxlog._report.array_images import array_images
from jaxlog._terminal import plain

MOST_EPISODES = 500
"""The most episodes that are listed; the page draws those that come into sight."""
_SUCCESS = ("success", "solved")
"""Values of an episode that say whether it succeeded."""


def pictures(run: RunFrames, one: str, version: int) -> dict[str, Any]:
    """The answer to `pictures`.

    Args:
      run: the run.
      one: its id.
      version: its version.
    """
    frame = run.episodes.with_row_index("jaxlog.row")
    flag = next((name for name in _SUCCESS if name in frame.columns), None)
    failed = (
        pl.lit(value=False) if flag is None else pl.col(flag).cast(pl.Float64, strict=False) == 0
    )
    frame = frame.with_columns(failed.fill_null(value=False).alias("jaxlog.failed"))
    chosen = frame.sort(["jaxlog.failed", "step"], descending=True, maintain_order=True)
    shown = chosen.head(MOST_EPISODES)
    arrays = array_images(run)
    return {
        "version": version,
        "episodes": [
            {
                "title": _title(row),
                "step": row["step"],
                "failed": row["jaxlog.failed"],
                "source": f"picture/{one}/episode-{row['jaxlog.row']}",
            }
            for row in shown.iter_rows(named=True)
        ],
        "arrays": [
            {"title": plain(image.title), "source": image.source}
            for of_name in arrays
            for image in of_name.images
        ],
        "left_out": len(frame) - len(shown),
        "arrays_left_out": sum(of_name.left_out for of_name in arrays),
    }


def picture(run: RunFrames, name: str) -> bytes:
    """The picture of an episode, as SVG: that of the sink `svg`, or else a new one.

    Args:
      run: the run.
      name: its name in `pictures`.

    Raises:
      AbsentError: there is no such picture.
    """
    kind, _, number = name.partition("-")
    frame = run.episodes
    is_number = number.isascii() and number.isdecimal() and len(number) < 12
    if kind != "episode" or not is_number or int(number) >= len(frame):
        raise AbsentError(f"picture: got {name!r:.60}, which is no episode of this run")
    drawn = Pictures({run.path.name: run}, run.labels_of_episodes())
    return xml_text(drawn.of(frame.row(int(number), named=True))).encode("utf-8", "replace")


def _title(row: Mapping[str, Any]) -> str:
    words = [str(row["name"]), f"step {row['step']:,}", f"lane {row['lane']}"]
    environment = row.get("environment_id")
    words += [] if environment is None else [f"environment {environment}"]
    return brief(plain(" · ".join(words)))
