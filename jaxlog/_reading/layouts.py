"""The kinds of line, with the types that polars has for their fields."""

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
"""The fields whose names are not the user's, in the order of their columns."""


def empty(kind: LineKind) -> pl.DataFrame:
    """The frame of no lines."""
    return pl.DataFrame(schema={name: TYPES[name] for name in kind.own if name in kind.fields})
