"""The rows of one metric of a run, as comparisons and quartiles need them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from jaxlog._format.names import EPISODE_COUNT
from jaxlog._page.plain_lines import PlainLines
from jaxlog._page.row_stream import RowStream
from jaxlog._reading.all_nonfinite import count_column
from jaxlog._reading.call_lines import CallLines, lines_of_call
from jaxlog._reading.columns import TableFrame
from jaxlog._reading.concatenate import joined
from jaxlog._reading.layouts import LANES, empty

MOST_ROWS = 300_000
"""The most rows of a run that are kept; of more, only the last of each lane."""


class CallRows:
    """Reads the rows of one metric, with the labels.

    Args:
      path: the directory of the run.
      call: the name of the call.
      key: the metric.

    Attributes:
      only_last: True if there are too many rows, so that only the last ones of each lane are kept:
        the last, the last with a value, and the last with a finite value.
    """

    def __init__(self, path: Path, call: str, key: str) -> None:
        self.only_last = False
        self._key = key
        self._stream = RowStream(path, call, self._wanted)
        self._frames: list[pl.DataFrame] = []
        self._labels: tuple[str, ...] = ()
        self._rows = 0

    @property
    def notes(self) -> Sequence[str]:
        """Sentences that say which rows could not be read."""
        return self._stream.notes

    @property
    def num_bytes(self) -> int:
        """The memory that they take, about."""
        return 4096 + sum(int(frame.estimated_size()) for frame in self._frames)

    def update(self) -> bool:
        """Reads what is new; False if files were cut back or replaced, so that it has to be anew.

        Raises:
          OSError: a file was removed, or cannot be read.
        """
        if not self._stream.is_continued:
            return False
        for table in self._stream.tables():
            self._add(table)
        self._join()
        return True

    def read_last(self) -> TableFrame | None:
        """The last rows of each lane, if all lines are alike and none replaces another.

        None if they are not; then all rows are there.

        Raises:
          OSError: as `update`.
        """
        every = self._stream.rows()
        first, second = next(every, None), next(every, None)
        if isinstance(first, PlainLines) and second is None:
            last = first.last_of_lanes()
            if last is not None:
                return self._stream.table_of(last)
        for rows in itertools.chain((first, second), every):
            if rows is not None:
                self._add(self._stream.table_of(rows) if isinstance(rows, PlainLines) else rows)
        self._join()
        return None

    def _join(self) -> None:
        """Makes one frame of all rows, which does not keep the bytes of their file."""
        if len(self._frames) > 1:
            self._frames = [joined(self._frames).rechunk()]

    def _add(self, table: TableFrame) -> None:
        self._labels = tuple(dict.fromkeys((*self._labels, *table.labels)))
        own = self._wanted(table.frame.columns, table.labels)
        self._frames.append(table.frame.select(own))
        self._rows += len(table.frame)
        self.only_last = self.only_last or self._rows > MOST_ROWS
        if self.only_last:
            self._frames = [_last_rows(joined(self._frames), self._key)]

    def table(self) -> TableFrame:
        """The rows."""
        frame = self._frames[0] if self._frames else empty(LANES)
        return TableFrame(frame, tuple(name for name in self._labels if name in frame.columns))

    def _wanted(self, columns: Sequence[str], labels: Sequence[str]) -> list[str]:
        """The columns that are needed."""
        count = count_column(self._key, columns)
        others = {*LANES.own, *labels, self._key, EPISODE_COUNT, *([count] if count else [])}
        return [name for name in columns if name in others]


class LastRows:
    """The last rows of each lane of a run that has finished, with what all its rows say.

    Args:
      path: the directory of the run.
      call: the name of the call.
      key: the metric.

    Attributes:
      lines: the rows, as a comparison needs them; None if the run has no such metric.
      only_last: as in `CallRows`.
      notes: as in `CallRows`.
    """

    def __init__(self, path: Path, call: str, key: str) -> None:
        self._path, self._call, self._key = path, call, key
        self._was_read = False
        self.lines: CallLines | None = None
        self.only_last = False
        self.notes: Sequence[str] = ()

    @property
    def num_bytes(self) -> int:
        """The memory that they take, about."""
        return 4096 + (0 if self.lines is None else int(self.lines.frame.estimated_size()))

    def update(self) -> bool:
        """Reads the run; False if it was read, so that it has to be anew.

        Raises:
          OSError: a file was removed, or cannot be read.
        """
        if self._was_read:
            return False
        self._was_read = True
        rows = CallRows(self._path, self._call, self._key)
        table = rows.read_last()
        if table is not None:
            if self._key in table.frame.columns:
                self.lines = CallLines(table.frame, table.labels)
            return True
        self.only_last, self.notes = rows.only_last, rows.notes
        table = rows.table()
        if self._key in table.frame.columns:
            lines = lines_of_call(table)
            if not any(lines.frame[label].null_count() for label in lines.labels):
                frame = lines.frame
                if not frame["step"].is_sorted():  # sorting copies all of it
                    frame = frame.sort("step", maintain_order=True)
                lines = replace(lines, frame=_last_rows(frame, self._key))
            self.lines = lines
        return True


def _last_rows(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """The last row of each lane, the last with a value, and the last with a finite one."""
    lane = frame["lane"].to_numpy()
    kept = np.zeros(len(frame), np.bool_)
    masks = [np.ones(len(frame), np.bool_)]
    if key in frame.columns:
        masks.append(frame[key].is_not_null().to_numpy())
        if frame.schema[key].is_float():
            masks.append(frame[key].is_finite().fill_null(value=False).to_numpy())
    _, number = np.unique(lane, return_inverse=True)
    for mask in masks:
        (rows,) = np.nonzero(mask)
        last = np.full(int(number.max(initial=-1)) + 1, -1)
        last[number[rows]] = rows  # the last assignment counts
        kept[last[last >= 0]] = True
    return frame.filter(kept)
