"""Finds the runs below a path."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlog._cli.errors import CommandError
from jaxlog._cli.filters import filter_of
from jaxlog._host.status import facts_of
from jaxlog._reading.finding import below, check_run, is_run
from jaxlog._reading.run_filter import no_such_names
from jaxlog._watching.observed_run import time_of
from jaxlog._watching.run_index import IndexedRun, names_of, selected, unknown_names

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


def indexed(path: Path) -> list[IndexedRun]:
    """Lists the run in a directory, or else the runs below it, with their names below it.

    Raises:
      OSError: there is no run, or the directory cannot be read.
    """
    if is_run(path):
        return [IndexedRun(path, path.resolve().name)]
    found = below(path)
    if not found:
        check_run(path)
    start = len(str(path)) + 1
    inside = path != Path()  # paths below the working directory do not begin with a dot
    return [IndexedRun(one, str(one)[start:] if inside else str(one)) for one in found]


def chosen(command: str, path: Path, where: str = "") -> list[tuple[Path, Mapping[str, Any]]]:
    """Lists the run in a directory, or with a filter the runs below it that match.

    Args:
      command: the name of the command, for errors.
      path: the directory.
      where: the filter; empty for one run.

    Returns:
      The path of each run, and the facts in its run.json.

    Raises:
      CommandError: the filter cannot be read, or no run matches.
      OSError: there is no run, or the directory cannot be read.
    """
    if not where:
        check_run(path)
        return [(path, facts_of(path))]
    terms = filter_of(f"{command}: --where", where)
    found = indexed(path)
    if missing := unknown_names(terms.names, found):
        raise CommandError(f"{command}: --where: {no_such_names(missing, names_of(found))}")
    matching = selected(found, terms, time.time())
    if not matching:
        raise CommandError(f"{command}: --where: no run of {len(found):,} matches {where}")
    return [(one.path, facts_of(one.path)) for one in matching]
