"""The public class of several runs, and the function that reads them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.views import Views
from jaxlog._format.columnar import RUN
from jaxlog._reading.executing import checked
from jaxlog._reading.extra import needs_extra
from jaxlog._reading.finding import Where, named_runs
from jaxlog._reading.opening import opened_runs
from jaxlog._reading.run_filter import no_such_names, parsed
from jaxlog._reading.run_frames import chosen_call
from jaxlog._text import counted

if TYPE_CHECKING:
    import polars as pl

    from jaxlog._reading.frames_of_runs import Table
    from jaxlog._watching.run_index import IndexedRun


_SHOWN = 40
"""The most runs that `repr` lists."""


class RunsData(Views):
    """The files of several runs as polars frames; made by `jaxlog.read_runs`.

    Each frame has the rows of all runs (see `RunData`), with a first column `run`. A column that a
    run does not have is null in its rows. `len`, iteration and `runs[name]` give the `RunData` of
    each run.

    Attributes:
      names: the names of the runs, as in the column `run`: the paths of their directories, relative
        to the directory that they have in common.
      calls: the names of the calls that logged metrics in any of the runs.
    """

    def __init__(self, runs: Mapping[str, RunData], executor: Executor | None = None) -> None:
        self._runs, self._executor = runs, executor
        self.names = tuple(runs)
        self.calls = tuple(sorted({call for run in runs.values() for call in run.calls}))

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[RunData]:
        return iter(self._runs.values())

    def __getitem__(self, name: str) -> RunData:
        """Returns the run of that name.

        Raises:
          KeyError: there is no such run.
        """
        if name not in self._runs:
            raise KeyError(f"got {name!r}, expected one of {', '.join(map(repr, self.names))}")
        return self._runs[name]

    @property
    def metrics(self) -> pl.DataFrame:
        """The frames `RunData.metrics` of all runs."""
        return self.metrics_of(None)

    def metrics_of(self, call: str | None) -> pl.DataFrame:
        """Returns `RunData.metrics_of` of all runs; runs without the call have no rows.

        Args:
          call: as in `RunData.metrics_of`.

        Raises:
          LookupError: the call has logged nothing in any run, or `call` is None and several calls
            could be meant.
        """
        return self._together("metrics", self._chosen(call))

    @property
    def over_lanes(self) -> pl.DataFrame:
        """The frames `RunData.over_lanes` of all runs."""
        return self.over_lanes_of(None)

    def over_lanes_of(self, call: str | None) -> pl.DataFrame:
        """Returns `RunData.over_lanes_of` of all runs; runs without the call have no rows.

        Args:
          call: as in `RunData.metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        return self._together("over_lanes", self._chosen(call))

    @property
    def episodes(self) -> pl.DataFrame:
        """The frames `RunData.episodes` of all runs."""
        return self._together("episodes")

    @property
    def steps(self) -> pl.DataFrame:
        """The frames `RunData.steps` of all runs."""
        return self._together("steps")

    @property
    def tasks(self) -> pl.DataFrame:
        """The frames `RunData.tasks` of all runs."""
        return self._together("tasks")

    @property
    def evaluations(self) -> pl.DataFrame:
        """The frames `RunData.evaluations` of all runs."""
        return self._together("evaluations")

    def filter(self, where: str) -> RunsData:
        """Returns the runs that match a filter, in its order, under the names that they have here.

        It reads the last lines of each run only if the filter names a metric.

        Args:
          where: terms with spaces between them, such as `"lr=3e-4 env:CartPole return>400"`, which
            a run has to match all, and `sort:-return`; as for `jaxlog runs --where`.

        Raises:
          LookupError: no run has a value of a name; the text has the nearest names.
          ValueError: the filter cannot be read; the text says where.
        """
        found = _selected({name: run.path for name, run in self._runs.items()}, where)
        return RunsData({one.name: self._runs[one.name] for one in found}, self._executor)

    def table(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Returns a polars frame with a row for each run: its state, config and last values.

        It reads run.json and the last lines of each run.

        Args:
          columns: the values that the frame has beside `run`, by the names that filters use, such
            as `["lr", "env", "return"]`. None for all of them: those of the run (`path`, `name`,
            `status`, `health`, `started`, `ended`, `done`, `total`, `tags`, `note`, `metric`, the
            main metric), each key of `config`, nested ones with dots, and the last value of each
            metric over the lanes that are alive. If two of these have one name, the later is
            `config.status` or `metrics.loss`.

        Raises:
          LookupError: no run has a value of a name; the text has the nearest names.
          ModuleNotFoundError: polars is missing; it comes with the extra `explore`.
        """
        with needs_extra("tables of runs"):
            from jaxlog._reading.concatenate import frame_of_rows
        from jaxlog._watching.run_index import IndexedRun, names_of, unknown_names
        from jaxlog._watching.run_record import flattened, record

        found = [IndexedRun(run.path, name) for name, run in self._runs.items()]
        if columns is None:
            rows = flattened([record(one) for one in found])
            return frame_of_rows(rows, list(rows[0]) if rows else [RUN])
        if found and (missing := unknown_names(columns, found)):
            raise LookupError(no_such_names(missing, names_of(found)))
        now = time.time()
        rows = [
            {RUN: one.name} | {name: one.value_of(name, now) for name in columns} for one in found
        ]
        return frame_of_rows(rows, [RUN, *columns])

    def by_name(self) -> dict[str, RunData]:
        return dict(self._runs)

    def __repr__(self) -> str:
        shown = list(self._runs.items())[:_SHOWN]
        rows = [("run", "status", "health")]
        rows += [(name, run.status, run._brief_health()) for name, run in shown]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"RunsData({counted(len(self), 'run')})"]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
        if len(self) > _SHOWN:
            lines.append(f"and {len(self) - _SHOWN} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from jaxlog._analysis.html_tables import MOST_ROWS, runs_html

        shown = list(self._runs.items())[:MOST_ROWS]
        rows = [(name, run.status, run._brief_health()) for name, run in shown]
        return runs_html(rows, [run.info for run in self._runs.values()])

    def _chosen(self, call: str | None) -> str:
        return chosen_call(call, self.calls, counted(len(self), "run"))

    def _together(self, table: Table, call: str = "") -> pl.DataFrame:
        with needs_extra("the frames of runs"):
            from jaxlog._reading.frames_of_runs import frame_of_runs
        runs = {
            name: run
            for name, run in self._runs.items()
            if not call or call in run.calls or not self.calls
        }
        return frame_of_runs(runs, table, call, self._executor)


def read_runs(where: Where | Iterable[Where], *, executor: Executor | None = None) -> RunsData:
    """Reads several runs.

    Args:
      where: the directory of a run; a directory with runs, directly or in its subdirectories; a
        pattern like `runs/ppo-*`, whose matches that are not runs are skipped; or several of these.
        Each may be an address in a store, like `s3://bucket/runs`.
      executor: where files are read and parsed: a `concurrent.futures.Executor`, such as a
        `ProcessPoolExecutor` whose processes are not forked, or that of a cluster, whose machines
        have to see the same directories or stores. It opens the runs, and reads the frames of all
        of them, `metrics`, `episodes` and so on; plots and comparisons are made in this process.
        None for this thread.

    Raises:
      FileNotFoundError: a path has no run, or no match of a pattern is a run.
      NotADirectoryError: a path is that of a file.
      OSError: the store of an address cannot be read.
      TypeError: the executor is not one.
      ValueError: a path is an address that is not that of a store, or has credentials in it; or
        the processes of the executor are forked.

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
    executor = None if executor is None else checked(executor)
    runs = named_runs(where)
    found = opened_runs(list(runs.values()), executor)
    return RunsData(
        {name: RunData(path, one) for (name, path), one in zip(runs.items(), found, strict=True)},
        executor,
    )


