"""Reads the images and tables that calls logged."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlog._format.from_lines import media_event
from jaxlog._format.media import StoredImage, Table, word
from jaxlog._format.media_lines import MOST_BYTES
from jaxlog._reading.logged_values import SHOWN, LoggedValue, LoggedValues, place_of, title_of_value
from jaxlog._render.png import own_pixels
from jaxlog._run_files import read_small_below
from jaxlog._text import counted

if TYPE_CHECKING:
    import polars as pl

SHOWN_ROWS = 20
"""The rows of a table that a notebook shows."""


@dataclass(frozen=True, eq=False)
class LoggedImage(LoggedValue):
    """An image that a call logged, a `LoggedValue`. Its file is read when it is first needed.

    Reading it raises a `FileNotFoundError` if the file was deleted, as the setting `keep_images`
    says, or could not be written.

    Attributes:
      shape: the height, the width and the number of channels: 1, 3 or 4.
      caption: the text beside it; None for none.
      file: the path of its file, below the run's directory; None if it has none.
      directory: the run's directory.
    """

    shape: tuple[int, ...]
    caption: str | None
    file: str | None
    directory: Path

    @cached_property
    def png(self) -> bytes:
        """The content of the file."""
        if self.file is None:
            raise FileNotFoundError(
                f"{self.directory}: the image {self.call}/{self.name} of step {self.step} has no "
                "file, since it could not be written"
            )
        try:
            return read_small_below(self.directory, self.file, MOST_BYTES)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.directory / self.file}: is not there; as many files of images are kept as "
                "keep_images of the sink says, so that older ones are deleted"
            ) from None

    @cached_property
    def value(self) -> np.ndarray:
        """The pixels, uint8 `[height, width, channels]`."""
        try:
            return own_pixels(self.png)
        except ValueError as error:
            raise ValueError(f"{self.directory / str(self.file)}: {error}") from None

    @property
    def is_there(self) -> bool:
        """True if its file is there."""
        return self.file is not None and (self.directory / self.file).is_file()

    def __repr__(self) -> str:
        of = word(StoredImage(self.shape, None, None))
        return f"LoggedImage({self.call}/{self.name}, step {self.step}, lane {self.lane}: {of})"


class LoggedImages(LoggedValues[LoggedImage]):
    """Images of a run, ordered by step and lane; from `RunData.logged_images`.

    A notebook shows the last ones.
    """

    def _repr_html_(self) -> str:
        shown = self[-SHOWN:]
        parts = [_figure(one) for one in shown]
        more = len(self) - len(shown)
        left = counted(more, "earlier image is", "earlier images are")
        parts += [f"<p>{left} not shown.</p>"] if more else []
        return f"<div>{''.join(parts)}</div>" if parts else "<p>no images</p>"


@dataclass(frozen=True, eq=False)
class LoggedTable(LoggedValue):
    """A table that a call logged; a `LoggedValue`.

    Attributes:
      columns: the names of the columns.
      rows: a tuple for each row; a cell is a number, a text or None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def frame(self) -> pl.DataFrame:
        """The table as a polars frame.

        A column of several types is one of text, and so is one of integers that are both negative
        and larger than int64.
        """
        import polars as pl

        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.columns)
        return pl.DataFrame(
            [_series(name, list(of)) for name, of in zip(self.columns, columns, strict=True)]
        )

    def __repr__(self) -> str:
        of = word(Table(self.columns, self.rows))
        return f"LoggedTable({self.call}/{self.name}, step {self.step}, lane {self.lane}: {of})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_text(cell))}</td>" for cell in row) + "</tr>"
            for row in self.rows[:SHOWN_ROWS]
        )
        more = len(self.rows) - SHOWN_ROWS
        left = counted(more, "more row is", "more rows are")
        note = f"<p>{left} not shown.</p>" if more > 0 else ""
        title = html.escape(title_of_value(self))
        return f"<table><caption>{title}</caption><tr>{head}</tr>{rows}</table>{note}"


class LoggedTables(LoggedValues[LoggedTable]):
    """Tables of a run, ordered by step and lane; from `RunData.logged_tables`.

    A notebook shows the last one.
    """

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no tables</p>"
        more = len(self) - 1
        left = counted(more, "earlier table is", "earlier tables are")
        note = f"<p>{left} not shown.</p>" if more else ""
        return self[-1]._repr_html_() + note


def images_of_line(line: Mapping[str, Any], directory: Path) -> list[LoggedImage]:
    """The images of a parsed line.

    Args:
      line: the line.
      directory: the run's directory.

    Raises:
      Exception: it is no line of images and tables.
    """
    return [
        LoggedImage(
            **head,
            shape=value.shape,
            caption=value.caption,
            file=value.file,
            directory=directory,
        )
        for head, value in _values_of(line)
        if isinstance(value, StoredImage)
    ]


def tables_of_line(line: Mapping[str, Any]) -> list[LoggedTable]:
    """The tables of a parsed line.

    Args:
      line: the line.

    Raises:
      Exception: it is no line of images and tables.
    """
    return [
        LoggedTable(**head, columns=tuple(value.columns), rows=value.rows)
        for head, value in _values_of(line)
        if isinstance(value, Table)
    ]


def _values_of(line: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yields each value of a line, after what all of them have in common."""
    event = media_event(line)
    for lane in event.lanes:
        for name, value in lane.media.items():
            yield place_of(event, lane, name), value


def _figure(one: LoggedImage) -> str:
    title = html.escape(title_of_value(one))
    caption = "" if one.caption is None else f"<br>{html.escape(one.caption)}"
    try:
        data = base64.b64encode(one.png).decode()
    except (OSError, ValueError) as error:
        shown = f"<p>{html.escape(str(error))}</p>"
    else:
        style = "max-width: 480px; min-width: 96px; image-rendering: pixelated"
        shown = f'<img alt="{title}" style="{style}" src="data:image/png;base64,{data}">'
    return (
        '<figure style="display: inline-block; margin: 4px; vertical-align: top">'
        f"{shown}<figcaption>{title}{caption}</figcaption></figure>"
    )


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _series(name: str, cells: list[Any]) -> pl.Series:
    import polars as pl

    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds <= {int, float} and kinds != {int}:
        return pl.Series(name, cells, pl.Float64 if kinds else pl.Null, strict=False)
    integers = [cell for cell in cells if cell is not None] if kinds == {int} else [0]
    low, high = min(integers), max(integers)
    if kinds == {int} and low >= 0 and high >= 2**63:
        return pl.Series(name, cells, pl.UInt64)
    if len(kinds) > 1 or high >= 2**63:
        cells = [None if cell is None else str(cell) for cell in cells]
    return pl.Series(name, cells)
