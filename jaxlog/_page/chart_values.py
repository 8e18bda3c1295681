"""The values of one metric of some runs, by group, along one of the axes that the page has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from jaxlog._analysis.group_curves import GroupCurve, Spread, curve_of
from jaxlog._analysis.groups import VALUE, Values, named, values_of, worded
from jaxlog._format.columnar import RUN
from jaxlog._format.names import EPISODE_COUNT
from jaxlog._page.asked import AbsentError, AskedError
from jaxlog._page.call_summary import CallSummary, NotInOrderError, TooManyCellsError
from jaxlog._page.followed import FollowedRun
from jaxlog._page.run_store import RunOfPage, RunsOfPage, RunStore
from jaxlog._page.summary_curve import SummaryPart, curve_of_parts
from jaxlog._reading.call_lines import CallLines
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
_COMBINED: tuple[Spread, ...] = ("std", "range", None)
"""The bands that can be computed without the value of each lane."""


class CurveOfGroup(NamedTuple):
    """A group of lanes, and its curve.

    Attributes:
      name: its name.
      runs: the number of its runs.
      curve: the curve.
    """

    name: str
    runs: int
    curve: GroupCurve


class ChartCurves(NamedTuple):
    """The curves of a metric.

    Attributes:
      by: the names that define the groups.
      groups: sorted by the values that define them.
      pinned: a curve for each run that has one of its own.
      notes: what a reader has to know, in sentences.
      spread: the kind of band; another one than was asked for if there are too many values.
    """

    by: tuple[str, ...]
    groups: Sequence[CurveOfGroup]
    pinned: Sequence[CurveOfGroup]
    notes: Sequence[str]
    spread: Spread


class ChartOf(NamedTuple):
    """The metric, the groups and the axes of some curves.

    Attributes:
      call: the call that logged the metric.
      key: its key on a line.
      by: the names that define the groups.
      x: one of `AXES`.
      spread: the kind of band.
      pinned: the names of runs that have a curve of their own.
      points: the number of times at which lanes of several runs stand, for the axes of time.
    """

    call: str
    key: str
    by: tuple[str, ...]
    x: str
    spread: Spread
    pinned: Sequence[str]
    points: int


def chart_curves(store: RunStore, runs: Sequence[FollowedRun], of: ChartOf) -> ChartCurves:
    """Computes the curves of a metric: the same as `RunsData.plot` draws.

    Args:
      store: reads the runs.
      runs: the runs.
      of: the metric, the groups and the axis.

    Raises:
      AbsentError: there is no such metric, label, key or axis.
      AskedError: there are too many groups or values.
    """
    known = [run for run in runs if (of.call, of.key) in run.row.keys]
    if not known:
        raise AbsentError(f"{of.call} {of.key}: is a metric that none of these runs has logged")
    if of.spread in _COMBINED and of.x != "relative":
        found = _from_summaries(store, known, of)
        if found is not None:
            return found
    rows, only_last = store.rows(known, of.call, of.key)
    if not only_last:
        return _from_rows(rows, of)
    instead = of._replace(spread="std")
    found = _from_summaries(store, known, instead) if of.x != "relative" else None
    if found is None:
        raise AskedError(f"{of.key}: has too many values for this axis; choose x=step")
    note = "too many values to compute quantiles of lanes: the band is one standard deviation"
    return found._replace(spread="std", notes=[*found.notes, note])


def group_name(by: Sequence[str], key: Sequence[Any]) -> str:
    """Names a group: by its value if one label or key defines it, else as plots do.

    >>> group_name(("rate",), (0.1,)), group_name(("rate", "run"), (0.1, "a")), group_name((), ())
    ('0.1', 'rate 0.1, a', 'all lanes')
    """
    if not by:
        return "all lanes"
    return worded(key[0]) if len(by) == 1 else named(by, key)


def _from_summaries(
    store: RunStore, runs: Sequence[FollowedRun], of: ChartOf
) -> ChartCurves | None:
    """The curves from what was combined when the runs were read; None if that does not do."""
    axis = AXES[of.x][0]
    summaries: dict[str, CallSummary] = {}
    for run in runs:
        try:
            summaries[run.row.name] = store.summary(run, of.call, of.key, _labels_of(run, of))
        except NotInOrderError:
            return None
        except TooManyCellsError as error:
            raise AskedError(str(error)) from None
        except OSError:  # it was removed
            continue
    summaries = {name: one for name, one in summaries.items() if of.key in one.types}
    by_name = {run.row.name: run for run in runs}

    def grouped() -> Values:
        found = {name: _skeleton(by_name[name], one, of) for name, one in summaries.items()}
        return _values(found, of)

    # It changes only when a run, or a series of one, comes or goes.
    state = tuple(
        (name, one.key, by_name[name].row.run.status, by_name[name].row.run.facts.get("id"))
        for name, one in summaries.items()
    )
    values = store.grouping((of.call, of.key, of.by, repr(state)), grouped)
    if values.statistic == "nonfinite":  # its lanes without a value have a zero
        return None
    groups = [(group_name(values.by, key), frame) for key, frame in values.groups()]
    if of.x == "time" and any(frame[RUN].n_unique() > 1 for _, frame in groups):
        return None
    ends = [one.lanes_of(of.key, axis).ends for one in summaries.values()]
    every = np.concatenate(ends) if ends else np.empty(0)
    if not np.isfinite(every).all():  # lines without env_step
        return None
    end = float(every.max(initial=-np.inf))

    def curve(frame: pl.DataFrame) -> GroupCurve:
        parts = [
            SummaryPart(summaries[str(name)], own["step"].to_list(), str(name) in values.late)
            for (name,), own in frame.partition_by(RUN, maintain_order=True, as_dict=True).items()
        ]
        return curve_of_parts(parts, of.key, axis, of.spread, values.statistic, end)

    pinned = [(name, values.frame.filter(pl.col(RUN) == name)) for name in of.pinned]
    return ChartCurves(
        values.by,
        [CurveOfGroup(name, frame[RUN].n_unique(), curve(frame)) for name, frame in groups],
        [CurveOfGroup(name, 1, curve(frame)) for name, frame in pinned if len(frame)],
        values.notes,
        of.spread,
    )


def _labels_of(run: FollowedRun, of: ChartOf) -> list[str]:
    """The names that may be labels of the run, which its lanes have to be told apart by."""
    row = run.row
    return [n for n in of.by if n != RUN and (n in row.labels or n not in row.config)]


def _skeleton(run: FollowedRun, summary: CallSummary, of: ChartOf) -> RunFrames:
    """A run with one row for each series of lanes, whose step is the number of the series."""
    numbers = list(range(len(summary.series)))
    columns: dict[str, pl.Series] = {
        "lane": pl.Series(numbers, dtype=pl.Int64),
        "step": pl.Series(numbers, dtype=pl.Int64),
    }
    for place, name in enumerate(summary.by):
        if name == "lane" or name in summary.labels:
            own = [key[place] for key in summary.series]
            kind = summary.types.get(name, pl.Int64())
            columns[name] = pl.Series(name, own, dtype=kind, strict=False)
    kind = summary.types[of.key]
    columns[of.key] = pl.Series([None] * len(numbers), dtype=kind)
    if EPISODE_COUNT in summary.types and of.key != EPISODE_COUNT:
        columns[EPISODE_COUNT] = pl.Series([None] * len(numbers), dtype=pl.Int64)
    labels = tuple(name for name in summary.by if name in summary.labels)
    return RunOfPage(run, of.call, CallLines(pl.DataFrame(columns), labels))


def _values(runs: Mapping[str, RunFrames], of: ChartOf) -> Values:
    if not runs:
        raise AbsentError(f"{of.call} {of.key}: is a metric that none of these runs has logged")
    try:
        return values_of(runs, of.key, of.call, of.by, axes=_OF_LINES)
    except (LookupError, TypeError) as error:
        raise AbsentError(str(error.args[0])) from None


def _from_rows(found: RunsOfPage, of: ChartOf) -> ChartCurves:
    """The curves from all rows."""
    column, title, _ = AXES[of.x]
    by_name = {name: run for name, run in found.by_name().items() if run.calls}
    values = _values(by_name, of)
    frame = values.frame
    if of.x == "relative":
        frame = _with_seconds(frame, by_name, column)
    if column not in frame.columns or frame[column].null_count() == len(frame):
        raise AbsentError(f"{of.key}: has no {title}; set env_steps_per_update, or use x=step")
    notes = list(values.notes)
    missing = frame[column].null_count()
    if missing:
        notes.append(f"{missing:,} lines have no {title} and are left out")
    if of.x in ("time", "relative") and frame[RUN].n_unique() > 1:
        frame = _held(frame, column, of.points)
        notes.append("at each time, a lane counts with its last value before it")
    values = replace(values, frame=frame)
    end = frame[column].max()

    def curve(own: pl.DataFrame) -> GroupCurve:
        return curve_of(own, column, of.spread, values.statistic, values.late, end)  # type: ignore[arg-type]

    pinned = [(name, frame.filter(pl.col(RUN) == name)) for name in of.pinned]
    return ChartCurves(
        values.by,
        [
            CurveOfGroup(group_name(values.by, key), own[RUN].n_unique(), curve(own))
            for key, own in values.groups()
        ],
        [CurveOfGroup(name, 1, curve(own)) for name, own in pinned if len(own)],
        notes,
        of.spread,
    )


def _with_seconds(frame: pl.DataFrame, runs: Mapping[str, RunFrames], column: str) -> pl.DataFrame:
    """Adds the seconds for which each run had been open."""
    parts = frame.partition_by(RUN, maintain_order=True, as_dict=True)
    return pl.concat(
        part.with_columns(
            pl.Series(column, seconds_open(part["timestamp"].to_numpy(), runs[str(name)].info))
        )
        for (name,), part in parts.items()
    )


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
        parts.append(lane[np.maximum(rows, 0)].with_columns(pl.Series(column, at)))
    return pl.concat(parts)
