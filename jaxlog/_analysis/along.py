"""The horizontal axes of curves: updates, environment steps, and time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from jaxlog._analysis.group_curves import GroupCurve
from jaxlog._analysis.groups import NONFINITE, VALUE, By, Values, values_of
from jaxlog._analysis.score_notes import Bounds, normalized
from jaxlog._format.columnar import RUN
from jaxlog._reading.run_frames import RunFrames
from jaxlog._reading.timings import seconds_open


class Along(NamedTuple):
    """A horizontal axis.

    Attributes:
      column: the column of the lines.
      title: its title.
      kind: `number`, `time` or `duration`.
    """

    column: str
    title: str
    kind: Literal["number", "time", "duration"]


ALONG = {
    "step": Along("step", "update", "number"),
    "env_step": Along("env_step", "environment steps", "number"),
    "time": Along("timestamp", "time", "time"),
    "relative": Along("jaxlog.seconds", "time since the start", "duration"),
}
"""The axes, by the names that plots and addresses have."""
OF_LINES = ("step", "env_step", "timestamp")
"""The columns of lines that axes need."""
HELD = "at each point, a lane counts with its last value before it"
"""The note of curves whose lanes were brought to the same points."""
POINTS = 200
"""The most points to which the lanes of a plot are brought."""
DAY = 86_400.0
"""The seconds of a day."""
_UNITS = (("days", 2 * DAY, DAY), ("h", 7200.0, 3600.0), ("min", 120.0, 60.0), ("s", 0.0, 1.0))
"""The units of durations: the name, the longest duration from which it is used, its seconds."""


def with_seconds(frame: pl.DataFrame, runs: Mapping[str, RunFrames]) -> pl.DataFrame:
    """Adds the seconds for which each run had been open, as the axis `relative`.

    Args:
      frame: rows with `run` and `timestamp`.
      runs: the runs by their names.
    """
    column = ALONG["relative"].column
    parts = frame.partition_by(RUN, maintain_order=True, as_dict=True)
    return pl.concat(
        part.with_columns(
            pl.Series(column, seconds_open(part["timestamp"].to_numpy(), runs[str(name)].info))
        )
        for (name,), part in parts.items()
    )


def held(frame: pl.DataFrame, column: str, points: int) -> pl.DataFrame:
    """The lanes at the same points, each with its last value before them.

    A lane has no row before its first value, nor after the first of these points after its last.

    Args:
      frame: rows with `run`, `lane`, `VALUE` and the column.
      column: that of the axis.
      points: how many points there are, roughly.
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
        parts.append(lane[np.maximum(rows, 0)].with_columns(pl.Series(column, at)))
    return pl.concat(parts)


def values_along(
    runs: Mapping[str, RunFrames],
    metric: str,
    call: str | None,
    by: By,
    x: str,
    extra: Sequence[str] = (),
    task: str | None = None,
    normalize: Bounds | None = None,
) -> Values:
    """Collects a metric as `values_of`, with the column of an axis.

    Args:
      runs: the runs by their names.
      metric: as for `values_of`.
      call: as for `values_of`.
      by: as for `values_of`.
      x: one of `ALONG`.
      extra: as for `values_of`.
      task: the label or key that says on which task a lane was trained: the last one of
        `Values.extra`.
      normalize: for each task, the value that becomes 0 and the value that becomes 1.

    Raises:
      LookupError: as `values_of`; or lines have no such axis, or a task has no bounds.
    """
    column = ALONG[x].column
    axes = ("step", "env_step") if ALONG[x].kind == "number" else OF_LINES
    others = [name for name in extra if name != task]
    columns = others if task is None else [*others, task]
    values = values_of(runs, metric, call, by, columns, axes=axes)
    frame = values.frame
    if x == "relative":
        frame = with_seconds(frame, runs)
    if column not in frame.columns or frame[column].null_count() == len(frame):
        raise LookupError(
            f"{metric!r}: has no {x}; set env_steps_per_update, or plot over x='step'"
        )
    if normalize is not None:
        own = frame.select(pl.col(VALUE).alias("score"), *values.extra)
        scaled = normalized(own, None if task is None else values.extra[-1], normalize)
        frame = frame.with_columns(scaled.alias(VALUE))
    return replace(values, frame=frame)


