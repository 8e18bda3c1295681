"""Runs with the rows of one metric alone, for what reads whole runs elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import RunsData
from jaxlog._page.followed import FollowedRun
from jaxlog._reading.call_lines import CallLines


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
