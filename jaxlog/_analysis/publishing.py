"""Figures for papers: names of their own, a width in inches, smoothing, and files without dates."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import polars as pl

from jaxlog._analysis.axes import escape_dollars
from jaxlog._analysis.groups import VALUE, Values
from jaxlog._format.columnar import RUN
from jaxlog._paths import local_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PER_INCH = 13
"""The letters of a legend in an inch, at least, also with wide letters."""
CAPTION_PER_INCH = 16
"""The letters of a caption in an inch of a figure whose width was given."""
_HANDLE = 6
"""The width of the line before a legend's entry, in letters."""
_HEIGHT = 0.6
"""The height of the axes of a figure whose width was given, in widths."""
_KINDS = (".pdf", ".png", ".svg")


def varying(by: Sequence[str], keys: Sequence[Sequence[Any]]) -> list[int]:
    """The places in `by` whose values differ between the groups; all, if none does.

    >>> varying(("env", "lr"), [("maze", 0.1), ("maze", 0.2)])
    [1]
    """
    found = [i for i in range(len(by)) if len({repr(key[i]) for key in keys}) > 1]
    return found or list(range(len(by)))


def smoothed(values: Values, window: int) -> Values:
    """Replaces each value by the mean of those around it, lane by lane.

    Values that are missing or not finite stay as they are, and are left out of the means.

    Args:
      values: the values of a metric.
      window: the number of steps of a lane that a mean is over, with the step in the middle; fewer
        at its ends.
    """
    value = pl.col(VALUE)
    finite = pl.when(value.is_finite()).then(value)
    means = finite.rolling_mean(window, min_samples=1, center=True).over(
        RUN, "lane", order_by="step"
    )
    frame = values.frame.with_columns(
        pl.when(value.is_finite()).then(means).otherwise(value).alias(VALUE)
    )
    return replace(values, frame=frame)


def columns_of_legend(words: Sequence[str], width: float) -> int:
    """The number of columns of a legend that is not wider than a figure of so many inches."""
    longest = max((len(line) for text in words for line in text.splitlines()), default=1)
    return max(1, min(len(words), int(width * _PER_INCH / (longest + _HANDLE))))


def figure_size(
    width: float, words: Sequence[str], caption: str, across: int = 1, down: int = 1
) -> tuple[float, float]:
    """The size of a figure of a given width, with room for its legend below and caption above.

    Args:
      width: the width in inches.
      words: the entries of the legend.
      caption: the text above the plots.
      across: the number of plots side by side.
      down: the number of rows of plots.
    """
    line = mpl.rcParams["font.size"] / 72  # the height of letters, in inches
    rows = math.ceil(len(words) / columns_of_legend(words, width)) if words else 0
    lines = rows * max((text.count("\n") + 1 for text in words), default=0)
    above = (caption.count("\n") + 1) * line
    labels = 3.2 * line  # of the horizontal axis, and the name of a plot
    return width, down * (_HEIGHT * width / across + labels) + above + lines * 1.3 * line + 0.1


def axis_label(name: str, names: Mapping[Any, str]) -> str:
    """The label of an axis: the text that it was given, or else its name."""
    return escape_dollars(names.get(name, name))


def check(width: float | None, smooth: int, save: Any) -> None:
    """Checks the arguments of a figure.

    Raises:
      ValueError: one of them is out of range, or a file has an ending that is not known.
    """
    if width is not None and not 1.0 <= width <= 50.0:
        raise ValueError(f"width: got {width!r}, expected inches from 1 to 50, such as 3.25")
    if isinstance(smooth, bool) or not isinstance(smooth, int) or smooth < 1:
        raise ValueError(f"smooth: got {smooth!r}, expected the number of steps of a mean, from 1")
    if save is not None and local_path(save, "save").suffix.lower() not in _KINDS:
        raise ValueError(
            f"save: got {os.fspath(save)!r}, expected a file that ends in {', '.join(_KINDS)}"
        )


def write(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a figure so that equal figures are equal files: without the date and random ids."""
    file: Path = local_path(path, "save")
    dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with mpl.rc_context({"svg.hashsalt": "jaxlog", "pdf.fonttype": 42}):
        figure.savefig(file, metadata=dates.get(file.suffix.lower(), {}), dpi=300)
