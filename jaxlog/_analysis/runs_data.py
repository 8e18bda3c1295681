"""Several runs, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.views import Views
from jaxlog._reading.finding import Where, find_runs
from jaxlog._reading.run_frames import chosen_call

if TYPE_CHECKING:
    import polars as pl


_SHOWN = 40
"""So many runs are listed where runs are shown."""


class RunsData(Views):
    """What several runs have logged; made by `jaxlog.read_runs`.

    Its frames are those of `RunData`, one below the other, with a column `run` in front. A column
    that a run does not have is null there.

    Attributes:
      names: of the runs, as in the column `run`: the paths of their directories, below the
        directory that they have in common.
      calls: the names of the calls that logged metrics in any of them.
    """

    def __init__(self, runs: Sequence[RunData]) -> None:
        self._runs = dict(zip(_names([run.path for run in runs]), runs, strict=True))
        self.names = tuple(self._runs)
        self.calls = tuple(sorted({call for run in runs for call in run.calls}))

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[RunData]:
        return iter(self._runs.values())

    def __getitem__(self, name: str) -> RunData:
        """The run of a name.

        Raises:
          KeyError: there is none.
        """
        if name not in self._runs:
            raise KeyError(f"got {name!r}, expected one of {', '.join(map(repr, self.names))}")
        return self._runs[name]

    @property
    def metrics(self) -> pl.DataFrame:
        """As `RunData.metrics`."""
        return self.metrics_of(None)

    def metrics_of(self, call: str | None) -> pl.DataFrame:
        """As `RunData.metrics_of`; runs in which it has logged nothing have no rows.

        Raises:
          LookupError: it has logged nothing in any run, or it is None and it is not clear which is
            meant.
        """
        chosen = self._chosen(call)
        return self._together(lambda run: run.metrics_of(chosen), chosen)

    @property
    def over_lanes(self) -> pl.DataFrame:
        """As `RunData.over_lanes`."""
        return self.over_lanes_of(None)

    def over_lanes_of(self, call: str | None) -> pl.DataFrame:
        """As `RunData.over_lanes_of`; runs in which it has logged nothing have no rows.

        Raises:
          LookupError: as in `metrics_of`.
        """
        chosen = self._chosen(call)
        return self._together(lambda run: run.over_lanes_of(chosen), chosen)

    @property
    def episodes(self) -> pl.DataFrame:
        """As `RunData.episodes`."""
        return self._together(lambda run: run.episodes)

    @property
    def steps(self) -> pl.DataFrame:
        """As `RunData.steps`."""
        return self._together(lambda run: run.steps)

    @property
    def tasks(self) -> pl.DataFrame:
        """As `RunData.tasks`."""
        return self._together(lambda run: run.tasks)

    @property
    def evaluations(self) -> pl.DataFrame:
        """As `RunData.evaluations`."""
        return self._together(lambda run: run.evaluations)

    def by_name(self) -> dict[str, RunData]:
        return self._runs

    def __repr__(self) -> str:
        shown = list(self._runs.items())[:_SHOWN]
        rows = [("run", "status", "health")]
        rows += [(name, run.status, run._brief_health()) for name, run in shown]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"RunsData({len(self)} runs)"]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
        if len(self) > _SHOWN:
            lines.append(f"and {len(self) - _SHOWN} more")
        return "\n".join(lines)

    def _chosen(self, call: str | None) -> str:
        return chosen_call(call, self.calls, f"{len(self)} runs")

    def _together(
        self, frame_of: Callable[[RunData], pl.DataFrame], call: str | None = None
    ) -> pl.DataFrame:
        frames = {
            name: frame_of(run)
            for name, run in self._runs.items()
            if call is None or call in run.calls or not self.calls
        }
        from jaxlog._reading.together import together  # once it is known that polars is there

        return together(frames)


def read_runs(where: Where | Iterable[Where]) -> RunsData:
    """Reads several runs.

    Args:
      where: a directory with runs in it, or in directories of it; or a pattern, like `runs/ppo-*`,
        of whose matches those that are no run are left out; or several paths and patterns.

    Raises:
      FileNotFoundError: a path is no run and holds none, or no match of a pattern is one.
      NotADirectoryError: a path is a file.
      ValueError: a path is an address like `gs://...`.

    >>> import tempfile
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for seed in range(2):
    ...         with logger.open(f"{directory}/seed-{seed}") as run:
    ...             run.log({"return": 100.0 + seed}, step=0)
    ...     runs = jaxlog.read_runs(f"{directory}/seed-*")
    ...     runs.metrics.select("run", "return").rows()
    [('seed-0', 100.0), ('seed-1', 101.0)]
    """
    return RunsData([RunData(path) for path in find_runs(where)])


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: what tells it from the others."""
    if not paths:
        return []
    resolved = [path.resolve() for path in paths]
    common = os.path.commonpath([path.parent for path in resolved])
    return [path.relative_to(common).as_posix() for path in resolved]
