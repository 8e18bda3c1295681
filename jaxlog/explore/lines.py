"""From the bytes of a JSONL file to frames with a column for each field of its lines.

polars reads what the sink writes. It refuses a whole file for one line that is broken, or for a
value that is an array on one line and a number on the next: such files are mended first, in memory.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from jaxlog.explore.kinds import ANYTHING, Kind, fitted, kind_of, merged
from jaxlog.explore.layouts import LANES, OPTIONAL, OVER_LANES, TYPES, Layout

_OVER_LANES = re.compile(rb'\{"timestamp":[^,]+,"step":[^,]+,(?:"env_step":[^,]+,)?"over_lanes":')
_NONFINITE = b',"nonfinite":{'  # quotes in a text are escaped: this is no text
_TOLD = 5  # numbers of broken lines


def read_metrics(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines of a file of metrics: those of lanes, and those over all lanes.

    Warns:
      UserWarning: there are lines that cannot be read.
    """
    lanes, over_lanes = _read(path, (LANES, OVER_LANES))
    return lanes, over_lanes


def read_lines(path: Path, layout: Layout) -> pl.DataFrame:
    """The lines of a file that has one kind of them.

    Warns:
      UserWarning: there are lines that cannot be read.
    """
    (frame,) = _read(path, (layout,))
    return frame


def _read(path: Path, layouts: Sequence[Layout]) -> list[pl.DataFrame]:
    data = path.read_bytes()
    data = data[: data.rfind(b"\n") + 1]  # what is behind is still being written, or torn
    pieces = [data] if len(layouts) == 1 else _without_and_with_over_lanes(data)
    try:
        return [_parse(*piece) for piece in zip(pieces, layouts, strict=True)]
    except (pl.exceptions.PolarsError, _UnlikeError):
        pieces = _mended(path, data, layouts)
        return [_parse(*piece) for piece in zip(pieces, layouts, strict=True)]


def _without_and_with_over_lanes(data: bytes) -> list[bytes]:
    if b',"over_lanes":' not in data:
        return [data, b""]
    found: tuple[list[bytes], list[bytes]] = [], []
    for line in data.splitlines(keepends=True):
        found[_OVER_LANES.match(line) is not None].append(line)
    return [b"".join(lines) for lines in found]


class _UnlikeError(Exception):
    """A line is JSON, but not such a line."""


def _parse(data: bytes, layout: Layout) -> pl.DataFrame:
    """A frame of lines: fields of their types, parts as structs, `nonfinite` as JSON text."""
    if not data or data.isspace():
        return layout.empty()
    # Of a file whose columns come late polars would drop them: all of it is looked at.
    overrides = {"nonfinite": pl.String} if _NONFINITE in data else None
    frame = pl.read_ndjson(data, infer_schema_length=None, schema_overrides=overrides)
    for name in (*layout.fields, *layout.needed):
        if name not in frame.columns or frame[name].null_count():
            raise _UnlikeError
    for name in layout.parts:
        if name in frame.columns and frame.schema[name].base_type() is not pl.Struct:
            raise _UnlikeError
    types = {name: TYPES[name] for name in layout.columns if name in frame.columns}
    if not all(_is_like(frame.schema[name], expected) for name, expected in types.items()):
        raise _UnlikeError
    return frame.with_columns(frame[name].cast(expected) for name, expected in types.items())


def _is_like(found: pl.DataType, expected: pl.DataType) -> bool:
    if isinstance(expected, pl.Float64):
        return found.is_numeric()
    return found == expected


def _mended(path: Path, data: bytes, layouts: Sequence[Layout]) -> list[bytes]:
    """The lines of each layout, of which polars can make columns; warns of those left out."""
    found: list[list[dict[str, Any]]] = [[] for _ in layouts]
    broken: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError:
            fields = None
        place = len(layouts) > 1 and isinstance(fields, dict) and "over_lanes" in fields
        if isinstance(fields, dict) and _is_line(fields, layouts[place]):
            found[place].append(fields)
        else:
            broken.append(number)
    if broken:
        numbers = ", ".join(map(str, broken[:_TOLD])) + (", …" if len(broken) > _TOLD else "")
        warnings.warn(
            f"{path}: {'line' if len(broken) == 1 else 'lines'} {numbers}: got something else than "
            f"a whole line of this file; {len(broken)} left out",
            stacklevel=2,
        )
    return [_dumped(lines, layout) for lines, layout in zip(found, layouts, strict=True)]


def _is_line(fields: dict[str, Any], layout: Layout) -> bool:
    """Whether it has what each such line has."""
    for name in layout.fields:
        if not _fits(fields.get(name), TYPES[name]):
            return False
    for name in OPTIONAL:
        if name in fields and not _fits(fields[name], TYPES[name]):
            return False
    if not all(name in fields for name in layout.needed):
        return False
    parts = [fields[name] for name in (*layout.parts, "nonfinite") if name in fields]
    return all(isinstance(part, dict) for part in parts)


def _fits(value: Any, expected: pl.DataType) -> bool:
    match expected:
        case pl.Float64():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case pl.Int64():
            return type(value) is int and -(2**63) <= value < 2**63
        case pl.String():
            return isinstance(value, str)
        case _:
            return isinstance(value, list) and all(_fits(v, pl.Int64()) for v in value)


def _dumped(lines: Sequence[dict[str, Any]], layout: Layout) -> bytes:
    """Lines on which the values of each name are of one kind."""
    for part in layout.parts:
        kinds: dict[str, Kind] = {}
        for line in lines:
            for key, value in line.get(part, {}).items():
                kinds[key] = merged(kinds.get(key, Kind(0, None)), kind_of(value))
        several = {
            key: kind for key, kind in kinds.items() if kind == ANYTHING or kind.base == "mixed"
        }
        for line in lines if several else ():
            values = line.get(part, {})
            for key in several.keys() & values.keys():
                values[key] = fitted(values[key], several[key])
    return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
