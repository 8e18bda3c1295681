"""Reads the runs that charts are made of, and keeps what it has read, in bounded memory."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from jaxlog._analysis.groups import Values
from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import RunsData
from jaxlog._page.asked import AbsentError
from jaxlog._page.call_rows import CallRows
from jaxlog._page.call_summary import CallSummary, NotInOrderError
from jaxlog._page.followed import FollowedRun
from jaxlog._page.parsed_lines import ParsedLines
from jaxlog._page.run_pictures import RunPictures
from jaxlog._reading.call_lines import CallLines, lines_of_call

MOST_SUMMARIES = 64 * 2**20
"""The bytes of what was combined of runs that are kept."""
MOST_ROWS_KEPT = 48 * 2**20
"""The bytes of rows that are kept."""
MOST_PARSED = 32 * 2**20
"""The bytes of parsed lines that are kept."""
MOST_GROUPINGS = 200
"""The most groupings that are kept."""
MOST_WHOLE = 4
"""The most runs whose pictures are kept."""


class _Growing(Protocol):
    """A part of a run that was read, to which new rows are added."""

    def update(self) -> bool: ...

    @property
    def num_bytes(self) -> int: ...


T = TypeVar("T", bound=_Growing)


class _Kept(Generic[T]):
    """Keeps what was read, the last used the longest.

    Args:
      most: the bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[int, T]] = OrderedDict()

    def get(self, name: Hashable, stamp: int, new: T) -> T:
        """Returns the part that is kept under a name, with all that is new; or `new`.

        Args:
          name: the name.
          stamp: the version of the run.
          new: is read if nothing is kept, or if it cannot be continued.
        """
        known, found = self._kept.pop(name, (-1, None))
        if found is None or (known != stamp and not found.update()):
            new.update()
            found = new
        self._kept[name] = stamp, found
        return found

    def shrink(self) -> None:
        """Forgets what was not used for longest, if there is too much."""
        sizes = {name: one.num_bytes for name, (_, one) in self._kept.items()}
        total = sum(sizes.values())
        while total > self._most and self._kept:
            name, _ = self._kept.popitem(last=False)
            total -= sizes[name]


class RunOfPage(RunData):
    """A run with the rows of one metric.

    Args:
      run: the run.
      call: the call.
      lines: its rows; None if it has none.
    """

    def __init__(self, run: FollowedRun, call: str, lines: CallLines | None) -> None:
        self.path = run.row.path
        self.info, self.status = run.row.run.facts, run.row.run.status
        self.calls = () if lines is None else (call,)
        self._lines_of_calls = {} if lines is None else {call: lines}

    def labels_of(self, call: str | None = None) -> tuple[str, ...]:
        return self._call_lines(call).labels


class RunsOfPage(RunsData):
    """Some runs, by the names that the page shows.

    Args:
      runs: the runs by their names.
    """

    def __init__(self, runs: Mapping[str, RunData]) -> None:
        super().__init__([])
        self._runs = dict(runs)
        self.names = tuple(runs)
        self.calls = tuple(sorted({call for run in runs.values() for call in run.calls}))


class RunStore:
    """Reads runs; one thread at a time may use it.

    Args:
      most_parsed: the bytes of parsed lines that are kept.

    Attributes:
      notes: what could not be read of the runs that were asked for since `begin`, in sentences.
    """

    def __init__(self, most_parsed: int = MOST_PARSED) -> None:
        self.notes: list[str] = []
        self._parsed = ParsedLines(most_parsed)
        self._summaries = _Kept[CallSummary](MOST_SUMMARIES)
        self._rows = _Kept[CallRows](MOST_ROWS_KEPT)
        self._groupings: OrderedDict[Hashable, Values] = OrderedDict()
        self._not_in_order: set[tuple[Path, str]] = set()
        self._pictures: OrderedDict[Path, tuple[int, RunPictures]] = OrderedDict()

    def summary(self, run: FollowedRun, call: str, key: str, by: Sequence[str]) -> CallSummary:
        """Returns the combined values of a call of a run.

        Args:
          run: the run.
          call: the call.
          key: the metric that is needed.
          by: as in `CallSummary`.

        Raises:
          NotInOrderError: lanes have rows that replace others.
          OSError: a file was removed, or cannot be read.
          TooManyCellsError: it would take too much memory.
        """
        path = run.row.path
        if (path, call) in self._not_in_order:
            raise NotInOrderError
        try:
            new = CallSummary(path, call, by, key, self._parsed)
            found = self._summaries.get((path, call, new.by), run.logged, new)
            if not found.has(key):
                new = CallSummary(path, call, by, key, self._parsed)
                found = self._summaries.get((path, call, new.by, key), run.logged, new)
        except NotInOrderError:
            self._not_in_order.add((path, call))
            raise
        self.notes += found.notes
        return found

    def begin(self) -> None:
        """Forgets the notes."""
        self.notes = []

    def rows(self, runs: Sequence[FollowedRun], call: str, key: str) -> tuple[RunsOfPage, bool]:
        """The rows of a metric of some runs; runs that were removed are left out.

        Args:
          runs: the runs.
          call: the call.
          key: the metric.

        Returns:
          The runs; and True if of some only the last rows of each lane are kept.
        """
        found: dict[str, RunData] = {}
        only_last = False
        for run in runs:
            new = CallRows(run.row.path, call, key, self._parsed)
            try:
                rows = self._rows.get((run.row.path, call, key), run.logged, new)
            except OSError:
                continue
            self.notes += rows.notes
            table = rows.table()
            lines = lines_of_call(table) if key in table.frame.columns else None
            found[run.row.name] = RunOfPage(run, call, lines)
            only_last = only_last or rows.only_last
        return RunsOfPage(found), only_last

    def grouping(self, name: Hashable, make: Callable[[], Values]) -> Values:
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
