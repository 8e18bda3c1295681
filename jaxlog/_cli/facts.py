"""What is told of a run beside its values, by `jaxlog show` and by reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._cli import lines, runs
from jaxlog._format.events import Event, MetricsEvent
from jaxlog._format.health import Diverged, Health
from jaxlog._format.run_file import newer_format
from jaxlog._host.facts import loss
from jaxlog._settings import LoggingConfig
from jaxlog.sinks.console.values import plain

SHOWN = 8
"""How many lanes' labels are shown, and how many of the values of one label."""

LONGEST = 60
"""The characters of one value of `config` that are shown."""


class Fact(NamedTuple):
    """One row.

    Attributes:
      label: what is told.
      text: what is told of it, on one line.
      style: `red` where it is bad news, else empty.
    """

    label: str
    text: str
    style: str


def facts(
    run: runs.ObservedRun, health: Health, history: Sequence[Event], files: Sequence[Path]
) -> list[Fact]:
    """What is known of a run beside its values; what is not known is left out.

    Args:
      run: the run.
      health: its health.
      history: its last events, as `last_events` gives them.
      files: those with its lines.
    """
    said = run.facts
    rows: list[tuple[str, str, str]] = [("directory", str(run.path), "")]
    rows.append(("format", newer_format(said), "red"))
    rows.append(("error", run.error, "red"))
    rows.append(("diverged", _diverged(health), "red"))
    if run.started is not None:
        at = datetime.fromtimestamp(run.started).astimezone()
        again = len(run.listed("sessions"))
        went_on = f" · went on {again} {'time' if again == 1 else 'times'}" if again else ""
        rows.append(("started", f"{at:%Y-%m-%d %H:%M:%S %Z}{went_on}", ""))
    rows.append(("tags", " · ".join(map(str, run.listed("tags"))), ""))
    rows.append(("config", _pairs(said.get("config")), ""))
    rows.append(("settings", _settings(said.get("settings")), ""))
    rows.append(("lanes", _lanes(history), ""))
    rows.append(("code", str(said.get("git") or ""), ""))
    rows.append(("versions", _pairs(said.get("versions")), ""))
    rows.append(("devices", " · ".join(map(str, run.listed("devices"))), ""))
    rows.append(("records", _records(run), ""))
    rows.append(("lines", " · ".join(f"{lines.count(p):,} in {p.name}" for p in files), ""))
    rows += [("lost", loss(account), "red") for account in run.lossy]
    return [Fact(label, plain(text), style) for label, text, style in rows if text]


def _diverged(health: Health) -> str:
    """Which lanes have diverged, and in which keys: `lanes 0, 2 in loss`."""
    found: Diverged | None = health.diverged
    if found is None:
        return ""
    lanes = sorted(found.since)
    shown = ", ".join(map(str, lanes[:SHOWN])) + (", …" if len(lanes) > SHOWN else "")
    where = f"lane{'s' if len(lanes) > 1 else ''} {shown}" if found.lanes > 1 else ""
    return f"{where} in {health.why}".strip()


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


def _records(run: runs.ObservedRun) -> str:
    """How many came, and which sinks have all of them; the run says so at its end."""
    arrived = run.facts.get("arrived")
    if not isinstance(arrived, int):
        return ""
    if not arrived:
        return "none"
    whole = [account["kind"] for account in run.accounts if not account["lost"]]
    return f"{arrived:,}" + (f", all of them in {', '.join(whole)}" if whole else "")
