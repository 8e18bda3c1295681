"""Reads the runs that charts are made of, and keeps what it has read, in bounded memory."""

from __future__ import annotations

import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import RunsData
from jaxlog._page.asked import AbsentError
from jaxlog._page.call_rows import CallRows, LastRows
from jaxlog._page.call_summary import CallSummary
from jaxlog._page.folded_runs import EVERYTHING, FoldedGroups, FoldedRuns, Slice
from jaxlog._page.followed import FollowedRun
from jaxlog._page.kept_parts import KeptParts
from jaxlog._page.lane_ends import NotInOrderError
from jaxlog._page.run_of_page import RunOfPage
from jaxlog._page.run_pictures import RunPictures
from jaxlog._reading.call_lines import CallLines, lines_of_call

MOST_SUMMARIES = 64 * 2**20
"""The bytes of what was combined of runs that are kept."""
MOST_ROWS_KEPT = 48 * 2**20
"""The bytes of rows that are kept."""
MOST_FOLDED = 48 * 2**20
"""The bytes of the groups of charts that are kept."""
MANY = 1000
"""Of more runs, only the metric of the chart is combined, not all that their files have."""
MOST_GROUPINGS = 200
"""The most groupings that are kept."""
MOST_WHOLE = 4
"""The most runs whose pictures are kept."""


class Grouping(NamedTuple):
    """The groups of a chart, without their values.

    Attributes:
      by: the names that define them.
      places: for each group its name, and the places of its examples.
      statistic: the statistic of the metric.
      notes: what a reader has to know.
    """

    by: tuple[str, ...]
    places: Sequence[tuple[str, Sequence[int]]]
    statistic: str
    notes: Sequence[str]


class RowsOfRuns(NamedTuple):
    """The rows of a metric.

    Attributes:
      runs: the runs that were read.
      only_last: True if of some only the last rows of each lane are known, since there are too
        many.
      read: the number of runs that were read.
      of: the number of runs.
    """

    runs: RunsData
    only_last: bool
    read: int
    of: int


