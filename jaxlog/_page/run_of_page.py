"""Runs with the rows of one metric alone, for what reads whole runs elsewhere."""

from __future__ import annotations

from jaxlog._analysis.run_data import RunData
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
