"""The groups of a chart, to which runs are added as they are read.

Runs that have ended are combined once, one after the other, and need not be kept. Those that are
live are added to a copy each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from jaxlog._format.columnar import RUN
from jaxlog._format.names import EPISODE_COUNT
from jaxlog._page.call_summary import CallSummary
from jaxlog._page.followed import FollowedRun
from jaxlog._page.group_cells import GroupCells
from jaxlog._page.run_of_page import RunOfPage
from jaxlog._reading.call_lines import CallLines
from jaxlog._text import counted

MOST_NOTES = 4
"""The most notes about lines that cannot be read."""

Origin = tuple[Hashable, ...]
"""The values that define a group, as runs have them: in the config, or as labels of lanes."""


class Slice(NamedTuple):
    """The part of the runs that one answer reads.

    Attributes:
      seconds: the time for which it reads; the next answer continues.
      horizon: runs are read whose ids are before it, so that they are combined in one order;
        empty to read all.
      unlooked: the number of runs that nothing is known of yet.
    """

    seconds: float = float("inf")
    horizon: str = ""
    unlooked: int = 0


EVERYTHING = Slice()


class Example(NamedTuple):
    """A series of lanes of a run, which stands for all that have the same origin.

    Attributes:
      run: the run.
      labels: the names of its labels.
      values: the values of the names that define the groups, if they are labels.
      types: the types of the columns.
    """

    run: FollowedRun
    labels: Sequence[str]
    values: Mapping[str, Any]
    types: Mapping[str, pl.DataType]


class FoldedRuns:
    """The groups of a metric along an axis.

    Args:
      call: the call that logged the metric.
      key: the metric.
      by: the names that define the groups.
      axis: one of `summary_rows.AXES`.

    Attributes:
      has_grown: True if runs were added since it was set to False.
    """

    def __init__(self, call: str, key: str, by: Sequence[str], axis: str) -> None:
        self._call, self._key, self._by, self._axis = call, key, tuple(by), axis
        self._ended: dict[str, int] = {}
        self._live: set[str] = set()
        self._groups: dict[Origin, GroupCells] = {}
        self._examples: dict[Origin, Example] = {}
        self._notes: list[str] = []
        self.has_grown = False

    @property
    def num_bytes(self) -> int:
        """The memory that it takes, about."""
        groups = sum(group.num_bytes for group in self._groups.values())
        return groups + 1000 * len(self._examples) + 100 * len(self._ended)

    def is_continued_by(self, runs: Sequence[FollowedRun]) -> bool:
        """True if all runs that were added are among others, and have not changed."""
        stamps = {run.id: run.logged for run in runs if not run.row.run.may_log_more}
        return all(stamps.get(one) == logged for one, logged in self._ended.items())

    def read(
        self,
        runs: Sequence[FollowedRun],
        summary_of: Callable[[FollowedRun, Sequence[str]], CallSummary],
        part: Slice,
    ) -> FoldedGroups:
        """Adds runs that were not added yet, and returns the groups of all that are read.

        Args:
          runs: the runs of the chart.
          summary_of: reads a run, whose lanes are told apart by some labels.
          part: how much is read.

        Raises:
          NotInOrderError: lanes have rows that replace others.
          TooManyCellsError: it would take too much memory.
        """
        live: list[FollowedRun] = []
        read, new, until = 0, 0, time.monotonic() + part.seconds
        for run in sorted(runs, key=lambda run: run.id):
            is_live = run.row.run.may_log_more
            if not is_live and run.id in self._ended:
                read += 1
                continue
            is_behind = bool(part.horizon) and run.id >= part.horizon
            is_late = new > 0 and time.monotonic() > until
            if run.id not in self._live:
                if is_behind or is_late:
                    continue
                new += 1
            read += 1
            if is_live:
                live.append(run)
                self._live.add(run.id)
            else:
                self._live.discard(run.id)
                self._ended[run.id] = run.logged
                self.has_grown = True
                self._notes += self._add(self._groups, self._examples, run, summary_of)
        groups, examples, notes = dict(self._groups), dict(self._examples), [*self._notes]
        if live:
            copied: dict[Origin, GroupCells] = {}
            for run in live:
                notes += self._add(copied, examples, run, summary_of)
            for origin, own in copied.items():
                before = groups.get(origin)
                groups[origin] = own if before is None else _joined(before, own)
        if len(notes) > MOST_NOTES:
            like = "like these about lines that were not read"
            left = counted(len(notes) - MOST_NOTES, f"more note {like}", f"more notes {like}")
            notes[MOST_NOTES:] = [left]
        return FoldedGroups(groups, examples, read, len(runs), notes)

    def _add(
        self,
        groups: dict[Origin, GroupCells],
        examples: dict[Origin, Example],
        run: FollowedRun,
        summary_of: Callable[[FollowedRun, Sequence[str]], CallSummary],
    ) -> Sequence[str]:
        """Adds a run; returns the notes of it."""
        row = run.row
        names = [n for n in self._by if n != RUN and (n in row.label_texts or n not in row.config)]
        try:
            summary = summary_of(run, names)
        except OSError:  # it was removed
            return ()
        if self._key not in summary.types:
            return summary.notes
        is_late = RunOfPage(run, self._call, None).is_unfinished
        by_origin: dict[Origin, list[int]] = {}
        for values, number in summary.series.items():
            own = dict(zip(summary.by, values, strict=True))
            origin = self._origin(run, summary, own)
            by_origin.setdefault(origin, []).append(number)
            if origin not in examples:
                known = {name: own[name] for name in own if _is_of_lanes(name, summary)}
                needed = (*known, self._key, EPISODE_COUNT)
                types = {name: summary.types[name] for name in needed if name in summary.types}
                labels = tuple(name for name in known if name in summary.labels)
                examples[origin] = Example(run, labels, known, types)
        for origin, series in by_origin.items():
            group = groups.setdefault(origin, GroupCells())
            group.add_series(row.name, summary, series, self._key, self._axis, is_late=is_late)
        return summary.notes

    def _origin(self, run: FollowedRun, summary: CallSummary, values: Mapping[str, Any]) -> Origin:
        found: list[Hashable] = []
        for name in self._by:
            if name == RUN:
                found.append(run.row.name)
            elif name in values and _is_of_lanes(name, summary):
                value = values[name]
                found.append(("lanes", type(value).__name__, value))
            elif name in run.row.config:
                kind = type(run.row.config[name]).__name__
                found.append(("config", kind, run.row.config_texts[name]))
            else:
                found.append(("nothing",))
        return tuple(found)


class FoldedGroups(NamedTuple):
    """The groups of the runs that were read.

    Attributes:
      groups: the cells of each origin.
      examples: a series of each origin.
      read: the number of runs that were read.
      of: the number of runs.
      notes: sentences that say which rows could not be read.
    """

    groups: Mapping[Origin, GroupCells]
    examples: Mapping[Origin, Example]
    read: int
    of: int
    notes: Sequence[str]


def skeletons(call: str, key: str, examples: Sequence[Example]) -> dict[str, RunOfPage]:
    """Runs with a row for each example, whose step is the place of the example.

    Args:
      call: the call.
      key: the metric, which has no value there.
      examples: the examples.
    """
    by_run: dict[str, list[int]] = {}
    for place, one in enumerate(examples):
        by_run.setdefault(one.run.row.name, []).append(place)
    found: dict[str, RunOfPage] = {}
    for name, places in by_run.items():
        own = [examples[place] for place in places]
        first = own[0]
        columns = {
            "lane": pl.Series(places, dtype=pl.Int64),
            "step": pl.Series(places, dtype=pl.Int64),
        }
        for label in first.values:
            values = [one.values.get(label) for one in own]
            kind = first.types.get(label, pl.Int64())
            columns[label] = pl.Series(label, values, dtype=kind, strict=False)
        nothing = [None] * len(own)
        columns[key] = pl.Series(nothing, dtype=first.types[key])
        if EPISODE_COUNT in first.types and key != EPISODE_COUNT:
            columns[EPISODE_COUNT] = pl.Series(nothing, dtype=pl.Int64)
        lines = CallLines(pl.DataFrame(columns), tuple(first.labels))
        found[name] = RunOfPage(first.run, call, lines)
    return found


def _is_of_lanes(name: str, summary: CallSummary) -> bool:
    return name == "lane" or name in summary.labels


def _joined(one: GroupCells, other: GroupCells) -> GroupCells:
    found = one.copy()
    found.add(other)
    return found
