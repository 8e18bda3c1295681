"""Concatenates the frames of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from jaxlog._format.columnar import RUN


def concatenated(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Concatenates the frames of several runs, with a first column `run`.

    A column that a frame lacks is null there. A column of several types gets the type that can hold
    all of them, or else becomes JSON text.

    Args:
      frames: the frame of each run, by its name.
    """
    if not frames:
        return pl.DataFrame(schema={RUN: pl.String()})
    return joined(
        [
            frame.select(pl.lit(name, pl.String()).alias(RUN), *frame.columns)
            for name, frame in frames.items()
        ]
    )


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of several frames, with the columns of all, as `concatenated` makes them."""
    if len(frames) == 1:
        return frames[0]
    several = _without_a_common_type(frames)
    alike = [
        frame.with_columns(_as_json(frame[key]) for key in frame.columns if key in several)
        for frame in frames
    ]
    return pl.concat(alike, how="diagonal_relaxed")


def fitted(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Gives a frame the columns of a schema, and those of its own after them.

    The types are those that hold the values of both; see `joined`.
    """
    if list(frame.schema.items()) == list(schema.items()):
        return frame
    return joined([pl.DataFrame(schema=schema), frame])


def frame_of_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pl.DataFrame:
    """Makes a frame of rows that have the same keys.

    A column has one type: that of its values; floats for integers and floats; or else it is a
    column of text, in which everything but text is JSON. Sequences of texts are lists.

    Args:
      rows: plain values; None for a missing one.
      names: the keys.
    """
    return pl.DataFrame([_column([row[name] for row in rows]).alias(name) for name in names])


def _column(values: Sequence[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pl.Series(values, dtype=pl.Float64(), strict=False)
    if len(kinds) < 2 and kinds <= {bool, float, int, str}:
        return pl.Series(values, dtype=None if kinds else pl.Null())
    if kinds <= {list, tuple} and all(isinstance(o, str) for v in values for o in v or ()):
        return pl.Series(
            [None if value is None else list(value) for value in values],
            dtype=pl.List(pl.String()),
        )
    return pl.Series(
        [
            v if v is None or isinstance(v, str) else orjson.dumps(v, default=str).decode()
            for v in values
        ],
        dtype=pl.String(),
    )


def _without_a_common_type(frames: Sequence[pl.DataFrame]) -> set[str]:
    """Returns the columns whose types have no common type in polars."""
    types: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, kind in frame.schema.items():
            types.setdefault(name, set()).add(kind)
    found: set[str] = set()
    for name, kinds in types.items():
        if len(kinds) == 1:
            continue
        if {kind.is_nested() for kind in kinds if kind != pl.Null} == {True, False}:
            found.add(name)  # polars has a common type for text and empty lists, and cannot cast
            continue
        try:
            pl.concat([pl.DataFrame(schema={name: kind}) for kind in kinds], how="vertical_relaxed")
        except pl.exceptions.PolarsError:
            found.add(name)
    return found


def _as_json(column: pl.Series) -> pl.Series:
    """Turns a column into JSON text; texts stay as they are."""
    if column.dtype == pl.String:
        return column
    texts = [None if value is None else orjson.dumps(value).decode() for value in column.to_list()]
    return pl.Series(column.name, texts, dtype=pl.String)
