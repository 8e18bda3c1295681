"""Converts the values of a W&B row: numbers, histograms, images, tables and lists."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from jaxlog import _run_files
from jaxlog._format.events import Histogram
from jaxlog._format.media import Image, Table
from jaxlog._importing.pictures import decoded_image
from jaxlog._importing.rows import MOST_BYTES, SourceRow
from jaxlog._limits import LARGEST, SMALLEST

_KINDS = {
    "audio-file": "sounds",
    "html-file": "pages of HTML",
    "object3D-file": "3D objects",
    "molecule-file": "molecules",
    "plotly-file": "charts of Plotly",
    "bokeh-file": "charts of Bokeh",
    "video-file": "films",
    "videos": "films",
    "audio": "sounds",
    "html": "pages of HTML",
    "images": "images in one file",
    "partitioned-table": "tables in several files",
    "joined-table": "tables in several files",
}
"""Names of what is not brought in, by W&B's name of its type."""


def path_of(item: Any) -> list[str]:
    """The names that lead to a value, from the outermost one."""
    return [item.key, *item.nested_key] if item.key or not item.nested_key else [*item.nested_key]


def row_of(history: Any, left_out: Counter[str]) -> dict[str, Any]:
    """The values of a row by name; media, which are no single number, are dicts.

    Args:
      history: the record.
      left_out: counts the values whose name another one has: `{"a": {"b": 1}, "a.b": 2}`.
    """
    row: dict[str, Any] = {}
    for item in history.item:
        path = path_of(item)
        inner = row
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = json.loads(item.value_json)
    row = flat(row, left_out)
    if "_step" not in row and history.HasField("step"):
        row["_step"] = history.step.num
    return row


def flat(values: Mapping[str, Any], left_out: Counter[str]) -> dict[str, Any]:
    """Flattens nested values, as W&B shows them: `{"a": {"b": 1}}` to `{"a.b": 1}`.

    Of several values with one name, the least nested one has it, since it was given this name.
    """
    found: dict[str, Any] = {}
    inner: list[tuple[str, Mapping[str, Any]]] = [("", values)]
    while inner:
        nested: list[tuple[str, Mapping[str, Any]]] = []
        for prefix, part in inner:
            for key, value in part.items():
                name = f"{prefix}{key}"
                if isinstance(value, Mapping) and not isinstance(value.get("_type"), str):
                    nested.append((f"{name}.", value))
                elif name in found:
                    left_out["values whose name another value has"] += 1
                else:
                    found[name] = value
        inner = nested
    return found


def number_of(value: Any) -> bool | int | float | None:
    """A number of a row; None if the value is none that a file can hold.

    W&B's numbers that are not finite are texts.
    """
    if isinstance(value, str):
        return float(value) if value in ("NaN", "Infinity", "-Infinity") else None
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        return None
    return value if isinstance(value, int | float) else None


def converted(values: Mapping[str, Any], files: Path, left_out: Counter[str]) -> SourceRow:
    """Converts the values of a row.

    Args:
      values: by name, flat, without those of W&B itself.
      files: the folder with the files of the run.
      left_out: counts what cannot be converted.
    """
    row = SourceRow({}, arrays={}, media={})
    for name, value in values.items():
        _add(row, name, value, files, left_out)
    return row


def _add(row: Any, name: str, value: Any, files: Path, left_out: Counter[str]) -> None:
    number = number_of(value)
    if value is None:
        return
    if number is not None:
        row.values[name] = number
    elif isinstance(value, int):
        left_out["integers of more than 64 bits"] += 1
    elif isinstance(value, str):
        left_out["texts"] += 1
    elif isinstance(value, list):
        array = _array(value)
        if array is None:
            left_out["lists"] += 1
        else:
            row.arrays[name] = array
    else:
        _add_media(row, name, value, files, left_out)


def _add_media(row: Any, name: str, value: Any, files: Path, left_out: Counter[str]) -> None:
    if any(value.get(over) for over in ("masks", "boxes", "all_masks", "all_boxes")):
        left_out["masks and boxes over images"] += 1
    match value["_type"]:
        case "histogram":
            histogram = _histogram(value)
            if histogram is None:
                left_out["histograms that cannot be read"] += 1
            else:
                row.values[name] = histogram
        case "image-file":
            found = _image(files, value.get("path"), value.get("caption"))
            _take(row, name, found, left_out)
        case "images/separated":
            captions = value.get("captions")
            paths = value.get("filenames")
            for number, path in enumerate(paths if isinstance(paths, list) else [None]):
                listed = isinstance(captions, list) and number < len(captions)
                found = _image(files, path, captions[number] if listed else None)
                _take(row, f"{name}/{number}", found, left_out)
        case "table-file":
            _take(row, name, _table(files, value.get("path")), left_out)
        case kind:
            left_out[_KINDS.get(kind, f"values of the type {kind}")] += 1


def _take(row: Any, name: str, found: Image | Table | str, left_out: Counter[str]) -> None:
    if isinstance(found, str):
        left_out[found] += 1
    elif name in row.values or name in row.arrays:
        left_out["images whose name another value has"] += 1
    else:
        row.media[name] = found


def _array(value: list[Any]) -> np.ndarray | None:
    """A list of numbers, or of such lists of one length, as an array; None for another list."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    return array if array.dtype.kind in "biuf" and 0 < array.nbytes <= MOST_BYTES else None


def _histogram(value: Mapping[str, Any]) -> Histogram | None:
    counts, edges = _numbers(value.get("values")), _numbers(value.get("bins"))
    packed = value.get("packedBins")
    if isinstance(packed, Mapping):
        least = _numbers([packed.get("min"), packed.get("size")])
        edges = [least[0] + least[1] * number for number in range(len(counts) + 1)] if least else []
    if not counts or len(edges) != len(counts) + 1:
        return None
    has_order = all(low < high for low, high in pairwise(edges))
    if not has_order or any(not 0 <= count <= LARGEST or count % 1 for count in counts):
        return None
    return Histogram(tuple(edges), tuple(map(int, counts)), 0, 0)


def _numbers(values: Any) -> list[float]:
    """A list of finite numbers as such; empty for anything else."""
    if not isinstance(values, list) or any(type(one) not in (int, float) for one in values):
        return []
    try:
        found = list(map(float, values))
    except OverflowError:  # an integer of hundreds of digits
        return []
    return found if all(map(math.isfinite, found)) else []


def _read(files: Path, path: Any) -> bytes | str:
    """A file of the run; a text if it is missing, or not below its folder."""
    if not isinstance(path, str) or path.startswith("/") or ".." in path.split("/"):
        return "files with a path that leads elsewhere"
    try:
        return _run_files.read_small_below(files, path)
    except OSError:
        return "files that are missing"


def _image(files: Path, path: Any, caption: Any) -> Image | str:
    data = _read(files, path)
    if isinstance(data, str):
        return data
    return decoded_image(data, caption if isinstance(caption, str) else None)


def _table(files: Path, path: Any) -> Table | str:
    data = _read(files, path)
    if isinstance(data, str):
        return data
    try:
        found = json.loads(data)
        columns = [str(name) for name in found["columns"]]
        rows = [[_cell(cell) for cell in row] for row in found["data"] if len(row) == len(columns)]
    except (ValueError, TypeError, KeyError):
        return "tables that cannot be read"
    if len(set(columns)) < len(columns) or len(rows) < len(found["data"]):
        return "tables that cannot be read"
    return Table(columns, rows)


def _cell(cell: Any) -> Any:
    return json.dumps(cell) if isinstance(cell, dict | list) else cell
