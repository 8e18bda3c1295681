"""Turns the fields of lines into flat columns, and restores the numbers that JSON cannot hold."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from jaxlog._format.columnar import column_names
from jaxlog._reading.all_nonfinite import with_nan
from jaxlog._reading.layouts import LineKind
from jaxlog._reading.lines import Lines

_ELEMENT = re.compile(r"(?P<key>.*)\[(?P<index>\d+(?:, \d+)*)\]", re.DOTALL)


@dataclass(frozen=True)
class TableFrame:
    """The lines of a file as a frame.

    Attributes:
      frame: a row per line.
      labels: the columns that are labels.
    """

    frame: pl.DataFrame
    labels: tuple[str, ...] = ()


def flat(lines: Lines, layout: LineKind) -> TableFrame:
    """Makes a column of each value, whatever part of the line it is in, named by `column_names`."""
    frame = lines.frame
    parts = {
        part: frame[part].struct.unnest()
        for part in layout.parts
        if part in frame.columns and frame[part].struct.fields
    }
    names = column_names({part: values.columns for part, values in parts.items()}, layout)
    columns = [frame[name] for name in layout.own if name in frame.columns]
    columns += [
        _narrow(values[key]).alias(names[part, key])
        for part, values in parts.items()
        for key in values.columns
    ]
    found = _restored(pl.DataFrame(columns), names, lines)
    if "metrics" in layout.parts:
        found = with_nan(
            found, {key: name for (part, key), name in names.items() if part == "metrics"}
        )
    labels = tuple(name for (part, _), name in names.items() if part == "labels")
    return TableFrame(found, labels)


def _narrow(column: pl.Series) -> pl.Series:
    """Casts a column of Int128 to UInt64 if all values fit."""
    if column.dtype == pl.Int128:
        narrow = column.cast(pl.UInt64, strict=False)
        return narrow if narrow.null_count() == column.null_count() else column
    return column


def _restored(
    frame: pl.DataFrame, names: Mapping[tuple[str, str], str], lines: Lines
) -> pl.DataFrame:
    """Puts back NaN and infinities, which are null in the frame.

    Args:
      frame: the flat columns.
      names: the column of each (part, key).
      lines: the lines, with their fields `nonfinite`.
    """
    columns: dict[str, list[str]] = {}
    for (_, key), name in names.items():
        columns.setdefault(key, []).append(name)
    whole: dict[str, list[tuple[np.ndarray, str]]] = {}
    inside: dict[str, list[tuple[int, list[int], str]]] = {}
    for nonfinite, rows in lines.nonfinite:
        for key, text in nonfinite.items():
            index = _ELEMENT.fullmatch(key)
            if key in columns:
                for name in columns[key]:
                    whole.setdefault(name, []).append((np.array(rows), text))
            elif index is not None:
                at = [int(i) for i in index["index"].split(", ")]
                for name in columns.get(index["key"], ()):
                    inside.setdefault(name, []).extend((row, at, text) for row in rows)
    for name, found in whole.items():
        frame = frame.with_columns(_with_values(frame[name], found))
    for name, found in inside.items():
        frame = frame.with_columns(_with_elements(frame[name], found))
    return frame


def _with_values(column: pl.Series, found: list[tuple[np.ndarray, str]]) -> pl.Series:
    """Fills rows of a column that are null."""
    if column.dtype.is_nested():  # the value belongs to a key of the same name in another part
        return column
    rows = np.concatenate([rows for rows, _ in found])
    texts = np.repeat([text for _, text in found], [len(rows) for rows, _ in found])
    missing = column.is_null().to_numpy()[rows]
    rows, texts = rows[missing], texts[missing]
    if column.dtype == pl.String:  # other rows hold text
        return _replaced(column, rows, pl.Series(texts.tolist(), dtype=pl.String))
    return _replaced(column.cast(pl.Float64), rows, pl.Series(texts.astype(np.float64)))


def _with_elements(column: pl.Series, found: list[tuple[int, list[int], str]]) -> pl.Series:
    """Fills elements that are null in a column of lists."""
    depth, leaf = 0, column.dtype
    while isinstance(leaf, pl.List):
        depth, leaf = depth + 1, leaf.inner
    if not depth or not (leaf.is_numeric() or leaf in (pl.Null, pl.Boolean)):
        # A key of the same name in another part; or texts, since the lists differ in depth.
        return column
    of_floats: pl.DataType = pl.Float64()
    for _ in range(depth):
        of_floats = pl.List(of_floats)
    column = column.cast(of_floats)
    rows = sorted({row for row, _, _ in found})
    lists = dict(zip(rows, column.gather(rows).to_list(), strict=True))
    for row, (*outer, last), text in found:
        inner = lists[row]
        with contextlib.suppress(IndexError, TypeError):  # a key of the same name in another part
            for i in outer:
                inner = inner[i]
            inner[last] = float(text) if inner[last] is None else inner[last]
    return _replaced(column, np.array(rows), pl.Series(list(lists.values()), dtype=of_floats))


def _replaced(column: pl.Series, rows: np.ndarray, by: pl.Series) -> pl.Series:
    """Replaces the values of some rows of a column."""
    sources = np.arange(len(column))
    sources[rows] = len(column) + np.arange(len(rows))
    return pl.concat([column, by.alias(column.name)]).gather(sources)
