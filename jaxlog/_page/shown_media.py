"""The images and tables of a run on the page: the last of some lanes, and a few before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxlog._analysis.html_pages import brief
from jaxlog._page.array_pictures import chosen_lines, title_of_line
from jaxlog._reading.logged_media import LoggedImage, LoggedTable, images_of_line, tables_of_line
from jaxlog._reading.logged_values import value_lines, values_of_lines
from jaxlog._reading.run_frames import RunFrames
from jaxlog._terminal import plain

MOST_TABLES = 12
"""The most tables that are shown: of each name the last."""
MOST_ROWS = 50
"""The most rows of a table that are shown."""
MOST_COLUMNS = 16
"""The most columns of a table that are shown."""


class ShownMedia(NamedTuple):
    """The images and tables of a run that the page shows.

    Attributes:
      images: some images, by lane and step.
      tables: the last table of each name.
      left_out: the number of lines of which nothing is shown.
    """

    images: Sequence[LoggedImage] = ()
    tables: Sequence[LoggedTable] = ()
    left_out: int = 0


def shown_media(run: RunFrames) -> ShownMedia:
    """Chooses images and tables of a run; only the lines of these are parsed."""
    file = run.file_of_media
    if file is None:
        return ShownMedia()
    lines = value_lines(file)
    chosen = chosen_lines(lines)

    def parse(line: Mapping[str, Any]) -> list[LoggedImage | LoggedTable]:
        return [*images_of_line(line, run.path), *tables_of_line(line)]

    found = list(values_of_lines(file, chosen, parse))
    images = [one for one in found if isinstance(one, LoggedImage) and one.is_there]
    last: dict[tuple[str, str], LoggedTable] = {}
    for one in found:
        if isinstance(one, LoggedTable):
            before = last.get((one.call, one.name))
            if before is None or one.step >= before.step:
                last[one.call, one.name] = one
    tables = list(last.values())
    shown = {(one.call, one.step, one.lane) for one in (*images, *tables[:MOST_TABLES])}
    return ShownMedia(images, tables[:MOST_TABLES], max(0, len(lines) - len(shown)))


def media_title(one: LoggedImage | LoggedTable) -> str:
    """Names an image or a table, with its caption."""
    words = [f"{one.call}/{one.name}", title_of_line(one)]
    if isinstance(one, LoggedImage) and one.caption:
        words.append(one.caption)
    return brief(plain(" \u00b7 ".join(words)))


def table_of_page(one: LoggedTable) -> dict[str, Any]:
    """A table as the page gets it: texts and numbers, bounded."""
    rows = one.rows[:MOST_ROWS]
    return {
        "title": media_title(one),
        "columns": [brief(plain(name)) for name in one.columns[:MOST_COLUMNS]],
        "rows": [[_cell(cell) for cell in row[:MOST_COLUMNS]] for row in rows],
        "rows_left_out": len(one.rows) - len(rows),
        "columns_left_out": max(0, len(one.columns) - MOST_COLUMNS),
    }


def _cell(cell: Any) -> Any:
    return brief(plain(cell)) if isinstance(cell, str) else cell