def find_runs(path: Where | Iterable[Where] = "runs", where: str = "") -> RunsData:
    """Finds runs by their config, status, tags and last values, and reads those that match.

    It reads run.json of each run, and the last lines only if the filter names a metric, which takes
    about a second for 5,000 runs.

    Args:
      path: where the runs are, as for `read_runs`.
      where: as for `RunsData.filter`; empty for all runs.

    Returns:
      The runs, in the order of the filter, or else of `read_runs`; none if no run matches. They
      have the names that `read_runs` gives them.

    Raises:
      FileNotFoundError: there is no run.
      LookupError: no run has a value of a name; the text has the nearest names.
      NotADirectoryError: a path is that of a file.
      OSError: the store of an address cannot be read.
      ValueError: the filter cannot be read, or a path is an address that is not that of a store.

    >>> import tempfile
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for rate in (0.1, 0.2, 0.4):
    ...         with logger.open(f"{directory}/rate-{rate}", config={"lr": rate}) as run:
    ...             run.log({"return": 100.0 * rate}, step=0)
    ...     runs = jaxlog.find_runs(directory, "lr>=0.2 sort:-return")
    ...     print(runs.table(["lr", "return"]).rows())
    [('rate-0.4', 0.4, 40.0), ('rate-0.2', 0.2, 20.0)]
    """
    found = _selected(named_runs(path), where)
    return RunsData({one.name: RunData(one.path) for one in found})


def _selected(runs: Mapping[str, Path], where: str) -> list[IndexedRun]:
    from jaxlog._watching.run_index import IndexedRun, names_of, selected, unknown_names

    chosen = parsed(where)
    found = [IndexedRun(path, name) for name, path in runs.items()]
    if found and (missing := unknown_names(chosen.names, found)):
        raise LookupError(no_such_names(missing, names_of(found)))
    return selected(found, chosen, time.time())
