"""Episodes as a page of pictures, to filter, to sort and to step through."""

from __future__ import annotations

import base64
import html
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from jaxlog._analysis.pictures import Pictures
from jaxlog._paths import local_path
from jaxlog._reading.columns import RUN
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render.picture import title_of
from jaxlog._render.states import is_of_a_state

MOST = 500
"""So many episodes a page shows where nothing else is said."""
_MOST_CHOICES = 64
_HIDDEN = ("timestamp", "lane_position")
_KNOWN = ("success", "total_reward", "total_steps", "final_similarity")
_NEEDED = ("step", "name", "lane")


class Gallery:
    """Pictures of episodes on one page; made by `RunData.view_episodes`.

    A notebook shows it: in a frame of its own, so that neither disturbs the other. The page holds
    all that it shows and fetches nothing; what users named is only ever text on it.

    Attributes:
      html: the whole page.
    """

    def __init__(self, page: str, shown: int, left_out: int) -> None:
        self.html = page
        self._shown, self._left_out = shown, left_out

    def save(self, path: str | Path) -> Path:
        """Writes the page to a file, for a browser."""
        path = local_path(path, "path")
        path.write_text(self.html, "utf-8")
        return path

    def _repr_html_(self) -> str:
        # Without `allow-same-origin` the page runs its script and reaches nothing of the notebook.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" '
            'title="Sampled episodes" style="width: 100%; height: 640px; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        more = f", {self._left_out} more left out" if self._left_out else ""
        return f"Gallery({self._shown} episodes{more})"


def gallery(runs: Mapping[str, RunFrames], episodes: pl.DataFrame, most: int) -> Gallery:
    """A page of the episodes of a frame.

    Args:
      runs: by their names, those the frame is of.
      episodes: some of their rows, in the order to be shown in; with a column `run`, where there
        are several runs.
      most: so many, from the first, are shown.

    Raises:
      TypeError: it is no frame of polars.
      ValueError: the frame lacks a column that says which episode is meant, or has rows of other
        runs; or `most` is below 1.
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
    shown = episodes.head(most).with_columns(map(_told, episodes.head(most)))
    left_out = len(episodes) - len(shown)
    labels = list(dict.fromkeys(key for run in runs.values() for key in run.labels_of_episodes()))
    columns = list(_columns(shown, labels))
    values = [_values(shown[column["key"]], column) for column in columns]
    pictures = Pictures(runs, labels)
    data = {
        "columns": columns,
        "episodes": list(zip(*values, strict=True)) if columns else [],
        "pictures": [_packed(pictures.of(row)) for row in shown.iter_rows(named=True)],
        "note": f" \u00b7 {left_out} more were left out" if left_out else "",
    }
    # `<` begins tags, and nothing else in JSON has to be a tag's.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    template = files("jaxlog._analysis").joinpath("gallery.html").read_text("utf-8")
    return Gallery(template.replace("__DATA__", text), len(shown), left_out)


def _told(series: pl.Series) -> pl.Series:
    """A column that JSON can hold: of what users add, dates and the like are texts."""
    kind = series.dtype
    if kind.is_decimal():
        return series.cast(pl.Float64)
    if kind.is_numeric() or kind.is_nested() or kind in (pl.Boolean, pl.String, pl.Null):
        return series
    texts = [None if value is None else str(value) for value in series]
    return pl.Series(series.name, texts, dtype=pl.String)


def _columns(frame: pl.DataFrame, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the page says of each column that it tells: how it is called, and how it is filtered."""
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
        told = "choices" in column or any(v is not None for v in _values(series, column))
        if told and series.n_unique() > 1 and key != "step":
            column["filter"] = "number" if kind.is_numeric() else "text"
        yield column


def _values(series: pl.Series, column: Mapping[str, Any]) -> Iterable[Any]:
    """The values of a column as the page has them: of choices, which; what is not finite, none."""
    if "choices" in column:
        # By polars, to which NaN is one value: a label may be that.
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
    """A picture as text of a tenth of its length."""
    return base64.b64encode(zlib.compress(svg.encode("utf-8", "replace"), 6)).decode("ascii")
