"""The pictures of a run: its episodes, those that failed first, its images, arrays and tables."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from jaxlog._analysis.html_pages import brief
from jaxlog._analysis.pictures import Pictures
from jaxlog._page.array_pictures import ArrayPictures, array_pictures
from jaxlog._page.asked import AbsentError
from jaxlog._page.films import film, films
from jaxlog._page.shown_media import ShownMedia, media_title, shown_media, table_of_page
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render.image import image_svg
from jaxlog._render.markup import xml_text
from jaxlog._terminal import plain

MOST_EPISODES = 500
"""The most episodes that are listed; the page draws those that come into sight."""
WIDE = 256
"""An image with more pixels in a row has the room of two."""
_SUCCESS = ("success", "solved")
"""Values of an episode that say whether it succeeded."""


def has_pictures(path: Path) -> bool:
    """True if a run may have pictures; a run without their files has none."""
    return any((path / f"{stem}.jsonl").exists() for stem in ("episodes", "arrays", "media"))


class RunPictures:
    """The pictures of a run.

    Args:
      run: the run.
    """

    def __init__(self, run: RunFrames) -> None:
        self._run = run
        self._episodes = run.episodes
        self._recordings = run.recordings

    @functools.cached_property
    def _arrays(self) -> Sequence[ArrayPictures]:
        return array_pictures(self._run)

    @functools.cached_property
    def _media(self) -> ShownMedia:
        return shown_media(self._run)

    def listed(self, one: str, version: int) -> dict[str, Any]:
        """The answer to `pictures`.

        Args:
          one: the run's id.
          version: its version.
        """
        frame = self._episodes.with_row_index("jaxlog.row")
        if "file" in frame.columns:  # the others were recorded whole
            frame = frame.filter(pl.col("file").is_null())
        listed, films_left_out = films(self._recordings, one)
        flag = next((name for name in _SUCCESS if name in frame.columns), None)
        failed = (
            pl.lit(value=False)
            if flag is None
            else pl.col(flag).cast(pl.Float64, strict=False) == 0
        )
        frame = frame.with_columns(failed.fill_null(value=False).alias("jaxlog.failed"))
        chosen = frame.sort(["jaxlog.failed", "step"], descending=True, maintain_order=True)
        shown = chosen.head(MOST_EPISODES)
        arrays = [drawn for of_name in self._arrays for drawn in of_name.pictures]
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
            "films": listed,
            "films_left_out": films_left_out,
            "arrays": [
                {"title": plain(drawn.title), "source": f"picture/{one}/array-{number}"}
                for number, drawn in enumerate(arrays)
            ],
            "images": [
                {
                    "title": media_title(image),
                    "wide": image.shape[1] > WIDE,
                    "source": f"picture/{one}/image-{number}",
                }
                for number, image in enumerate(self._media.images)
            ],
            "tables": [table_of_page(table) for table in self._media.tables],
            "media_left_out": self._media.left_out,
            "left_out": len(frame) - len(shown),
            "arrays_left_out": sum(of_name.left_out for of_name in self._arrays),
        }

    def film(self, name: str, array: str, version: int) -> dict[str, Any]:
        """The answer to `film`.

        Args:
          name: the number of the episode, as `pictures` lists it.
          array: as in `films.film`.
          version: the version of the run.

        Raises:
          AbsentError: there is no such episode or array.
        """
        number = _number_of(name)
        if not 0 <= number < len(self._recordings):
            raise AbsentError(f"film: got {name!r:.60}, which is no recorded episode of this run")
        return film(self._recordings[number], array, version)

    def of(self, name: str) -> bytes:
        """A picture as SVG: of an episode that of the sink `svg`, or else a new one.

        Args:
          name: its name in `pictures`.

        Raises:
          AbsentError: there is no such picture.
        """
        kind, _, text = name.partition("-")
        number = _number_of(text)
        if kind == "episode" and 0 <= number < len(self._episodes):
            drawn = Pictures({self._run.path.name: self._run}, self._run.labels_of_episodes())
            svg = drawn.of(self._episodes.row(number, named=True))
        elif kind == "image":
            if not 0 <= number < len(self._media.images):
                raise AbsentError(f"picture: got {name!r:.60}, which is no image of this run")
            image = self._media.images[number]
            try:
                svg = image_svg(image.png, image.shape, media_title(image))
            except (OSError, ValueError) as error:  # it was deleted meanwhile
                raise AbsentError(str(error)) from None
        elif kind == "array":
            arrays = [drawn for of_name in self._arrays for drawn in of_name.pictures]
            if not 0 <= number < len(arrays):
                raise AbsentError(f"picture: got {name!r:.60}, which is no array of this run")
            svg = arrays[number].svg
        else:
            raise AbsentError(f"picture: got {name!r:.60}, which is no episode of this run")
        return xml_text(svg).encode("utf-8", "replace")


def _number_of(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1


def _title(row: Mapping[str, Any]) -> str:
    words = [str(row["name"]), f"step {row['step']:,}", f"lane {row['lane']}"]
    environment = row.get("environment_id")
    words += [] if environment is None else [f"environment {environment}"]
    return brief(plain(" · ".join(words)))
