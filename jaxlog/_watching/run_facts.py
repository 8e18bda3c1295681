"""The facts about a run that `jaxlog show` and reports list above its values."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._format.events import Event, MetricsEvent
from jaxlog._format.health import Diverged, Health
from jaxlog._format.imported import cut_of, left_out_of, source_of
from jaxlog._format.run_file import newer_format
from jaxlog._format.what_ran import ALERTS
from jaxlog._host.losses import loss
from jaxlog._run_files import count_lines, loads, read_end
from jaxlog._store.known import shown
from jaxlog._terminal import plain
from jaxlog._text import counted
from jaxlog._watching import lines
from jaxlog._watching.observed_run import ObservedRun

SHOWN = 8
"""The number of diverged lanes, and of values of one label, that are shown."""

_END = 2**14
"""The bytes that are read at the end of the file with alerts."""

LONGEST = 60
"""The number of characters that are shown of one value of `config`."""


class Fact(NamedTuple):
    """One row of the list of facts.

    Attributes:
      label: the name of the fact.
      text: the fact, on one line.
      style: `red` if the fact is bad news, else empty.
    """

    label: str
    text: str
    style: str


class Lanes(NamedTuple):
    """The lanes of an event.

    Attributes:
      number: their number.
      labels: the values of each label, in the order of the lanes; one may occur several times.
    """

    number: int = 0
    labels: Mapping[str, Iterable[Any]] = {}


def facts(run: ObservedRun, health: Health, lanes: Lanes, files: Sequence[Path]) -> list[Fact]:
    """Lists the facts about a run; unknown ones are left out.

    Args:
      run: the run.
      health: its health.
      lanes: those of one of its last events, the one with the most.
      files: the files with its lines.
    """
    known = run.facts
    rows: list[tuple[str, str, str]] = [("directory", shown(run.path), "")]
    rows.append(("format", newer_format(known), "red"))
    rows.append(("error", run.error, "red"))
    rows.append(("diverged", _diverged(health), "red"))
    rows.append(("alerts", _alerts(run.path), "red"))
    if run.started is not None:
        at = datetime.fromtimestamp(run.started).astimezone()
        times = len(run.listed("sessions"))
        resumed = f" · resumed {counted(times, 'time')}" if times else ""
        rows.append(("started", f"{at:%Y-%m-%d %H:%M:%S %Z}{resumed}", ""))
    rows.append(("imported", source_of(known), ""))
    rows.append(("cut", cut_of(known), "red"))
    rows.append(("left out", left_out_of(known), ""))
    rows.append(("tags", " · ".join(run.tags), ""))
    rows.append(("note", run.note, ""))
    rows.append(("config", _pairs(known.get("config")), ""))
    rows.append(("settings", _settings(known), ""))
    rows.append(("lanes", _lanes(lanes), ""))
    rows.append(("command", _command(known.get("command")), ""))
    rows.append(("code", str(known.get("git") or ""), ""))
    rows.append(("versions", _pairs(known.get("versions")), ""))
    rows.append(("devices", " · ".join(map(str, run.listed("devices"))), ""))
    rows.append(("records", _records(run), ""))
    rows.append(("lines", " · ".join(f"{lines.count(p):,} in {p.name}" for p in files), ""))
    rows += [("lost", loss(account), "red") for account in run.accounts_with_loss]
    return [Fact(label, plain(text), style) for label, text, style in rows if text]


def _alerts(directory: Path) -> str:
    """The number of alerts, and the text of the last one; empty if there is none."""
    file = directory / ALERTS
    try:
        number = count_lines(file)
        end, _ = read_end(file, _END)
        found = loads(end.rstrip(b"\n").rpartition(b"\n")[2])
    except (OSError, ValueError):  # there is none, or it was edited
        return ""
    text = found.get("text") if isinstance(found, dict) else None
    return f"{number:,}, the last: {text}" if isinstance(text, str) else ""


def _command(command: Any) -> str:
    """The command line, and the directory in which it was started."""
    words = command.get("words") if isinstance(command, dict) else None
    if not isinstance(words, list):
        return ""
    directory = command.get("directory")
    where = f" · in {directory}" if isinstance(directory, str) else ""
    return shlex.join(map(str, words)) + where


def _diverged(health: Health) -> str:
    """Names the lanes that have diverged and the keys: `lanes 0, 2 in loss`."""
    found: Diverged | None = health.diverged
    if found is None:
        return ""
    lanes = sorted(found.since)
    shown = ", ".join(map(str, lanes[:SHOWN])) + (", …" if len(lanes) > SHOWN else "")
    where = f"lane{'s' if len(lanes) > 1 else ''} {shown}" if found.lanes > 1 else ""
    return f"{where} in {health.why}".strip()


def _settings(known: Mapping[str, Any]) -> str:
    """Formats the settings that differed from the defaults when the run was made."""
    settings, names = known.get("settings"), known.get("chosen_settings")
    if not isinstance(settings, dict):
        return ""
    names = names if isinstance(names, list) else _unlike_defaults(settings)
    chosen = {name: settings[name] for name in settings if name in names}
    if isinstance(sinks := chosen.pop("sinks", None), list):
        kinds = [sink.get("kind") for sink in sinks if isinstance(sink, dict)]
        chosen["sinks"] = ", ".join(map(str, kinds))
    return _pairs(chosen)


def _unlike_defaults(settings: Mapping[str, Any]) -> list[str]:
    """The settings that differ from the defaults of today, for runs that do not name them."""
    from jaxlog._settings import LoggingConfig  # it takes 0.1 s

    default = LoggingConfig.model_validate({}).model_dump(mode="json")
    return [k for k, v in settings.items() if k not in default or v != default[k]]


def _pairs(values: Any) -> str:
    if not isinstance(values, dict):
        return ""
    return " · ".join(f"{plain(name)} {_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = plain(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def lanes_of(history: Sequence[Event]) -> Lanes:
    """Returns the lanes of the event that has the most."""
    of_metrics = [event for event in history if isinstance(event, MetricsEvent)]
    event = max(of_metrics, key=lambda event: event.num_logged, default=None)
    if event is None:
        return Lanes()
    if event.has_columns:  # of many lanes: no object for each
        columns = event.columns.labels.items()
        return Lanes(
            event.num_logged,
            {name: [value for value in of if value is not None] for name, of in columns},
        )
    labels: dict[str, list[Any]] = {}
    for lane in event.lanes:
        for name, value in lane.labels.items():
            labels.setdefault(name, []).append(value)
    return Lanes(event.num_logged, labels)


def _lanes(lanes: Lanes) -> str:
    """Formats the number of lanes and their labels: `4: seed 0, 1, 2, 3`."""
    if lanes.number < 2:
        return ""
    shown = " · ".join(f"{name} {_listed(values)}" for name, values in lanes.labels.items())
    return f"{lanes.number}: {shown}" if shown else str(lanes.number)


def _listed(values: Iterable[Any]) -> str:
    """Lists the first different values."""
    shown: dict[str, None] = {}
    for value in values:
        shown[_short(value)] = None
        if len(shown) > SHOWN:
            return f"{', '.join(list(shown)[:SHOWN])}, …"
    return ", ".join(shown)


def _records(run: ObservedRun) -> str:
    """Formats the number of records, and the sinks that wrote all of them; empty until the end."""
    arrived = run.facts.get("arrived")
    if not isinstance(arrived, int):
        return ""
    if not arrived:
        return "none"
    complete = [account["kind"] for account in run.accounts if not account["lost"]]
    return f"{arrived:,}" + (f", all written by {', '.join(complete)}" if complete else "")
