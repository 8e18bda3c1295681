"""`jaxlog show`: a run's status and last values, or a list of runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import ConsoleDimensions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.output import LONGEST_ROW, STYLES, Output
from jaxlog._cli.stream import note
from jaxlog._format.events import RunInfo
from jaxlog._format.named_files import named_files
from jaxlog._reading.finding import event_files, not_read
from jaxlog._store.known import shown
from jaxlog._terminal import plain
from jaxlog._text import counted
from jaxlog._watching.durations import ago
from jaxlog._watching.history import last_events, logged_before, progress, tally
from jaxlog._watching.observed_run import ObservedRun, observed
from jaxlog._watching.run_facts import Fact, facts, lanes_of
from jaxlog._watching.spread import spread_events
from jaxlog.sinks.console.run_display import RunDisplay
from jaxlog.sinks.console.values import clock

PERIOD = 1.0
"""The seconds between two pictures of `--watch`."""
UNCHANGING = ("settings", "command", "code", "versions", "devices")
"""The facts that are left out where there is little room."""
LEAST_TABLE = 8
"""The number of lines that the tables have at least."""

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def show(run: _Run = run_paths.DIRECTORY, *, watch: bool = False) -> int:
    """Show one run (status, last values, lost records), or list the runs in a directory.

    Args:
      run: The directory of a run, or a directory of runs.
      watch: Refresh the picture of one run every second, until the run ends or Ctrl-C.

    Returns:
      0.

    Raises:
      CommandError: `watch` was given a directory of runs.
      OSError: there is no run, or it cannot be read.
    """
    run = run_paths.located(run)
    named = run_paths.named(run)
    if watch and named[0] != run:
        raise CommandError(
            "show: --watch: got a directory of "
            f"{counted(len(named), 'run')}, expected one run: give "
            f"{named[0]}, or use jaxlog top {run}"
        )
    if named[0] != run:
        Output(LONGEST_ROW).print(table([observed(path) for path in named]))
        return 0
    for reason in not_read(named_files(run)):
        note(reason)
    output = Output()
    if watch and output.is_terminal:
        _watch(run, output)
    output.print(picture(observed(run), output.width))
    return 0


def _watch(path: Path, output: Output) -> None:
    """Shows a run until it ends."""
    from jaxlog._cli.whole_screen import WholeScreen  # other commands do not need it

    with WholeScreen(output) as screen:
        while (run := observed(path)).may_log_more:
            width, height = shutil.get_terminal_size()
            output.size = ConsoleDimensions(width, height)
            screen.show(picture(run, width, height))
            time.sleep(PERIOD)


def picture(run: ObservedRun, width: int, height: int | None = None) -> Group:
    """Draws the status of a run, its facts and the tables of its last values.

    Args:
      run: the run.
      width: the width, in characters.
      height: the maximum number of lines; None for no limit. With one, files are not read as a
        whole: the numbers of their lines are left out.
    """
    files = event_files(run.path)
    calls = run.facts.get("calls")
    history = list(last_events(files, calls))
    done, _ = progress(run)
    health = run.health(done, tally(run, files))
    unsound = (" · ", (plain(str(health)), "red")) if health else ()
    title = Text.assemble((run.name, "bold"), " · ", _status(run), *unsound)
    known = facts(run, health, lanes_of(history), files if height is None else ())
    above: list[RenderableType] = [title, _rows(known), Text()]
    if not history:
        return Group(*above, Text(_nothing()))
    last = history[-1].timestamp
    began = run.started or history[0].timestamp
    now = time.time() if run.status == "running" else run.ended or last
    display = RunDisplay(
        _info(run),
        began,
        logged_before(files, history),
        health,
        spread_events(files, history, calls),
    )
    for event in history:
        display.add(event)
    room = height
    if height is not None:
        # The values are more important than the facts, which do not change.
        short = [fact for fact in known if fact.label not in UNCHANGING]
        above[1] = _rows(short)
        room = max(LEAST_TABLE, height - len(short) - 2)
    return Group(*above, display.draw(width, room, now, ended=run.status != "running"))


def _info(run: ObservedRun) -> RunInfo:
    return RunInfo(run.name, total_updates=run.total_updates, status=lambda: run.status)


def _nothing() -> str:
    return "Nothing to show: the run has no sink jsonl, or has logged nothing yet."


def _status(run: ObservedRun) -> Text:
    since = "" if run.ended is None else f" {ago(time.time() - run.ended)} ago"
    return Text(f"{run.status_text}{since}", STYLES.get(run.status, "yellow"))


def _rows(facts: Sequence[Fact]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for fact in facts:
        table.add_row(fact.label, Text(fact.text, fact.style))
    return table


def table(found: Sequence[ObservedRun]) -> Table:
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
            Text(plain(shown(run.path))),
            Text(run.status, STYLES.get(run.status, "yellow")),
            "" if done is None else f"{done:,}{total}",
            "" if began is None else f"{ago(now - began)} ago",
            "" if began is None or until is None else clock(max(0.0, until - began)),
            Text(f"{lost:,}" if lost else "", "red"),
            Text(plain(str(replace(run.health(done), lost=0))), "red"),
        )
    return rows
