"""Finds the runs below a path."""

from __future__ import annotations

from pathlib import Path

from jaxlog._host.status import facts_of
from jaxlog._reading.finding import below, check_run, is_run
from jaxlog._watching.observed_run import time_of

DIRECTORY = Path("runs")
"""The directory that commands use by default."""


def named(path: Path) -> list[Path]:
    """Lists the run in a directory, or else the runs below it, newest first.

    Raises:
      OSError: there is no run, or the directory cannot be read.
    """
    if is_run(path):
        return [path]
    found = sorted(below(path), key=_start_time, reverse=True)
    if not found:
        check_run(path)
    return found


def _start_time(path: Path) -> float:
    began = time_of(facts_of(path), "started")
    return path.stat().st_mtime if began is None else began
