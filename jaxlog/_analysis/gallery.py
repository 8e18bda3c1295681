"""A page with pictures of episodes, which can be filtered and sorted."""

from __future__ import annotations

import base64
import contextlib
import html
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from jaxlog._analysis.html_pages import inline, rendered
from jaxlog._analysis.pictures import Pictures
from jaxlog._analysis.played import played
from jaxlog._format.columnar import RUN
from jaxlog._paths import local_path
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render.picture import title_of
from jaxlog._render.states import is_of_a_state
from jaxlog._run_files import replacing
from jaxlog._text import counted

MOST = 500
"""The number of episodes on a page by default."""
MOST_FILMS = 24
"""The number of recorded episodes on a page that can be played."""
FILM_STEPS = 100
"""The most steps that are shown of each."""
FILM_BYTES = 2**22
"""The most bytes of the frames of all of them."""
_MOST_CHOICES = 64
"""A column with more distinct values is filtered by text, not by a menu."""
_PACKAGE = "jaxlog._analysis"
_HIDDEN = ("timestamp", "lane_position")
_KNOWN = ("success", "total_reward", "total_steps", "final_similarity")
_NEEDED = ("step", "name", "lane")


class Gallery:
    """Pictures of episodes on one page, from `RunData.view_episodes`.

    A notebook shows the page in a sandboxed frame. The page contains everything that it shows and
    loads nothing. Names and labels from the run are text on it, never HTML.

    Attributes:
      html: the whole page.
    """

    def __init__(self, page: str, shown: int, left_out: int) -> None:
        self.html = page
        self._shown, self._left_out = shown, left_out

    def save(self, path: str | Path) -> Path:
        """Writes the page to a file, and returns its path.

        An older file of this name is replaced when all of the page is written; until then, and if
        writing fails, it stays as it was.

        Raises:
          OSError: the file cannot be written.
        """
        path = local_path(path, "path")
        with replacing(path) as file:
            file.write(self.html.encode())
        return path

    def _repr_html_(self) -> str:
        # Without `allow-same-origin` the page's script cannot access the notebook.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" '
            'title="Sampled episodes" style="width: 100%; height: 640px; border: 0"></iframe>'
            f"<script>{inline(_PACKAGE, 'gallery_frame.js').text}</script>"
        )

    def __repr__(self) -> str:
        more = f", {self._left_out} more left out" if self._left_out else ""
        return f"Gallery({counted(self._shown, 'episode')}{more})"


def gallery(runs: Mapping[str, RunFrames], episodes: pl.DataFrame, most: int) -> Gallery:
    """The page of some episodes.

    Args:
      runs: the runs of the episodes, by name.
      episodes: rows of the runs' `episodes`, in the order of the page; with a column `run` if there
        are several runs.
      most: the number of episodes to show; later ones are left out.

    Raises:
      TypeError: `episodes` is not a polars DataFrame.
      ValueError: `episodes` lacks a column that identifies an episode, or has rows of other runs;
        or `most` is below 1.
    """
    if most < 1:
        raise ValueError(f"most: got {most}, expected at least 1")
    if not isinstance(episodes, pl.DataFrame):
        raise TypeError(
            f"episodes: got {type(episodes).__name__}, expected a polars DataFrame: rows of "
            "`episodes`"
        )
    needed = (*_NEEDED, RUN) if len(runs) > 1 else _NEEDED
    missing = [name for name in needed if name not in episodes.columns]
    if missing:
        raise ValueError(
            f"episodes: got a frame without {', '.join(map(repr, missing))}, expected rows of "
            "`episodes` with all columns; filter and sort them, and select nothing"
        )
    others = set(episodes[RUN]) - runs.keys() if len(runs) > 1 else ()
    if others:
        raise ValueError(
            f"episodes: got rows of the run {min(map(str, others))!r}, expected those of "
            f"{', '.join(map(repr, runs))}"
        )
    shown = episodes.head(most).with_columns(map(_as_json, episodes.head(most)))
    left_out = len(episodes) - len(shown)
    labels = list(dict.fromkeys(key for run in runs.values() for key in run.labels_of_episodes()))
    columns = list(_columns(shown, labels))
    values = [_values(shown[column["key"]], column) for column in columns]
    pictures = Pictures(runs, labels)
    films, without = _films(runs, shown)
    notes = [f"{left_out} more were left out"] if left_out else []
    notes += [f"{without} recorded without a film here"] if without else []
    data = {
        "columns": columns,
        "episodes": list(zip(*values, strict=True)) if columns else [],
        "pictures": [_packed(pictures.of(row)) for row in shown.iter_rows(named=True)],
        "films": films,
        "note": "".join(f" \u00b7 {note}" for note in notes),
    }
    page = rendered(
        _PACKAGE,
        "gallery.html.jinja",
        style=inline(_PACKAGE, "gallery.css"),
        script=inline(_PACKAGE, "gallery.js"),
        data=data,
    )
    return Gallery(page, len(shown), left_out)


