"""`jaxlog tail`: prints the events of a run as they are logged."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import flush, note, out
from jaxlog._format.events import EpisodeEvent, Event, MetricsEvent
from jaxlog._format.named_files import named_files
from jaxlog._format.run_file import newer_format, total_of_call
from jaxlog._host.losses import loss
from jaxlog._reading.finding import event_files, not_read
from jaxlog._store.known import shown
from jaxlog._terminal import escaped, plain
from jaxlog._watching.follow import Follower, LineGroup
from jaxlog._watching.history import progress, tally
from jaxlog._watching.lines import events, read
from jaxlog._watching.observed_run import ObservedRun, observed
from jaxlog.sinks.console.lines import WIDTH, line
from jaxlog.sinks.console.values import clock

PERIOD = 0.25
"""The seconds between two looks at the files."""

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Lines = Annotated[int, tyro.conf.arg(aliases=["-n"])]


def tail(run: _Run = run_paths.DIRECTORY, *, lines: _Lines = 10, json: bool = False) -> int:
    """Follow a run: print what it logs until it ends.

    Each record is one line that fits the terminal, or 120 characters in a pipe: values that do not
    fit are left out, and counted.

    Args:
      run: The directory of a run, or a directory of runs, of which the newest is followed.
      lines: The number of last events to print first.
      json: Print the lines as they are in the files: JSON, one line per lane.

    Returns:
      0, whatever the status of the run at its end.

    Raises:
      CommandError: `lines` is negative.
      OSError: there is no run, or it cannot be read.
    """
    if lines < 0:
        raise CommandError(f"tail: --lines: got {lines}, expected 0 or more")
    run = run_paths.located(run)
    directory = run_paths.named(run)[0]
    if directory != run:
        note(f"the newest run is {shown(directory)}")
    if newer := newer_format(observed(directory).facts):
        note(f"{directory}: {newer}")
    for reason in not_read(named_files(directory)):
        note(reason)
    follower = Follower(directory, lines)
    while True:
        # Before the look: a run changes its status only after it has written all lines.
        found = observed(directory)
        for group in follower.look(ended=not found.may_log_more):
            for text in _json_lines(group) if json else _event_lines(group, found):
                out(text)
        flush()
        if not found.may_log_more:
            break
        time.sleep(PERIOD)
    note(_end(found))
    return 0


def _json_lines(group: LineGroup) -> Iterator[str]:
    return (escaped(text.decode()) for text in group.lines if read(text) is not None)


def _event_lines(group: LineGroup, run: ObservedRun) -> Iterator[str]:
    found = events(group.path, group.lines, run.facts.get("calls"))
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    return (line(event, _total(event, run), width) for event in found)


def _total(event: Event, run: ObservedRun) -> int | None:
    call = event.name if isinstance(event, MetricsEvent | EpisodeEvent) else ""
    return total_of_call(run.facts, call)


def _end(run: ObservedRun) -> str:
    """Says in one line how a run ended: its status, error, health and losses."""
    parts = [f"{plain(shown(run.path))}: {run.status_text}"]
    if run.started is not None and run.ended is not None:
        parts[0] += f" after {clock(run.ended - run.started)}"
    if run.error:
        parts.append(run.error)
    done, _ = progress(run)
    health = replace(run.health(done, tally(run, event_files(run.path))), lost=0)
    if health.unfinished == run.status:  # the line has the status already
        health = replace(health, unfinished="")
    parts += [str(health)] if health else []
    return "; ".join([*parts, *map(loss, run.accounts_with_loss)])
