"""The rows of one metric of a run, as comparisons and quartiles need them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from jaxlog._format.names import EPISODE_COUNT
from jaxlog._page.parsed_lines import ParsedLines
from jaxlog._page.row_stream import RowStream
from jaxlog._reading.all_nonfinite import count_column
from jaxlog._reading.columns import Table
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
      parsed: as in `RowStream`.

    Attributes:
      only_last: True if there are too many rows, so that only the last ones of each lane are kept:
        the last, the last with a value, and the last with a finite value.
    """

    def __init__(self, path: Path, call: str, key: str, parsed: ParsedLines | None = None) -> None:
        self.only_last = False
        self._key = key
        self._stream = RowStream(path, call, self._wanted, parsed)
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
            self._labels = tuple(dict.fromkeys((*self._labels, *table.labels)))
            own = self._wanted(table.frame.columns, table.labels)
            self._frames.append(table.frame.select(own))
            self._rows += len(table.frame)
            self.only_last = self.only_last or self._rows > MOST_ROWS
            if self.only_last:
                self._frames = [_last_rows(joined(self._frames), self._key)]
        if len(self._frames) > 1:
            self._frames = [joined(self._frames)]
        return True

    def table(self) -> Table:
        """The rows."""
        frame = self._frames[0] if self._frames else empty(LANES)
        return Table(frame, tuple(name for name in self._labels if name in frame.columns))

    def _wanted(self, columns: Sequence[str], labels: Sequence[str]) -> list[str]:
        """The columns that are needed."""
        count = count_column(self._key, columns)
        others = {*LANES.own, *labels, self._key, EPISODE_COUNT, *([count] if count else [])}
        return [name for name in columns if name in others]


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
