"""The lines of the file with images and tables, and the names of the files of images.

An image is a PNG file beside the lines; a table is in its line.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from jaxlog._format.events import Lane, MetricsEvent
from jaxlog._format.lines import KINDS, beside_metrics, text_of
from jaxlog._format.media import CHANNELS, MOST_PIXELS, Image, StoredImage, Table
from jaxlog._text import counted

FOLDER = "images"
"""The folder in a run's directory that has the files of images."""
ENDING = ".png"
MOST_BYTES = 2**25
"""The most bytes that are read of the file of an image."""

FileOfImage = str | None
"""The path of the file of an image below the run's directory; None if it has none."""


def file_name(call: str, name: str, step: int, lane: int, repetition: int = 0) -> str:
    """The path of the file of an image below the run's directory.

    Args:
      call: the name of the call.
      name: the name of the image. In the file's name, unusual characters are underscores, and the
        name's checksum follows, so that two names have two files.
      step: the index of the update.
      lane: the number of the lane.
      repetition: how many files of this step there are already, from earlier passes of a loop.

    >>> file_name("eval", "frame", 100, 3)
    'images/eval/frame-step_0000000100-lane_0003.png'
    >>> file_name("eval", "actor/saliency", 0, 0, 1)
    'images/eval/actor_saliency.f5767a72-step_0000000000-lane_0000_2.png'
    """
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80]
    if stem != name:
        stem += f".{zlib.crc32(name.encode()):08x}"
    again = f"_{repetition + 1}" if repetition else ""
    return f"{FOLDER}/{call}/{stem}-step_{step:010d}-lane_{lane:04d}{again}{ENDING}"


def is_file_of_image(file: Any) -> bool:
    """True for the path of a file of an image, which is below the run's directory."""
    if not isinstance(file, str):
        return False
    parts = file.split("/")
    inside = len(parts) == 3 and parts[0] == FOLDER and ".." not in parts
    return inside and file.endswith(ENDING) and "\0" not in file and "\\" not in file


def media_lines_of(event: MetricsEvent, files: Mapping[tuple[int, str], FileOfImage]) -> bytes:
    """Converts the images and tables of an event to lines: one for each lane that has some.

    Args:
      event: the event.
      files: the file of each image, by the number of the lane and the name.
    """
    lines: list[bytes] = []
    for lane in event.lanes:
        if lane.media:
            media = {name: _described(lane, name, files) for name in lane.media}
            line = beside_metrics(event, lane) | {"media": media}
            odd = dict(_nonfinite(lane.media))
            lines.append(text_of(line | ({"nonfinite": odd} if odd else {}), KINDS["media"]))
    return b"".join(lines)


def _described(
    lane: Lane, name: str, files: Mapping[tuple[int, str], FileOfImage]
) -> dict[str, Any]:
    value = lane.media[name]
    if isinstance(value, Table):
        return {"kind": "table", "columns": value.columns, "rows": value.rows}
    height, width, channels = value.shape
    found: dict[str, Any] = {"kind": "image", "height": height, "width": width}
    found["channels"] = channels
    if value.caption is not None:
        found["caption"] = value.caption
    if (file := files.get((lane.index, name))) is not None:
        found["file"] = file
    return found


def _nonfinite(media: Mapping[str, Image | Table]) -> Iterator[tuple[str, str]]:
    """The cells of tables that are not finite, named as `name[row, column]`."""
    for name, table in media.items():
        if not isinstance(table, Table):
            continue
        for i, row in enumerate(table.rows):
            for j, cell in enumerate(row):
                if isinstance(cell, float) and not math.isfinite(cell):
                    yield f"{name}[{i}, {j}]", str(cell)


def media_of(line: Mapping[str, Any]) -> dict[str, StoredImage | Table]:
    """The images and tables of a parsed line.

    Raises:
      ValueError: they are none, or damaged; also KeyError, TypeError and AttributeError.
    """
    nonfinite = line.get("nonfinite", {})
    found: dict[str, StoredImage | Table] = {}
    for name, one in line["media"].items():
        if one["kind"] == "table":
            found[name] = _table_of(name, one, nonfinite)
        elif one["kind"] == "image":
            shape = int(one["height"]), int(one["width"]), int(one["channels"])
            if not 0 < shape[0] * shape[1] <= MOST_PIXELS or shape[2] not in CHANNELS:
                raise ValueError(f"{name}: got an image of shape {list(shape)}")
            caption, file = one.get("caption"), one.get("file")
            found[name] = StoredImage(
                shape,
                caption if isinstance(caption, str) else None,
                file if is_file_of_image(file) else None,
            )
    return found  # what a newer jaxlog may write is left out


def _table_of(name: str, one: Mapping[str, Any], nonfinite: Mapping[str, Any]) -> Table:
    columns = tuple(map(str, one["columns"]))
    rows: list[tuple[Any, ...]] = []
    for i, row in enumerate(one["rows"]):
        if len(row) != len(columns) or any(isinstance(cell, list | dict) for cell in row):
            got = counted(len(row), "cell")
            raise ValueError(f"{name}: row {i}: got {got}, expected {len(columns)}")
        cells = list(row)
        for j, cell in enumerate(cells):
            if cell is None and (text := nonfinite.get(f"{name}[{i}, {j}]")) is not None:
                cells[j] = float(text)
        rows.append(tuple(cells))
    return Table(columns, tuple(rows))
