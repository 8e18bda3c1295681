"""From lines of JSON to a frame, whose types are taken from some of them where that will do.

polars looks for types in the lines it is told to, and drops keys that only others have. To look at
all takes longer than to parse them. So it is shown the first and the last; then it is counted
whether each key of the file has come into the frame, and if not, all are looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

SAMPLE = 2**18
"""So many bytes of the beginning, and of the end, are looked at first."""

Nonfinite = Sequence[tuple[Mapping[str, str], Sequence[int]]]
"""What was not finite, by name or place, and the rows that say so under `nonfinite`."""


def read_frame(data: bytes, nonfinite: Nonfinite) -> pl.DataFrame:
    """A row for each line, and a column for each key; `nonfinite` as text.

    Args:
      data: whole lines.
      nonfinite: what they say under `nonfinite`.

    Raises:
      polars.exceptions.PolarsError: a line is no JSON, or a key has values of several kinds.
    """
    # A key for each place in an array is too much for columns. As a text it is only counted, since
    # polars does not escape what it puts there.
    overrides = {"nonfinite": pl.String()} if nonfinite else None
    if len(data) > 4 * SAMPLE:
        with contextlib.suppress(pl.exceptions.PolarsError):  # most other types are errors
            schema = _of_all_lines(_ends(data), overrides).schema
            if all(map(_holds_for_others, schema.values())):
                frame = pl.read_ndjson(data, schema=schema)
                if not any(map(_has_arrays, frame)) and _has_all_keys(frame, data, nonfinite):
                    return frame
    return _of_all_lines(data, overrides)


def _of_all_lines(data: bytes, overrides: Mapping[str, pl.DataType] | None) -> pl.DataFrame:
    return pl.read_ndjson(data, infer_schema_length=None, schema_overrides=overrides)


def _ends(data: bytes) -> bytes:
    """The first and the last lines."""
    return data[: data.find(b"\n", SAMPLE) + 1] + data[data.rfind(b"\n", 0, -SAMPLE) + 1 :]


def _holds_for_others(kind: PolarsDataType) -> bool:
    """Whether polars refuses lines with values of another type, and makes nothing else of them."""
    match kind:
        case pl.Struct():
            return all(_holds_for_others(field.dtype) for field in kind.fields)
        case pl.List():
            return not isinstance(kind.inner, pl.String) and _holds_for_others(kind.inner)
        case _:
            return not isinstance(kind, pl.Null)  # in a list, anything becomes null


def _has_arrays(column: pl.Series) -> bool:
    """Whether texts may have been arrays, of which polars makes texts of its own."""
    if isinstance(column.dtype, pl.Struct):
        return any(map(_has_arrays, column.struct.unnest()))
    return column.dtype == pl.String and bool(column.str.starts_with("[").any())


def _has_all_keys(frame: pl.DataFrame, data: bytes, nonfinite: Nonfinite) -> bool:
    """Whether no key of the lines is missing; False, too, where counting cannot tell.

    That is where a text has in it what a key ends with, or where keys are not written as the sink
    writes them.
    """
    names = {key for column in frame if column.dtype == pl.Struct for key in column.struct.fields}
    of_nonfinite = 0
    for said, rows in nonfinite:
        whole = [place for place in said if not place.endswith("]")]  # no part of an array
        if not names.issuperset(whole):
            return False
        of_nonfinite += (len(said) + len(whole)) * len(rows)  # there, and null in their place
    found = sum(map(_num_keys, frame)) + of_nonfinite
    return found == data.count(b'":') and b'" :' not in data


def _num_keys(column: pl.Series) -> int:
    """From how many keys with a value a column was read."""
    own = len(column) - column.null_count()
    return own + sum(map(_num_keys, column.struct.unnest())) if column.dtype == pl.Struct else own
