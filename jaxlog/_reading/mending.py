"""Repairs lines that polars refuses: drops broken ones, and gives the values of a key one kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from jaxlog._caller import warn_caller
from jaxlog._reading.kinds import ANYTHING, NOTHING, Kind, fitted, kind_of, merged
from jaxlog._reading.layouts import NONFINITE, OPTIONAL, OVER_LANES, TYPES, LineKind
from jaxlog._run_files import loads

_NAMED = 5  # the most broken lines that a warning names


def whole_lines(
    path: Path, data: bytes, layouts: Sequence[LineKind], before: int = 0
) -> list[bytes]:
    """Sorts lines by their kind, and leaves out lines of no kind.

    Args:
      path: the file of the lines.
      data: the lines.
      layouts: one kind, or two, of which the second is `OVER_LANES`.
      before: the number of lines of the file that come before them.

    Returns:
      The lines of each kind.

    Warns:
      UserWarning: lines are left out.
    """
    found: list[list[bytes]] = [[] for _ in layouts]
    broken: list[int] = []
    for number, line in enumerate(data.split(b"\n"), before + 1):
        if not line or line.isspace():
            continue
        try:
            fields = loads(line)
        except ValueError:
            fields = None
        over = isinstance(fields, dict) and OVER_LANES in layouts and "over_lanes" in fields
        index = layouts.index(OVER_LANES) if over else 0
        if isinstance(fields, dict) and _is_line(fields, layouts[index]):
            found[index].append(line + b"\n")
        else:
            broken.append(number)
    if broken:
        _warn(path, broken)
    return [b"".join(lines) for lines in found]


def of_one_kind(data: bytes, layout: LineKind) -> bytes:
    """Rewrites lines so that all values of a key have one kind."""
    lines = [orjson.loads(line) for line in data.split(b"\n") if line]
    for part in layout.parts:
        kinds: dict[str, Kind] = {}
        for line in lines:
            for key, value in line.get(part, {}).items():
                kinds[key] = merged(kinds.get(key, NOTHING), kind_of(value))
        several = {
            key: kind for key, kind in kinds.items() if kind == ANYTHING or kind.base == "mixed"
        }
        for line in lines if several else ():
            values = line.get(part, {})
            for key in several.keys() & values.keys():
                values[key] = fitted(values[key], several[key])
    order = (*layout.own, *layout.parts, "nonfinite")
    written = ({name: line[name] for name in order if name in line} for line in lines)
    return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in written)


def _is_line(fields: dict[str, Any], layout: LineKind) -> bool:
    """True if a line has the fields of its kind, with values of their types."""
    optional = [name for name in OPTIONAL if name in fields]
    parts = [fields[name] for name in (*layout.parts, "nonfinite") if name in fields]
    return (
        all(_fits(fields.get(name), TYPES[name]) for name in (*layout.fields, *optional))
        and all(name in fields for name in layout.needed)
        and all(isinstance(part, dict) for part in parts)
        and all(text in NONFINITE for text in fields.get("nonfinite", {}).values())
    )


def _fits(value: Any, expected: pl.DataType) -> bool:
    match expected:
        case pl.Float64():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case pl.Int64():
            return type(value) is int and -(2**63) <= value < 2**63
        case pl.String():
            return isinstance(value, str)
        case _:
            return (
                isinstance(value, list) and bool(value) and all(_fits(v, pl.Int64()) for v in value)
            )


def _warn(path: Path, broken: Sequence[int]) -> None:
    """Warns about broken lines."""
    numbers = ", ".join(map(str, broken[:_NAMED])) + (", …" if len(broken) > _NAMED else "")
    warn_caller(
        f"{path}: {'line' if len(broken) == 1 else 'lines'} {numbers}: got something other "
        f"than a complete line of this file; {len(broken)} left out"
    )