class RunStore:
    """Reads runs; one thread at a time may use it.

    Attributes:
      notes: what could not be read of the runs that were asked for since `begin`, in sentences.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._summaries = KeptParts[CallSummary](MOST_SUMMARIES)
        self._rows = KeptParts[CallRows](MOST_ROWS_KEPT)
        self._last = KeptParts[LastRows](MOST_ROWS_KEPT)
        self._folded: OrderedDict[Hashable, FoldedRuns] = OrderedDict()
        self._groupings: OrderedDict[Hashable, Grouping] = OrderedDict()
        self._not_in_order: set[tuple[Path, str]] = set()
        self._pictures: OrderedDict[Path, tuple[int, RunPictures]] = OrderedDict()

    def folded(
        self,
        name: Hashable,
        runs: Sequence[FollowedRun],
        call: str,
        key: str,
        by: Sequence[str],
        axis: str,
        part: Slice,
    ) -> FoldedGroups:
        """The groups of a chart, of the runs that are read so far.

        Args:
          name: tells the choice of the runs from others.
          runs: the runs.
          call: the call that logged the metric.
          key: the metric.
          by: the names that define the groups.
          axis: as in `FoldedRuns`.
          part: how much is read.

        Raises:
          NotInOrderError: lanes have rows that replace others.
          TooManyCellsError: it would take too much memory.
        """
        place = name, call, key, tuple(by), axis
        known = self._folded.pop(place, None)
        if known is None or not known.is_continued_by(runs):
            known = FoldedRuns(call, key, by, axis)
        only = len(runs) > MANY

        def summary_of(run: FollowedRun, labels: Sequence[str]) -> CallSummary:
            return self.summary(run, call, key, labels, only=only)

        found = known.read(runs, summary_of, part)
        self._folded[place] = known
        if known.has_grown:
            known.has_grown = False
            total = sum(one.num_bytes for one in self._folded.values())
            while total > MOST_FOLDED and len(self._folded) > 1:
                _, oldest = self._folded.popitem(last=False)
                total -= oldest.num_bytes
        self.notes += found.notes
        return found

    def summary(
        self, run: FollowedRun, call: str, key: str, by: Sequence[str], *, only: bool = False
    ) -> CallSummary:
        """Returns the combined values of a call of a run.

        Args:
          run: the run.
          call: the call.
          key: the metric that is needed.
          by: as in `CallSummary`.
          only: as in `CallSummary`.

        Raises:
          NotInOrderError: lanes have rows that replace others.
          OSError: a file was removed, or cannot be read.
          TooManyCellsError: it would take too much memory.
        """
        path = run.row.path
        if (path, call) in self._not_in_order:
            raise NotInOrderError
        try:
            if not only:
                new = CallSummary(path, call, by, key)
                found = self._summaries.get((path, call, new.by), run.logged, new)
                if found.has(key):
                    return found
            new = CallSummary(path, call, by, key, only=only)
            return self._summaries.get((path, call, new.by, key), run.logged, new)
        except NotInOrderError:
            self._not_in_order.add((path, call))
            raise

    def begin(self) -> None:
        """Forgets the notes."""
        self.notes = []

    def rows(
        self, runs: Sequence[FollowedRun], call: str, key: str, part: Slice = EVERYTHING
    ) -> RowsOfRuns:
        """The rows of a metric of some runs; runs that were removed are left out.

        Args:
          runs: the runs.
          call: the call.
          key: the metric.
          part: how much is read.
        """

        def read(run: FollowedRun) -> tuple[CallLines | None, bool]:
            new = CallRows(run.row.path, call, key)
            rows = self._rows.get((run.row.path, call, key), run.logged, new)
            self.notes += rows.notes
            table = rows.table()
            return lines_of_call(table) if key in table.frame.columns else None, rows.only_last

        def is_kept(run: FollowedRun) -> bool:
            return self._rows.has((run.row.path, call, key))

        return self._read(runs, call, read, is_kept, part)

    def last_rows(
        self, runs: Sequence[FollowedRun], call: str, key: str, part: Slice = EVERYTHING
    ) -> RowsOfRuns:
        """As `rows`, but of runs that have finished only the last rows of each lane.

        A comparison needs no others, and of many runs they would take much memory.
        """

        def read(run: FollowedRun) -> tuple[CallLines | None, bool]:
            name, path = (run.row.path, call, key), run.row.path
            if RunOfPage(run, call, None).is_unfinished:
                rows = self._rows.get(name, run.logged, CallRows(path, call, key))
                self.notes += rows.notes
                table = rows.table()
                return lines_of_call(table) if key in table.frame.columns else None, rows.only_last
            last = self._last.get(name, run.logged, LastRows(path, call, key))
            self.notes += last.notes
            return last.lines, last.only_last

        def is_kept(run: FollowedRun) -> bool:
            name = run.row.path, call, key
            return self._last.has(name) or self._rows.has(name)

        return self._read(runs, call, read, is_kept, part)

    def _read(
        self,
        runs: Sequence[FollowedRun],
        call: str,
        read: Callable[[FollowedRun], tuple[CallLines | None, bool]],
        is_kept: Callable[[FollowedRun], bool],
        part: Slice,
    ) -> RowsOfRuns:
        """Reads runs until the time is over; those whose rows are kept at once."""
        found: dict[str, RunData] = {}
        only_last, number, new = False, 0, 0
        # What does not fit is read in one go: parts of it would be forgotten before the end.
        is_whole = self._rows.is_full or self._last.is_full
        until = time.monotonic() + (float("inf") if is_whole else part.seconds)
        for run in sorted(runs, key=lambda run: run.id):
            if not is_kept(run):
                if new and time.monotonic() > until:
                    continue
                new += 1
            number += 1
            try:
                lines, is_short = read(run)
            except OSError:
                continue
            found[run.row.name] = RunOfPage(run, call, lines)
            only_last = only_last or is_short
        names = [run.row.name for run in runs if run.row.name in found]
        ordered = RunsData({name: found[name] for name in names})
        return RowsOfRuns(ordered, only_last, number, len(runs))

    def grouping(self, name: Hashable, make: Callable[[], Grouping]) -> Grouping:
        """Returns the groups of lanes that are kept under a name, or those that `make` returns."""
        if name not in self._groupings:
            self._groupings[name] = make()
        self._groupings.move_to_end(name)
        while len(self._groupings) > MOST_GROUPINGS:
            self._groupings.popitem(last=False)
        return self._groupings[name]

    def pictures(self, run: FollowedRun) -> RunPictures:
        """The pictures of a run.

        Raises:
          AbsentError: it was removed.
        """
        stamp, found = self._pictures.get(run.row.path, (-1, None))
        if found is None or stamp != run.logged:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # `facts` has them
                    found = RunPictures(RunData(run.row.path))
            except OSError as error:
                raise AbsentError(f"run: cannot be read: {error}") from None
            self._pictures[run.row.path] = run.logged, found
        self._pictures.move_to_end(run.row.path)
        while len(self._pictures) > MOST_WHOLE:
            self._pictures.popitem(last=False)
        return found

    def shrink(self) -> None:
        """Forgets what was not used for longest, if there is too much."""
        self._summaries.shrink()
        self._rows.shrink()
        self._last.shrink()
