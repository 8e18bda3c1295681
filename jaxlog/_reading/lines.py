"""Reads a JSONL file into a frame with a column for each field of its lines.

polars parses the file. It refuses the whole file if one line is broken, or if a value is an array
on one line and a number on the next. Such a file is repaired in memory and parsed again.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson
import polars as pl

from jaxlog._reading.layouts import (
    LANES,
    NONFINITE,
    OPTIONAL,
    OVER_LANES,
    TYPES,
    LineKind,
    empty,
)
from jaxlog._reading.mending import of_one_kind, whole_lines
from jaxlog._reading.parsing import read_frame
from jaxlog._run_files import has_too_deep, is_whole, read_lines

_BEFORE = OVER_LANES.own[: OVER_LANES.own.index("over_lanes")]
_FIELDS = (f'(?:"{name}":[^,]+,){"?" if name in OPTIONAL else ""}' for name in _BEFORE)
_OVER_LANES = re.compile(f'\\{{{"".join(_FIELDS)}"over_lanes":'.encode())
"""The start of a line over all lanes."""
_MARK = b',"nonfinite":'


@dataclass(frozen=True)
class Lines:
    """The lines of one kind.

    Attributes:
      frame: a row per line, a column per field; `metrics` and other parts are structs.
      nonfinite: the values that were not finite, which are null in `frame`: each distinct field
        `nonfinite` (texts like `nan` by key, or by key and index), and the rows that have it.
    """

    frame: pl.DataFrame
    nonfinite: Sequence[tuple[Mapping[str, str], Sequence[int]]] = ()


def read_metrics(path: Path) -> tuple[Lines, Lines]:
    """Reads a file of metrics: the lines of lanes, and the lines over all lanes.

    Warns:
      UserWarning: some lines cannot be read.
    """
    lanes, over_lanes = _read(path, (LANES, OVER_LANES))
    return lanes, over_lanes


def read_kind(path: Path, layout: LineKind) -> Lines:
    """Reads a file that has one kind of line.

    Warns:
      UserWarning: some lines cannot be read.
    """
    (lines,) = _read(path, (layout,))
    return lines


def read_metrics_of(path: Path, data: bytes) -> Lines:
    """Reads the lines of lanes in a part of a file of metrics.

    Args:
      path: the file, for warnings.
      data: whole lines of it.

    Warns:
      UserWarning: some lines cannot be read.
    """
    return read_part(path, data, (LANES, OVER_LANES))[0]


def _read(path: Path, layouts: Sequence[LineKind]) -> list[Lines]:
    return read_part(path, read_lines(path), layouts)


def read_part(path: Path, data: bytes, layouts: Sequence[LineKind], before: int = 0) -> list[Lines]:
    """Reads a part of a file: the lines of each kind.

    Args:
      path: the file, for warnings.
      data: lines of it; a last one that is not whole is left out.
      layouts: the kinds of line that the file has.
      before: the number of its lines before these.

    Warns:
      UserWarning: some lines cannot be read.
    """
    data = ended(data)
    pieces = [data] if len(layouts) == 1 else by_lane_and_over_lanes(data)
    if not has_too_deep(data):  # polars cannot build types for it
        with contextlib.suppress(pl.exceptions.PolarsError, _UnlikeError):
            return [_parsed(*piece) for piece in zip(pieces, layouts, strict=True)]
    pieces = whole_lines(path, data, layouts, before)
    with contextlib.suppress(pl.exceptions.PolarsError, _UnlikeError):
        return [_parsed(*piece) for piece in zip(pieces, layouts, strict=True)]
    return [_parsed(of_one_kind(*piece), piece[1]) for piece in zip(pieces, layouts, strict=True)]


def ended(data: bytes) -> bytes:
    """Leaves out a last line that is still being written, or is torn."""
    end = data.rfind(b"\n") + 1
    if is_whole(data[end:]):  # an editor has removed the last line end
        return data + b"\n"
    return data[:end]


def unmended(data: bytes, layout: LineKind) -> Lines | None:
    """Reads whole lines of one kind; None if they cannot be read as they are."""
    if not has_too_deep(data):
        with contextlib.suppress(pl.exceptions.PolarsError, _UnlikeError):
            return _parsed(data, layout)
    return None


def by_lane_and_over_lanes(data: bytes) -> list[bytes]:
    """Separates the lines of lanes from those over all lanes."""
    if b',"over_lanes":' not in data:
        return [data, b""]
    found: tuple[list[bytes], list[bytes]] = [], []
    for line in io.BytesIO(data):
        found[_OVER_LANES.match(line) is not None].append(line)
    return [b"".join(lines) for lines in found]


class _UnlikeError(Exception):
    """A line is JSON, but not of this kind, or not written as the sink writes it."""


def _parsed(data: bytes, layout: LineKind) -> Lines:
    rows = _Rows(data)
    if rows.first is None:
        return Lines(empty(layout))
    frame = read_frame(data, rows.nonfinite)
    for name in (*layout.fields, *layout.needed):
        if name not in frame.columns or frame[name].null_count():
            raise _UnlikeError
    types = {name: TYPES[name] for name in layout.own if name in frame.columns}
    if not all(_is_like(frame.schema[name], expected) for name, expected in types.items()):
        raise _UnlikeError
    parts = [frame[name] for name in layout.parts if name in frame.columns]
    if not all(isinstance(part.dtype, pl.Struct) for part in parts):
        raise _UnlikeError
    marked = len(frame) - frame["nonfinite"].null_count() if "nonfinite" in frame.columns else 0
    if marked != sum(len(found) for _, found in rows.nonfinite):
        raise _UnlikeError
    columns = [frame[name].cast(expected) for name, expected in types.items()]
    columns += [_in_order(part, rows) for part in parts]
    return Lines(pl.DataFrame(columns), rows.nonfinite)


def _is_like(found: pl.DataType, expected: pl.DataType) -> bool:
    return found.is_numeric() if isinstance(expected, pl.Float64) else found == expected


class _Rows:
    """The lines of some data; a line's index is its row in the frame."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def first(self) -> bytes | None:
        """The first line; None if there is none."""
        return next((line for line in io.BytesIO(self._data) if not line.isspace()), None)

    @cached_property
    def all(self) -> list[bytes]:
        """All lines that are not blank."""
        return [line for line in self._data.split(b"\n") if line and not line.isspace()]

    @cached_property
    def nonfinite(self) -> list[tuple[dict[str, str], list[int]]]:
        """The distinct fields `nonfinite`, which end their lines, and the rows that have each."""
        if _MARK not in self._data:
            return []
        found: dict[bytes, list[int]] = {}
        for row, line in enumerate(self.all):
            _, name, field = line.rpartition(_MARK)
            if name and field.startswith(b"{"):
                found.setdefault(field[:-1], []).append(row)
        try:
            parsed = [(orjson.loads(field), rows) for field, rows in found.items()]
        except orjson.JSONDecodeError:  # it is not the last field
            raise _UnlikeError from None
        if not all(text in NONFINITE for field, _ in parsed for text in field.values()):
            raise _UnlikeError
        return parsed

    def keys(self, line: bytes, part: str) -> Iterable[str]:
        """Returns the keys of a part of a line, in their order."""
        try:
            return orjson.loads(line).get(part, ())
        except orjson.JSONDecodeError:  # a lone surrogate, which polars accepts
            raise _UnlikeError from None


def _in_order(part: pl.Series, rows: _Rows) -> pl.Series:
    """Puts the keys of a part in the order of the file, which polars loses for large objects."""
    fields = part.struct.unnest()
    keys = dict.fromkeys(rows.keys(rows.first or b"", part.name))
    late = [name for name in fields.columns if name not in keys]
    for row in sorted({fields[name].is_not_null().arg_max() or 0 for name in late}):
        keys |= dict.fromkeys(rows.keys(rows.all[row], part.name))
    keys |= dict.fromkeys(sorted(late))  # keys without a value on any line
    return pl.DataFrame([fields[key] for key in keys]).to_struct(part.name) if keys else part
