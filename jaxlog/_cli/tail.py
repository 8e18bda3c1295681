"""`jaxlog tail`: what a run logs, while it logs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import runs
from jaxlog._cli.errors import CommandError
from jaxlog._cli.follow import Follower, LineGroup
from jaxlog._cli.history import last_place, tally
from jaxlog._cli.lines import events, read
from jaxlog._cli.stream import flush, out, tell
from jaxlog._format.run_file import newer_format
from jaxlog._host.facts import loss
from jaxlog._reading.finding import not_read, run_files
from jaxlog._terminal import escaped
from jaxlog.sinks.console.lines import line
from jaxlog.sinks.console.values import clock, plain

PERIOD = 0.25
"""Seconds between two looks at the files."""

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Lines = Annotated[int, tyro.conf.arg(aliases=["-n"])]


def tail(run: _Run = runs.DIRECTORY, *, lines: _Lines = 10, json: bool = False) -> int:
    """Follow a run: print what it logs, until it ends.

    Args:
      run: The run's directory, or a directory of runs, for the newest in it.
      lines: How many of the last events to begin with.
      json: Whether to print the lines as they are in the files: JSON, one for each lane.

    Returns:
      0, however the run has ended.

    Raises:
      CommandError: `lines` is negative.
      OSError: there is no run, or it cannot be read.
    """
    if lines < 0:
        raise CommandError(f"tail: --lines: got {lines}, takes 0 or more")
    directory = runs.named(run)[0]
    if directory != run:
        tell(f"the newest run is {directory}")
    if newer := newer_format(runs.observed(directory).facts):
        tell(f"{directory}: {newer}")
    for why in not_read(directory):
        tell(why)
    follower = Follower(directory, lines)
    while True:
        found = runs.observed(directory)  # before the look: it ends when all is written
        for group in follower.look(ended=not found.goes_on):
            for text in _raw(group) if json else _told(group, found):
                out(text)
        flush()
        if not found.goes_on:
            break
        time.sleep(PERIOD)
    tell(_end(found))
    return 0


def _raw(group: LineGroup) -> Iterator[str]:
    return (escaped(text.decode()) for text in group.lines if read(text) is not None)


def _told(group: LineGroup, run: runs.ObservedRun) -> Iterator[str]:
    found = events(group.path, group.lines, run.facts.get("calls"))
    return (line(event, run.total_updates) for event in found)


def _end(run: runs.ObservedRun) -> str:
    """How a run has ended, in one sentence."""
    parts = [f"{plain(str(run.path))}: {run.said}"]
    if run.started is not None and run.ended is not None:
        parts[0] += f" after {clock(run.ended - run.started)}"
    if run.error:
        parts.append(run.error)
    done, _ = last_place(run)
    health = replace(run.health(done, tally(run, run_files(run.path))), lost=0)
    if health.unfinished == run.status:  # nothing but what stands there already
        health = replace(health, unfinished="")
    parts += [str(health)] if health else []
    return "; ".join([*parts, *map(loss, run.lossy)])