def to_the_same_points(values: Values, x: str) -> tuple[Values, bool]:
    """Brings lanes to the same points of an axis, if they were not there.

    That is so for the times of several runs, and for tasks that were logged at other points. Points
    at which a task has no lane, because its lanes have ended or not begun, are left out.

    Returns:
      The values, and whether they were brought.
    """
    column, frame = ALONG[x].column, values.frame
    if ALONG[x].kind != "number":
        differ = frame[RUN].n_unique() > 1
    elif values.extra:
        points = frame.group_by(values.extra[0]).agg(pl.col(column).unique().sort())[column]
        differ = len({tuple(one) for one in points.to_list()}) > 1
    else:
        differ = False
    if not differ:
        return values, False
    frame = held(frame, column, POINTS)
    if values.extra:
        ends = frame.group_by(values.extra[0]).agg(
            pl.col(column).min().alias("first"), pl.col(column).max().alias("last")
        )
        frame = frame.filter(pl.col(column).is_between(ends["first"].max(), ends["last"].min()))
    return replace(values, frame=frame), True


def unit_of(kind: str, longest: float) -> tuple[str, float]:
    """The unit of an axis that is added to its title, and the seconds in one of its units.

    Args:
      kind: as in `Along`.
      longest: the largest value on it.

    >>> unit_of("duration", 300.0), unit_of("number", 300.0)
    ((' (min)', 60.0), ('', 1.0))
    """
    if kind == "time":
        return "", DAY  # matplotlib counts days
    if kind == "number":
        return "", 1.0
    name, _, seconds = next(unit for unit in _UNITS if longest >= unit[1])
    return f" ({name})", seconds


def in_units(curve: GroupCurve, seconds: float) -> GroupCurve:
    """A curve along an axis in another unit."""
    if seconds == 1.0:
        return curve
    lines = [(x / seconds, y) for x, y in curve.lines]
    return replace(curve, x=curve.x / seconds, lines=lines)


def counted(
    curves: Mapping[tuple[Any, ...], GroupCurve], lines: Values, shown: Values, x: str
) -> dict[tuple[Any, ...], GroupCurve]:
    """The curves with the numbers of values that are not finite in the lines, each counted once.

    Args:
      curves: by the values that define their groups.
      lines: the values of the lines.
      shown: those that the curves were made of, as `to_the_same_points` returned them.
      x: one of `ALONG`.
    """
    if lines is shown:
        return dict(curves)
    column, end = ALONG[x].column, shown.frame[ALONG[x].column].max()
    found = {repr(key): curve for key, curve in curves.items()}
    for key, every in lines.groups():
        frame = every.filter(pl.col(column) <= end)
        value = frame[VALUE].drop_nulls()
        partial = frame.filter(pl.col(VALUE).is_finite() & (pl.col(NONFINITE) > 0))
        if (curve := found.get(repr(key))) is not None:
            odd = int((~value.is_finite()).sum())
            found[repr(key)] = replace(curve, nonfinite=odd, partial=len(partial))
    return {key: found[repr(key)] for key in curves}


def all_in_units(
    curves: Sequence[Mapping[tuple[Any, ...], GroupCurve]], x: str
) -> tuple[Along, list[dict[tuple[Any, ...], GroupCurve]]]:
    """The axis with its unit in the title, and the curves in this unit."""
    along = ALONG[x]
    ends = [curve.x[-1] for groups in curves for curve in groups.values() if len(curve.x)]
    unit, seconds = unit_of(along.kind, max(ends, default=0.0))
    scaled = [{key: in_units(curve, seconds) for key, curve in groups.items()} for groups in curves]
    return along._replace(title=along.title + unit), scaled
