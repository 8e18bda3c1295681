"""`jaxlog show`: a run's last values, or the runs there are."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table
from rich.text import Text

from jaxlog.cli import lines, runs
from jaxlog.cli.output import Output
from jaxlog.events import Event, MetricsEvent, RunInfo
from jaxlog.explore.finding import run_files
from jaxlog.host.facts import loss
from jaxlog.settings import LoggingConfig
from jaxlog.sinks.console.history import LENGTH
from jaxlog.sinks.console.picture import Picture
from jaxlog.sinks.console.values import clock, plain

SHOWN = 8
"""How many lanes' labels are shown, and how many of the values of one label."""

LONGEST = 60
"""The characters of one value of `config` that are shown."""

LONGEST_ROW = 1000
"""The columns of the list of runs, in a pipe: paths in it are not cut."""

STYLES = {"running": "green", "finished": "green", "failed": "red", "killed": "red"}
"""The colours of a status; what the user or the system ended is yellow."""

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def show(run: _Run = Path("runs")) -> int:
    """Show a run: how it is, its last values, and what was lost. Or the runs in a directory.

    Args:
      run: The run's directory, or a directory of runs.

    Returns:
      0.

    Raises:
      OSError: there is no run, or it cannot be read.
    """
    found = [runs.observed(path) for path in runs.named(run)]
    if found[0].path == run:
        _show(found[0], Output())
    else:
        Output(LONGEST_ROW).print(_table(found))
    return 0


def _show(run: runs.Found, output: Output) -> None:
    files = run_files(run.path)
    history = list(_history(files))
    output.print(Text.assemble((run.name, "bold"), " · ", _status(run)))
    output.print(_facts(run, history, files))
    output.print()
    if not history:
        output.say("No line of the kind jsonl is there.")
        return
    last = history[-1].timestamp
    began = run.started or history[0].timestamp
    now = time.time() if run.status == "running" else run.ended or last
    picture = Picture(_info(run), began)
    for event in history:
        picture.add(event)
    output.print(picture.draw(output.width, None, now, ended=run.status != "running"))


def _history(files: Sequence[Path]) -> Iterator[Event]:
    """The last events of each file, in the order they came."""
    return heapq.merge(*map(_last, files), key=lambda event: event.timestamp)


def _last(path: Path) -> Iterator[Event]:
    found = lines.forwards(path, lines.last(path, LENGTH))
    return lines.events(path, (line for _, line in found))


def _info(run: runs.Found) -> RunInfo:
    return RunInfo(run.name, total_steps=run.total_steps)


def _status(run: runs.Found) -> Text:
    ago = "" if run.ended is None else f" {_ago(time.time() - run.ended)} ago"
    return Text(f"{run.said}{ago}", STYLES.get(run.status, "yellow"))


def _facts(run: runs.Found, history: Sequence[Event], files: Sequence[Path]) -> Table:
    """What is known of a run beside its values, each in a row."""
    facts = run.facts
    rows: list[tuple[str, str, str]] = [("directory", str(run.path), "")]
    rows.append(("error", run.error, "red"))
    if run.started is not None:
        at = datetime.fromtimestamp(run.started).astimezone()
        again = len(run.listed("sessions"))
        went_on = f" · went on {again} {'time' if again == 1 else 'times'}" if again else ""
        rows.append(("started", f"{at:%Y-%m-%d %H:%M:%S %Z}{went_on}", ""))
    rows.append(("tags", " · ".join(map(str, run.listed("tags"))), ""))
    rows.append(("config", _pairs(facts.get("config")), ""))
    rows.append(("settings", _settings(facts.get("settings")), ""))
    rows.append(("lanes", _lanes(history), ""))
    rows.append(("code", str(facts.get("git") or ""), ""))
    rows.append(("versions", _pairs(facts.get("versions")), ""))
    rows.append(("devices", " · ".join(map(str, run.listed("devices"))), ""))
    rows.append(("records", _records(run), ""))
    rows.append(("lines", " · ".join(f"{lines.count(p):,} in {p.name}" for p in files), ""))
    rows += [("lost", loss(account), "red") for account in run.lossy]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text, style in rows:
        if text:
            table.add_row(label, Text(plain(text), style))
    return table


def _settings(settings: Any) -> str:
    """Those that are not the default."""
    if not isinstance(settings, dict):
        return ""
    default = LoggingConfig.model_validate({}).model_dump(mode="json")
    chosen = {k: v for k, v in settings.items() if k not in default or v != default[k]}
    if isinstance(sinks := chosen.pop("sinks", None), list):
        kinds = [sink.get("kind") for sink in sinks if isinstance(sink, dict)]
        chosen["sinks"] = ", ".join(map(str, kinds))
    return _pairs(chosen)


def _pairs(values: Any) -> str:
    if not isinstance(values, dict):
        return ""
    return " · ".join(f"{plain(name)} {_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = plain(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _lanes(history: Sequence[Event]) -> str:
    """How many there are, and what they are labelled with: `4: seed 0, 1, 2, 3`."""
    of_metrics = [event for event in history if isinstance(event, MetricsEvent)]
    lanes = max((event.lanes for event in of_metrics), key=len, default=())
    if len(lanes) < 2:
        return ""
    labels: dict[str, dict[str, None]] = {}
    for lane in lanes:
        for name, value in lane.labels.items():
            labels.setdefault(name, {})[_short(value)] = None
    shown = " · ".join(
        f"{name} {', '.join(list(values)[:SHOWN])}{', …' if len(values) > SHOWN else ''}"
        for name, values in labels.items()
    )
    return f"{len(lanes)}: {shown}" if shown else str(len(lanes))


def _table(found: Sequence[runs.Found]) -> Table:
    """A row for each run."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", overflow="fold")
    table.add_column("status", no_wrap=True)
    for heading in ("done", "began", "took", "lost"):
        table.add_column(heading, justify="right", no_wrap=True)
    now = time.time()
    for run in found:
        done, until = _done(run)
        until = now if run.status == "running" else run.ended or until
        total = "" if run.total_steps is None else f"/{run.total_steps:,}"
        lost = sum(account["lost"] for account in run.lossy)
        began = run.started
        table.add_row(
            Text(plain(str(run.path))),
            Text(run.status, STYLES.get(run.status, "yellow")),
            "" if done is None else f"{done:,}{total}",
            "" if began is None else f"{_ago(now - began)} ago",
            "" if began is None or until is None else clock(max(0.0, until - began)),
            Text(f"{lost:,}" if lost else "", "red"),
        )
    return table


def _done(run: runs.Found) -> tuple[int | None, float | None]:
    """The updates, or the steps of a single environment, that are done; and when the last was."""
    try:
        found = [
            event
            for path in run_files(run.path)
            for event in lines.events(path, (line for _, line in islice(lines.backwards(path), 1)))
        ]
    except OSError:  # somebody else's: that there is such a run is all that can be told
        return None, None
    done = max((event.step + 1 for event in found), default=None)
    return done, max((event.timestamp for event in found), default=None)


def _records(run: runs.Found) -> str:
    """How many came, and which sinks have all of them; the run says so at its end."""
    arrived = run.facts.get("arrived")
    if not isinstance(arrived, int):
        return ""
    whole = [account["kind"] for account in run.accounts if not account["lost"]]
    return f"{arrived:,}" + (f", all of them in {', '.join(whole)}" if whole else "")


def _ago(seconds: float) -> str:
    """A time that has passed, roughly.

    >>> _ago(75), _ago(7300), _ago(90000)
    ('1 min', '2 h', '1 d')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
