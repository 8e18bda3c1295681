"""Concatenates the frames of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def _without_a_common_type(frames: Sequence[pl.DataFrame]) -> set[str]:
    """Returns the columns whose types have no common type in polars."""
    types: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, kind in frame.schema.items():
            types.setdefault(name, set()).add(kind)
    found: set[str] = set()
    for name, kinds in types.items():
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
