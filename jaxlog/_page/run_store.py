"""The frames of the runs that charts are made of, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import RunsData
from jaxlog._page.asked import AbsentError
from jaxlog._page.followed import FollowedRun


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
    """Reads runs, and keeps those that did not change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[int, RunData]] = OrderedDict()

    def frames(self, runs: Sequence[FollowedRun]) -> RunsOfPage:
        """The frames of some runs; runs that were removed are left out."""
        found: dict[str, RunData] = {}
        for run in runs:
            stamp, frames = self._kept.get(run.row.path, (-1, None))
            if frames is None or stamp != run.stamp:
                try:
                    frames = RunData(run.row.path)
                except OSError:
                    continue
                self._kept[run.row.path] = run.stamp, frames
            found[run.row.name] = frames
        return RunsOfPage(found)

    def one(self, run: FollowedRun) -> RunData:
        """The frames of one run.

        Raises:
          AbsentError: it was removed.
        """
        found = self.frames([run]).by_name()
        if not found:
            raise AbsentError("run: was removed")
        return found[run.row.name]
