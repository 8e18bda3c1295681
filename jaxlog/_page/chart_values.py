"""The values of one metric of some runs, along one of the axes that the page has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from jaxlog._analysis.groups import VALUE, By, Values, named, values_of, worded
from jaxlog._format.columnar import RUN
from jaxlog._page.asked import AbsentError
from jaxlog._reading.run_frames import RunFrames
from jaxlog._reading.timings import seconds_open

AXES = {
    "step": ("step", "update", "number"),
    "env_step": ("env_step", "environment steps", "number"),
    "time": ("timestamp", "time", "time"),
    "relative": ("jaxlog.seconds", "time since the start", "duration"),
}
"""The axes by the names that addresses have: the column, the title and the kind."""
_OF_LINES = ("step", "env_step", "timestamp")


@dataclass(frozen=True)
class ChartValues:
    """The values of a metric, by group.

    Attributes:
      values: as in `groups.Values`; the frame has the column of the axis.
      column: that column.
      is_held: True if lanes of several runs stand at the same times, each with its last value.
    """

    values: Values
    column: str
    is_held: bool = False

    def groups(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yields the name and the rows of each group, sorted by the values that define them."""
        for key, frame in self.values.groups():
            yield group_name(self.values.by, key), frame


def group_name(by: tuple[str, ...], key: tuple[Any, ...]) -> str:
    """Names a group: by its value if one label or key defines it, else as plots do.

    >>> group_name(("rate",), (0.1,)), group_name(("rate", "run"), (0.1, "a")), group_name((), ())
    ('0.1', 'rate 0.1, a', 'all lanes')
    """
    if not by:
        return "all lanes"
    return worded(key[0]) if len(by) == 1 else named(by, key)


def chart_values(
    runs: Mapping[str, RunFrames], call: str, key: str, by: By, x: str, points: int
) -> ChartValues:
    """Collects the values of a metric along an axis.

    Args:
      runs: the runs by their names.
      call: the call that logged it.
      key: its key on a line.
      by: as in `values_of`.
      x: one of `AXES`.
      points: the number of times at which lanes of several runs stand, for the axes of time.

    Raises:
      AbsentError: there is no such metric, label, key or axis.
    """
    column = AXES[x][0]
    runs = {name: run for name, run in runs.items() if _has(run, call, key)}
    if not runs:
        raise AbsentError(
            f"{call} {key}: is a metric that none of these runs has logged as a number"
        )
    try:
        values = values_of(runs, key, call, by, axes=_OF_LINES)
    except (LookupError, TypeError) as error:
        raise AbsentError(str(error)) from None
    frame = values.frame
    if x == "relative":
        seconds = [
            seconds_open(part["timestamp"].to_numpy(), runs[str(name)].info)
            for (name,), part in frame.partition_by(RUN, maintain_order=True, as_dict=True).items()
        ]
        frame = pl.concat(frame.partition_by(RUN, maintain_order=True))
        own = np.concatenate(seconds) if seconds else np.empty(0)
        frame = frame.with_columns(pl.Series(column, own, dtype=pl.Float64))
    if column not in frame.columns or frame[column].null_count() == len(frame):
        raise AbsentError(f"{key}: has no {AXES[x][1]}; set env_steps_per_update, or use x=step")
    is_held = x in ("time", "relative") and frame[RUN].n_unique() > 1
    if is_held:
        frame = _held(frame, column, points)
    return ChartValues(replace(values, frame=frame), column, is_held)


def _has(run: RunFrames, call: str, key: str) -> bool:
    return call in run.calls and run._call_lines(call).frame.schema.get(key) is not None


def _held(frame: pl.DataFrame, column: str, points: int) -> pl.DataFrame:
    """The lanes at the same times, each with its last value before them.

    A lane has no row before its first value, nor after the first of these times after its last.
    """
    frame = frame.filter(pl.col(VALUE).is_not_null() & pl.col(column).is_not_null())
    if not len(frame):
        return frame
    first, last = float(frame[column].min()), float(frame[column].max())  # type: ignore[arg-type]
    length = max(last - first, 1e-6)
    width = 2.0 ** math.ceil(math.log2(length / max(1, points - 1)))
    origin = math.floor(first / width)
    times = (origin + np.arange(math.ceil(last / width) - origin + 1)) * width
    parts = []
    for lane in frame.partition_by([RUN, "lane"], maintain_order=True):
        lane = lane.sort(column, maintain_order=True)
        own = lane[column].to_numpy()
        begin, end = np.searchsorted(times, [own[0], own[-1]])
        at = times[begin : end + 1]
        rows = np.searchsorted(own, at, "right") - 1
        held = lane[np.maximum(rows, 0)]
        parts.append(held.with_columns(pl.Series(column, at)))
    return pl.concat(parts)
