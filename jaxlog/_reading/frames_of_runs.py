"""Reads a frame with the rows of many runs, in this process or in an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Literal, NamedTuple

import polars as pl

from jaxlog._reading.concatenate import concatenated, joined
from jaxlog._reading.executing import groups, results
from jaxlog._reading.finding import run_path
from jaxlog._reading.opening import OpenedRun
from jaxlog._reading.run_frames import RunFrames
from jaxlog._reading.together import rows_of_runs

Table = Literal["metrics", "over_lanes", "episodes", "steps", "tasks", "evaluations"]

_FRAMES: Mapping[Table, Callable[[RunFrames, str], pl.DataFrame]] = {
    "over_lanes": RunFrames.over_lanes_of,
    "episodes": lambda run, _: run.episodes,
    "steps": lambda run, _: run.steps,
    "tasks": lambda run, _: run.tasks,
    "evaluations": lambda run, _: run.evaluations,
}
"""The frame of one run; metrics are read for many runs together."""


class RunsToRead(NamedTuple):
    """A job: the rows of a table of some runs.

    Attributes:
      table: the table.
      call: the call; empty if the table has none.
      runs: the name, the place and the files of each run.
    """

    table: Table
    call: str
    runs: Sequence[tuple[str, str, OpenedRun]]


def frame_of_runs(
    runs: Mapping[str, RunFrames], table: Table, call: str, executor: Executor | None
) -> pl.DataFrame:
    """The rows of a table of all runs, with a first column `run`.

    Args:
      runs: the runs by their names.
      table: the table.
      call: the call; empty if the table has none.
      executor: where the files are read; None for this thread.
    """
    if executor is None:
        found = list(_frames(runs, table, call))
    else:
        jobs = (
            RunsToRead(table, call, [(name, *run._to_send()) for name, run in some])
            for some in groups(list(runs.items()))
        )
        found = [frame for some in results(_read, jobs, executor) for frame in some]
    return joined(found) if found else concatenated({})


def _frames(runs: Mapping[str, RunFrames], table: Table, call: str) -> Iterator[pl.DataFrame]:
    if table == "metrics":
        yield from rows_of_runs(run._to_read(name, call) for name, run in runs.items())
        return
    for name, run in runs.items():
        yield concatenated({name: _FRAMES[table](run, call)})


def _read(job: RunsToRead) -> list[pl.DataFrame]:
    runs = {name: RunFrames(run_path(place), found) for name, place, found in job.runs}
    return list(_frames(runs, job.table, job.call))