def _films(runs: Mapping[str, RunFrames], shown: pl.DataFrame) -> tuple[dict[int, Any], int]:
    """The films of recorded episodes, by the places of their rows, and how many have none.

    Those whose files were deleted are not counted.
    """
    films: dict[int, Any] = {}
    without, size = 0, 0
    if "file" not in shown.columns:
        return films, without
    recorded = {name: {one.file: one for one in run.recordings} for name, run in runs.items()}
    only = next(iter(runs))
    for place, row in enumerate(shown.iter_rows(named=True)):
        episode = recorded[row[RUN] if len(runs) > 1 else only].get(row["file"])
        if episode is None or not (episode.directory / episode.file).is_file():
            continue
        if len(films) == MOST_FILMS:
            without += 1
            continue
        with contextlib.suppress(OSError, ValueError):  # a damaged file
            film = played(episode, most_steps=FILM_STEPS, most_bytes=FILM_BYTES - size)
            if film["frames"]:
                size += sum(map(len, film["frames"]))
                named = ("frames", "steps", "total_steps", "notes")
                rewards = [one if math.isfinite(one) else None for one in film["rewards"]]
                films[place] = {key: film[key] for key in named} | {"rewards": rewards}
                continue
        without += 1
    return films, without


def _as_json(series: pl.Series) -> pl.Series:
    """A column with values that JSON has; dates and the like, which users may add, become text."""
    kind = series.dtype
    if kind.is_decimal():
        return series.cast(pl.Float64)
    if kind.is_numeric() or kind.is_nested() or kind in (pl.Boolean, pl.String, pl.Null):
        return series
    texts = [None if value is None else str(value) for value in series]
    return pl.Series(series.name, texts, dtype=pl.String)


def _columns(frame: pl.DataFrame, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each column that the page shows: its key, its title, and how it is filtered."""
    start = [RUN, "name", "step", "env_step", "lane", *labels]
    for key in dict.fromkeys([*start, *_KNOWN, *frame.columns]):
        if key not in frame.columns or key in _HIDDEN or is_of_a_state(key):
            continue
        series, kind = frame[key], frame.schema[key]
        if kind.is_nested() or kind == pl.Null:
            continue
        column: dict[str, Any] = {"key": key, "title": title_of(key)}
        column["first"] = key in (*start, *_KNOWN)
        choosable = kind in (pl.Boolean, pl.String) or key in ("lane", *labels)
        distinct = series.drop_nulls().unique().sort()
        if choosable and len(distinct) <= _MOST_CHOICES:
            column["choices"] = [_worded(value) for value in distinct]
        has_values = "choices" in column or any(v is not None for v in _values(series, column))
        if has_values and series.n_unique() > 1 and key != "step":
            column["filter"] = "number" if kind.is_numeric() else "text"
        yield column


def _values(series: pl.Series, column: Mapping[str, Any]) -> Iterable[Any]:
    """A column's values on the page: an index into `choices` if it has them; None if not finite."""
    if "choices" in column:
        # With polars, for which NaN equals itself: a label may be NaN.
        distinct = series.drop_nulls().unique().sort()
        return series.replace_strict(distinct, range(len(distinct)), default=None).to_list()
    if series.dtype.is_float():
        return [v if v is not None and math.isfinite(v) else None for v in series]
    return series.to_list()


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _packed(svg: str) -> str:
    """A picture, compressed to about a tenth, in base64."""
    return base64.b64encode(zlib.compress(svg.encode("utf-8", "replace"), 6)).decode("ascii")
