"""The values of one metric of some runs, by group, along one of the axes that the page has."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from jaxlog._analysis.along import ALONG, HELD, OF_LINES, held, with_seconds
from jaxlog._analysis.group_curves import GroupCurve, Spread, curve_of
from jaxlog._analysis.groups import Values, named, values_of, worded
from jaxlog._format.columnar import RUN
from jaxlog._page.asked import AbsentError, AskedError
from jaxlog._page.call_summary import TooManyCellsError
from jaxlog._page.folded_runs import EVERYTHING, Slice, skeletons
from jaxlog._page.followed import FollowedRun
from jaxlog._page.group_cells import GroupCells
from jaxlog._page.lane_ends import NotInOrderError
from jaxlog._page.run_of_page import RunOfPage
from jaxlog._page.run_store import Grouping, RowsOfRuns, RunStore
from jaxlog._reading.run_frames import RunFrames
from jaxlog._text import counted

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
      read: the number of runs that are in it.
      of: the number of runs that there are.
    """

    by: tuple[str, ...]
    groups: Sequence[CurveOfGroup]
    pinned: Sequence[CurveOfGroup]
    notes: Sequence[str]
    spread: Spread
    read: int
    of: int


class ChartOf(NamedTuple):
    """The metric, the groups and the axes of some curves.

    Attributes:
      call: the call that logged the metric.
      key: its key on a line.
      by: the names that define the groups.
      x: one of `ALONG`.
      spread: the kind of band.
      pinned: the names of runs that have a curve of their own.
      points: the number of times at which lanes of several runs stand, for the axes of time.
      choice: a text that tells the choice of the runs from others.
    """

    call: str
    key: str
    by: tuple[str, ...]
    x: str
    spread: Spread
    pinned: Sequence[str]
    points: int
    choice: str = ""


def chart_curves(
    store: RunStore, runs: Sequence[FollowedRun], of: ChartOf, part: Slice = EVERYTHING
) -> ChartCurves:
    """Computes the curves of a metric: the same as `RunsData.plot` draws.

    Args:
      store: reads the runs.
      runs: the runs.
      of: the metric, the groups and the axis.
      part: how much is read; the curves are those of the runs that are read so far.

    Raises:
      AbsentError: there is no such metric, label, key or axis.
      AskedError: there are too many groups or values.
    """
    known = [run for run in runs if (of.call, of.key) in run.row.keys]
    if not known:
        raise _absent(of)
    if of.spread in _COMBINED and of.x != "relative":
        found = _from_summaries(store, known, of, part)
        if found is not None:
            return found
    rows = store.rows(known, of.call, of.key, part)
    if not rows.only_last:
        return _from_rows(rows, of)
    instead = of._replace(spread="std")
    found = _from_summaries(store, known, instead, part) if of.x != "relative" else None
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
    store: RunStore, runs: Sequence[FollowedRun], of: ChartOf, part: Slice
) -> ChartCurves | None:
    """The curves from what was combined when the runs were read; None if that does not do."""
    axis = ALONG[of.x][0]
    try:
        found = store.folded(of.choice, runs, of.call, of.key, of.by, axis, part)
        pinned = [
            (run.row.name, _of_run(store, run, of, axis))
            for run in runs
            if run.row.name in of.pinned
        ]
    except NotInOrderError:
        return None
    except TooManyCellsError as error:
        raise AskedError(str(error)) from None
    if not found.groups:
        if found.read < found.of:
            return ChartCurves(of.by, (), (), (), of.spread, found.read, found.of)
        raise _absent(of)
    origins = list(found.examples)
    examples = [found.examples[origin] for origin in origins]
    # It changes only when a group, or the state of a run that stands for one, changes.
    state = repr([(one.run.id, one.run.row.run.status, *one.types) for one in examples])
    grouping = store.grouping(
        (of.call, of.key, of.by, tuple(origins), state),
        lambda: _grouping(_values(skeletons(of.call, of.key, examples), of)),
    )
    if grouping.statistic == "nonfinite":  # its lanes without a value have a zero
        return None
    groups: list[tuple[str, GroupCells]] = []
    for name, places in grouping.places:
        first, *others = [found.groups[origins[place]] for place in places]
        own = first
        if others:
            own = first.copy()
            for one in others:
                own.add(one)
        groups.append((name, own))
    if of.x == "time" and any(len(set(own.runs)) > 1 for _, own in groups):
        return None
    ends = [own.ends for _, own in groups]
    if not all(np.isfinite(one).all() for one in ends):  # lines without env_step
        return None
    end = max(float(one.max(initial=-np.inf)) for one in ends)

    def curve(name: str, own: GroupCells) -> CurveOfGroup:
        return CurveOfGroup(name, len(set(own.runs)), own.curve(of.spread, grouping.statistic, end))

    return ChartCurves(
        grouping.by,
        [curve(name, own) for name, own in groups],
        [curve(name, own) for name, own in pinned if len(own.ends)],
        grouping.notes,
        of.spread,
        found.read,
        found.of,
    )


def _grouping(values: Values) -> Grouping:
    places = [(group_name(values.by, key), own["step"].to_list()) for key, own in values.groups()]
    return Grouping(values.by, places, values.statistic, values.notes)


def _of_run(store: RunStore, run: FollowedRun, of: ChartOf, axis: str) -> GroupCells:
    """All lanes of one run."""
    found = GroupCells()
    is_late = RunOfPage(run, of.call, None).is_unfinished
    with contextlib.suppress(OSError):  # it was removed
        summary = store.summary(run, of.call, of.key, ())
        every = range(len(summary.series))
        found.add_series(run.row.name, summary, every, of.key, axis, is_late=is_late)
    return found


def _absent(of: ChartOf) -> AbsentError:
    return AbsentError(f"{of.call} {of.key}: is a metric that none of these runs has logged")


def _values(runs: Mapping[str, RunFrames], of: ChartOf) -> Values:
    if not runs:
        raise _absent(of)
    try:
        return values_of(runs, of.key, of.call, of.by, axes=OF_LINES)
    except (LookupError, TypeError) as error:
        raise AbsentError(str(error.args[0])) from None


def _from_rows(found: RowsOfRuns, of: ChartOf) -> ChartCurves:
    """The curves from all rows."""
    column, title, _ = ALONG[of.x]
    by_name = {name: run for name, run in found.runs.by_name().items() if run.calls}
    values = _values(by_name, of)
    frame = values.frame
    if of.x == "relative":
        frame = with_seconds(frame, by_name)
    if column not in frame.columns or frame[column].null_count() == len(frame):
        raise AbsentError(f"{of.key}: has no {title}; set env_steps_per_update, or use x=step")
    notes = list(values.notes)
    missing = frame[column].null_count()
    if missing:
        one, many = f"line has no {title} and is", f"lines have no {title} and are"
        notes.append(f"{counted(missing, one, many)} left out")
    if of.x in ("time", "relative") and frame[RUN].n_unique() > 1:
        frame = held(frame, column, of.points)
        notes.append(HELD)
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
        found.read,
        found.of,
    )
