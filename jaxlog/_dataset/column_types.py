"""The types of the columns of a data set: in polars, in the manifest, and in Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

_NAMES: Mapping[str, pl.DataType] = {
    "null": pl.Null(),
    "bool": pl.Boolean(),
    "int64": pl.Int64(),
    "uint64": pl.UInt64(),
    "int128": pl.Int128(),
    "float64": pl.Float64(),
    "string": pl.String(),
}
_TYPES = {kind: name for name, kind in _NAMES.items()}


def name_of(kind: Any) -> Any:
    """Returns the JSON that stands for a type.

    >>> name_of(pl.List(pl.Float64())), name_of(pl.Struct({"counts": pl.List(pl.Int64())}))
    ({'list': 'float64'}, {'struct': {'counts': {'list': 'int64'}}})
    """
    match kind:
        case pl.List():
            return {"list": name_of(kind.inner)}
        case pl.Struct():
            return {"struct": {field.name: name_of(field.dtype) for field in kind.fields}}
        case _:
            return _TYPES[kind]


def type_of(name: Any) -> pl.DataType:
    """Returns the type that JSON of `name_of` stands for.

    Raises:
      KeyError: it stands for none.

    >>> type_of({"list": "int64"})
    List(Int64)
    """
    match name:
        case {"list": inner}:
            return pl.List(type_of(inner))
        case {"struct": dict() as fields}:
            return pl.Struct({key: type_of(inner) for key, inner in fields.items()})
        case _:
            return _NAMES[name]


def in_parquet(kind: Any) -> Any:
    """Returns the type in which a file has the values of a type.

    A column without any value is one of float64, and integers beyond 64 bits are, too: neither has
    a type that all readers know.

    >>> in_parquet(pl.List(pl.Null())), in_parquet(pl.Int64())
    (List(Float64), Int64)
    """
    match kind:
        case pl.List():
            return pl.List(in_parquet(kind.inner))
        case pl.Struct():
            return pl.Struct({field.name: in_parquet(field.dtype) for field in kind.fields})
        case pl.Null() | pl.Int128():
            return pl.Float64()
        case _:
            return kind
