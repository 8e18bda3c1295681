"""`jaxlog show`: a run's status and last values, or a list of runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table
from rich.text import Text

from jaxlog._cli import runs
from jaxlog._cli.facts import Fact, facts, lanes_of
from jaxlog._cli.history import last_events, logged_before, progress, tally
from jaxlog._cli.output import Output
from jaxlog._cli.stream import note
from jaxlog._format.events import RunInfo
from jaxlog._reading.finding import event_files, not_read
from jaxlog._terminal import plain
from jaxlog.sinks.console.run_display import RunDisplay
from jaxlog.sinks.console.values import clock

LONGEST_ROW = 1000
"""The width of the list of runs in a pipe, in characters: wide enough not to cut paths."""

STYLES = {"running": "green", "finished": "green", "failed": "red", "killed": "red"}
"""The colour of each status. The others are yellow: the user or the system ended the run."""

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def show(run: _Run = runs.DIRECTORY) -> int:
    """Show one run (status, last values, lost records), or list the runs in a directory.

    Args:
      run: The directory of a run, or a directory of runs.

    Returns:
      0.

    Raises:
      OSError: there is no run, or it cannot be read.
    """
    found = [runs.observed(path) for path in runs.named(run)]
    if found[0].path == run:
        _show(found[0], Output())
    else:
        Output(LONGEST_ROW).print(table(found))
    return 0


def _show(run: runs.ObservedRun, output: Output) -> None:
    for reason in not_read(run.path):
        note(reason)
    files = event_files(run.path)
    history = list(last_events(files, run.facts.get("calls")))
    done, _ = progress(run)
    health = run.health(done, tally(run, files))
    unsound = (" · ", (plain(str(health)), "red")) if health else ()
    output.print(Text.assemble((run.name, "bold"), " · ", _status(run), *unsound))
    output.print(_rows(facts(run, health, lanes_of(history), files)))
    output.print()
    if not history:
        output.say("Nothing to show: the run has no sink jsonl, or has logged nothing yet.")
        return
    last = history[-1].timestamp
    began = run.started or history[0].timestamp
    now = time.time() if run.status == "running" else run.ended or last
    display = RunDisplay(_info(run), began, logged_before(files, history), health)
    for event in history:
        display.add(event)
    output.print(display.draw(output.width, None, now, ended=run.status != "running"))


def _info(run: runs.ObservedRun) -> RunInfo:
    return RunInfo(run.name, total_updates=run.total_updates, status=lambda: run.status)


def _status(run: runs.ObservedRun) -> Text:
    ago = "" if run.ended is None else f" {_ago(time.time() - run.ended)} ago"
    return Text(f"{run.status_text}{ago}", STYLES.get(run.status, "yellow"))


def _rows(facts: Sequence[Fact]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for fact in facts:
        table.add_row(fact.label, Text(fact.text, fact.style))
    return table


def table(found: Sequence[runs.ObservedRun]) -> Table:
    """Makes a table with a row for each run."""
    rows = Table(box=None, pad_edge=False, header_style="dim")
    rows.add_column("run", overflow="fold")
    rows.add_column("status", no_wrap=True)
    for heading in ("done", "began", "took", "lost"):
        rows.add_column(heading, justify="right", no_wrap=True)
    rows.add_column("health", overflow="fold")
    now = time.time()
    for run in found:
        done, until = progress(run)
        until = now if run.status == "running" else run.ended or until
        total = "" if run.total_updates is None else f"/{run.total_updates:,}"
        lost = sum(account["lost"] for account in run.accounts_with_loss)
        began = run.started
        rows.add_row(
            Text(plain(str(run.path))),
            Text(run.status, STYLES.get(run.status, "yellow")),
            "" if done is None else f"{done:,}{total}",
            "" if began is None else f"{_ago(now - began)} ago",
            "" if began is None or until is None else clock(max(0.0, until - began)),
            Text(f"{lost:,}" if lost else "", "red"),
            Text(plain(str(replace(run.health(done), lost=0))), "red"),
        )
    return rows


def _ago(seconds: float) -> str:
    """Formats a duration, rounded down to one unit.

    >>> _ago(75), _ago(7300), _ago(90000)
    ('1 min', '2 h', '1 d')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
