"""Parses lines of JSON into a frame, with types inferred from a part of the lines if possible.

polars infers types from a given number of lines and drops keys that only other lines have. To infer
from all lines takes longer than parsing them. Therefore types are inferred from the first and the
last lines. Then the keys in the frame are counted; if any is missing, types are inferred from all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

SAMPLE = 2**14, 2**18
"""The least and the most bytes at each end of the file from which types are inferred first."""
_PART = 64
"""Each of them has this part of the file, since inferring takes four times as long as parsing."""

Nonfinite = Sequence[tuple[Mapping[str, str], Sequence[int]]]
"""Each distinct field `nonfinite`, by key, or by key and index, and the rows that have it."""


def read_frame(data: bytes, nonfinite: Nonfinite) -> pl.DataFrame:
    """Parses lines into a frame with a row per line and a column per key; `nonfinite` is text.

    Args:
      data: complete lines.
      nonfinite: the fields `nonfinite` of the lines.

    Raises:
      polars.exceptions.PolarsError: a line is not JSON, or a key has values of several kinds.
    """
    # `nonfinite` may have a key per element of an array: too many for columns. Its text is only
    # counted, since polars does not escape it.
    overrides = {"nonfinite": pl.String()} if nonfinite else None
    least, most = SAMPLE
    sample = min(max(len(data) // _PART, least), most)
    if len(data) > 4 * sample:
        with contextlib.suppress(pl.exceptions.PolarsError):  # most values of other types raise
            schema = _of_all_lines(_ends(data, sample), overrides).schema
            if all(map(_is_strict, schema.values())):
                frame = pl.read_ndjson(data, schema=schema)
                if not any(map(_has_arrays, frame)) and _has_all_keys(frame, data, nonfinite):
                    return frame
    return _of_all_lines(data, overrides)


def _of_all_lines(data: bytes, overrides: Mapping[str, pl.DataType] | None) -> pl.DataFrame:
    return pl.read_ndjson(data, infer_schema_length=None, schema_overrides=overrides)


def _ends(data: bytes, size: int) -> bytes:
    """Returns the first and the last lines, of about as many bytes each."""
    return data[: data.find(b"\n", size) + 1] + data[data.rfind(b"\n", 0, -size) + 1 :]


def _is_strict(kind: PolarsDataType) -> bool:
    """True if polars raises for values of another type, and does not convert them."""
    match kind:
        case pl.Struct():
            return all(_is_strict(field.dtype) for field in kind.fields)
        case pl.List():
            return not isinstance(kind.inner, pl.String) and _is_strict(kind.inner)
        case _:
            return not isinstance(kind, pl.Null)  # in a list, any value becomes null


def _has_arrays(column: pl.Series) -> bool:
    """True if texts may have been arrays, which polars converts to text."""
    if isinstance(column.dtype, pl.Struct):
        return any(map(_has_arrays, column.struct.unnest()))
    return column.dtype == pl.String and bool(column.str.starts_with("[").any())


def _has_all_keys(frame: pl.DataFrame, data: bytes, nonfinite: Nonfinite) -> bool:
    """True if no key of the lines is missing in the frame; False also if counting cannot decide.

    It cannot if a text contains `":`, or if keys are not written as the sink writes them.
    """
    names = {key for column in frame if column.dtype == pl.Struct for key in column.struct.fields}
    of_nonfinite = 0
    for field, rows in nonfinite:
        whole = [key for key in field if not key.endswith("]")]  # not an element of an array
        if not names.issuperset(whole):
            return False
        of_nonfinite += (len(field) + len(whole)) * len(rows)  # in `nonfinite`, and null elsewhere
    found = sum(map(_num_keys, frame)) + of_nonfinite
    return found == data.count(b'":') and b'" :' not in data


def _num_keys(column: pl.Series) -> int:
    """Counts the keys with a value that a column was read from."""
    own = len(column) - column.null_count()
    return own + sum(map(_num_keys, column.struct.unnest())) if column.dtype == pl.Struct else own
