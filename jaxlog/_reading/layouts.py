"""The kinds of line, and the polars type of each of their fields."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from jaxlog._format.lines import FIELDS, KINDS, LANES, NONFINITE, OPTIONAL, OVER_LANES, LineKind

__all__ = ["KINDS", "LANES", "NONFINITE", "OPTIONAL", "OVER_LANES", "TYPES", "LineKind", "empty"]

_OF_POLARS: Mapping[str, pl.DataType] = {
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "text": pl.String(),
    "integers": pl.List(pl.Int64()),
}
TYPES: Mapping[str, pl.DataType] = {name: _OF_POLARS[kind] for name, kind in FIELDS.items()}
"""The type of each field that jaxlog names, in the order of their columns."""


def empty(kind: LineKind) -> pl.DataFrame:
    """Returns the frame of a file without lines."""
    return pl.DataFrame(schema={name: TYPES[name] for name in kind.own if name in kind.fields})
