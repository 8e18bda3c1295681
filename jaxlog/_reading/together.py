"""Reads the metrics of many small runs together: one parse for as many as a piece holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from jaxlog._format.columnar import RUN
from jaxlog._format.segment import segment_of
from jaxlog._reading.columns import flat
from jaxlog._reading.concatenate import concatenated
from jaxlog._reading.layouts import LANES
from jaxlog._reading.lines import by_lane_and_over_lanes, ended, unmended
from jaxlog._reading.pieces import PIECE
from jaxlog._run_files import NotReadError, read_small

_OVER_LANES = b',"over_lanes":'


class RunMetrics(NamedTuple):
    """The metrics of a call of a run, which are to be read.

    Attributes:
      name: the name of the run.
      files: the files that have them.
      read: reads them as a frame without the name.
    """

    name: str
    files: Sequence[Path]
    read: Callable[[], pl.DataFrame]


def rows_of_runs(runs: Iterable[RunMetrics], most: int = PIECE) -> Iterator[pl.DataFrame]:
    """Yields the rows of runs, of one or more of them at a time, with a first column `run`.

    `concatenate.joined` makes one frame of them, which is that of `concatenate.concatenated` of all
    runs.

    Args:
      runs: the runs.
      most: the bytes after which a frame ends with the next run.
    """
    some: list[tuple[RunMetrics, bytes]] = []
    size = 0
    for run in runs:
        data = _lines(run, most)
        if data is None:
            yield from _of_some(some)
            yield concatenated({run.name: run.read()})
            some, size = [], 0
        elif data:
            some.append((run, data))
            size += len(data)
            if size >= most:
                yield from _of_some(some)
                some, size = [], 0
        else:
            # A run without lines has the columns that each line has.
            yield concatenated({run.name: run.read()})
    yield from _of_some(some)


def _lines(run: RunMetrics, most: int) -> bytes | None:
    """The lines of lanes; None if the run has to be read by itself."""
    if len(run.files) != 1 or segment_of(run.files[0].name) is not None:
        return None
    try:
        data = ended(read_small(run.files[0], most))
    except NotReadError:
        return None
    return by_lane_and_over_lanes(data)[0] if _OVER_LANES in data else data


def _of_some(runs: Sequence[tuple[RunMetrics, bytes]]) -> Iterator[pl.DataFrame]:
    frame = _parsed(runs) if len(runs) > 1 else None
    if frame is not None:
        yield frame
        return
    for run, _ in runs:
        yield concatenated({run.name: run.read()})


def _parsed(runs: Sequence[tuple[RunMetrics, bytes]]) -> pl.DataFrame | None:
    """The rows of several runs from one parse; None if their own parses may give others."""
    lines = unmended(b"".join(data for _, data in runs), LANES)
    counts = [data.count(b"\n") for _, data in runs]
    if lines is None or len(lines.frame) != sum(counts):  # blank lines
        return None
    frame = flat(lines, LANES).frame
    if any(name.startswith(("labels.", "metrics.")) for name in frame.columns):
        return None  # names that differ in one run need not differ in another
    if any("128" in repr(kind) or "UInt64" in repr(kind) for kind in frame.dtypes):
        return None  # their type depends on all values
    begins = np.cumsum([0, *counts[:-1]])
    if any(name.endswith("_nonfinite") for name in frame.columns) and _is_partial(frame, begins):
        return None  # what was not finite depends on the columns that a run has
    first = _first_runs(frame, begins)
    order = sorted(frame.columns, key=lambda name: first[name])
    names = pl.Series(RUN, [run.name for run, _ in runs], pl.String)
    numbers = np.repeat(np.arange(len(runs), dtype=np.uint32), counts)
    return pl.DataFrame([names.gather(numbers), *(frame[name] for name in order)])


def _is_partial(frame: pl.DataFrame, begins: np.ndarray) -> bool:
    """True if a column has no value in one of the runs."""
    return not all(
        np.logical_or.reduceat(column.is_not_null().to_numpy(), begins).all()
        for column in frame
        if column.null_count()
    )


def _first_runs(frame: pl.DataFrame, begins: np.ndarray) -> dict[str, int]:
    """The number of the first run that has a value, by column."""
    found: dict[str, int] = {}
    for column in frame:
        row = 0 if column.null_count() == 0 else int(column.is_not_null().arg_max() or 0)
        found[column.name] = int(np.searchsorted(begins, row, side="right")) - 1
    return found
