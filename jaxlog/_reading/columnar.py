"""Reads columnar files into frames: the same as those of lines with the same values."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import polars as pl

from jaxlog._caller import warn_caller
from jaxlog._format.columnar import column_names
from jaxlog._format.shortest import shortest
from jaxlog._reading.batches import Batches, Name, batches_of
from jaxlog._reading.columns import TableFrame
from jaxlog._reading.concatenate import joined
from jaxlog._reading.layouts import TYPES, LineKind, empty

MANY = 2**14
"""From so many rows on, the columns are converted on several threads."""


class ColumnarRows:
    """The rows of some columnar files of one call. It converts only the columns asked for.

    Args:
      frames: the rows of each file, from `rows_of_batches`.
      layout: the kind of the rows.
    """

    def __init__(self, frames: Sequence[pl.DataFrame], layout: LineKind) -> None:
        self._layout = layout
        self._frames = _narrow([frame for frame in frames if len(frame)])

    @classmethod
    def of_files(
        cls, paths: Sequence[Path], layout: LineKind, run_id: str | None = None
    ) -> ColumnarRows:
        """Reads files.

        Args:
          paths: the files, in their order.
          layout: the kind of the rows.
          run_id: the id of the run, from run.json; None if it is not known.
        """
        found = ((path, batches_of(path, run_id)) for path in paths)
        return cls([rows_of_batches(path, batches, layout) for path, batches in found], layout)

    @cached_property
    def _names(self) -> Mapping[Name, str]:
        """The column of each part and key, in the order that a frame of lines has."""
        merged = dict.fromkeys(name for frame in self._frames for name in frame.columns)
        fields = [_parted(name) for name in merged]
        own = {("", name): name for name in self._layout.own if ("", name) in fields}
        ordered = {
            part: self._in_order([_joined(name) for name in fields if name[0] == part])
            for part in self._layout.parts
        }
        return own | column_names(ordered, self._layout)

    def _in_order(self, columns: Sequence[str]) -> list[str]:
        """The keys of a part, as they come on the lines: those of the first row, then later ones.

        A later key comes with the first row that has a finite value of it.
        """
        found: dict[str, None] = {}
        begin = 0
        for frame in self._frames:
            own = [name for name in columns if name in frame.columns]
            rows = {0} if not begin else set()
            for name in own:
                if name not in found and (begin or frame[name].is_null()[0]):
                    finite = _finite(frame[name])
                    if finite.any():
                        rows.add(int(finite.arg_max() or 0))
            for row in sorted(rows):
                found |= dict.fromkeys(name for name in own if frame[name][row] is not None)
            begin += len(frame)
        found |= dict.fromkeys(sorted(columns))
        return [_parted(name)[1] for name in found]

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns that are labels."""
        return tuple(name for (part, _), name in self._names.items() if part == "labels")

    @property
    def schema(self) -> pl.Schema:
        """The columns of the frame, and their types."""
        return self._of([frame.clear() for frame in self._frames], None).schema

    def frame(self, columns: Collection[str] | None = None) -> pl.DataFrame:
        """The rows.

        Args:
          columns: the columns that are needed; None for all.
        """
        return self._of(self._frames, columns)

    def _of(self, frames: Sequence[pl.DataFrame], columns: Collection[str] | None) -> pl.DataFrame:
        if not frames:
            return empty(self._layout)
        chosen = {
            _joined(name): column
            for name, column in self._names.items()
            if columns is None or column in columns
        }
        several = joined([_converted(frame, list(chosen)) for frame in frames])
        return several.select(pl.col(name).alias(column) for name, column in chosen.items())

    def table(self) -> TableFrame:
        """All rows."""
        return TableFrame(self.frame(), self.labels)


def rows_of_batches(path: Path, found: Batches, layout: LineKind) -> pl.DataFrame:
    """The rows of some batches, as Arrow has them; a column is named by its part and its key.

    Args:
      path: their file, for warnings.
      found: the batches.
      layout: the kind of the rows.

    Warns:
      UserWarning: they are not the rows of a call.
    """
    batches = [batch for batch in found.batches if batch.num_rows]
    if not batches:
        return pl.DataFrame()
    import pyarrow as pa  # it is there

    table = pa.Table.from_batches(batches).rename_columns([_joined(name) for name in found.names])
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    own = {_joined(("", name)): TYPES[name] for name in layout.own}
    try:
        frame = frame.with_columns(pl.col(n).cast(own[n]) for n in own if n in frame.columns)
        missing = [name for name in layout.fields if frame[_joined(("", name))].null_count()]
        error = f"rows without {', '.join(missing)}" if missing else None
    except pl.exceptions.PolarsError as raised:
        error = raised
    if error:
        warn_caller(f"{path}: got something other than the rows of a call ({error}); left out")
        return pl.DataFrame()
    # Lines do not have the key of a value that none of them has.
    return frame.select(column for column in frame if column.null_count() < len(frame))


def _narrow(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Makes int64 of uint64, except in columns that have larger numbers in any file."""
    large: set[str] = set()
    for frame in frames:
        unsigned = [column for column in frame if column.dtype == pl.UInt64]
        large |= {c.name for c in unsigned if int(c.max() or 0) >= 2**63}  # type: ignore[arg-type]
    return [
        frame.with_columns(
            pl.col(name).cast(pl.Int64)
            for name, kind in frame.schema.items()
            if kind == pl.UInt64 and name not in large
        ).with_columns(
            pl.col(name).cast(pl.UInt64)
            for name, kind in frame.schema.items()
            if kind.is_integer() and name in large and int(frame[name].min() or 0) >= 0  # type: ignore[arg-type]
        )
        for frame in frames
    ]


def _joined(name: Name) -> str:
    return "/".join(name)  # no part has a slash


def _parted(name: str) -> Name:
    part, _, key = name.partition("/")
    return part, key


def _finite(column: pl.Series) -> pl.Series:
    """Which rows have a value, and not one that lines have as null."""
    if column.dtype.is_float():
        return column.is_finite().fill_null(value=False)
    return column.is_not_null()


def _converted(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Those of the columns that a frame has, with numbers as in frames of lines."""
    columns = [frame[name] for name in names if name in frame.columns]
    if len(frame) < MANY:
        return pl.DataFrame(list(map(_in_lines, columns)))
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # NumPy lets go of the interpreter
        return pl.DataFrame(list(threads.map(_in_lines, columns)))


def _in_lines(column: pl.Series) -> pl.Series:
    """The numbers as frames of lines have them: int64 and float64, or uint64 if it is needed."""
    kind = column.dtype
    if kind == pl.Float32:
        numbers = pl.Series(column.name, shortest(column.to_numpy()))
        return numbers.set(column.is_null(), None) if column.null_count() else numbers
    return column.cast(pl.Int64) if kind.is_integer() and kind != pl.UInt64 else column
