"""The first screen: the line of state, and the table of runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from jaxlog._analysis.groups import is_seed
from jaxlog._format.columnar import RUN
from jaxlog._page.asked import Asked
from jaxlog._page.followed import FollowedRun, FollowedRuns
from jaxlog._terminal import plain
from jaxlog._text import counted
from jaxlog._watching.durations import ago
from jaxlog._watching.run_row import RunRow
from jaxlog._watching.shared_facts import json_of
from jaxlog._watching.state import TONES, alarms, differing, newest, state_counts
from jaxlog.sinks.console.values import clock, number, per_second

MOST_ROWS = 10_000
"""The most rows of one answer."""
MOST_KEYS = 40
"""The most config keys that have a column."""
LONGEST = 80
"""The most characters of a value of the config."""
MOST_VALUES = 10_000
"""The most values of a label that are counted."""

_ALARMS = {
    "diverged": "health:diverged",
    "failed": "status=failed",
    "killed": "status=killed",
    "stalled": "stalled=true",
    "records lost": "lost>0",
}
"""The filter that finds the runs of each alarm."""


class Main(NamedTuple):
    """The metric that the first screen is about.

    Attributes:
      call: the call that logged it.
      key: its key on a line.
    """

    call: str
    key: str


class _Column(NamedTuple):
    """A column of the table.

    Attributes:
      name: what filters and orders call it.
      title: its heading.
      kind: how it is aligned and drawn.
      value: the value of a run.
      text: the value as it is shown.
    """

    name: str
    title: str
    kind: str
    value: Callable[[RunRow], Any]
    text: Callable[[Any], str]


def table(followed: FollowedRuns, asked: Asked) -> dict[str, Any]:
    """The answer to `runs`.

    Raises:
      AskedError: a parameter cannot be read.
    """
    offset = asked.integer("offset", 0, 0, 10**9)
    limit = asked.integer("limit", 60, 0, MOST_ROWS)
    chosen, now = asked.where(), time.time()
    with followed.lock:
        everything = followed.runs()
        found = chosen.select(everything, lambda run, name: run.row.value_of(name, now))
        pinned = set(asked.listed("pin"))
        found.sort(key=lambda run: run.id not in pinned)
        main = main_metric(found, asked) or main_metric(everything, asked)
        keys = differing(run.row for run in found if run.row.run.status)
        columns = _columns(found, main, keys[:MOST_KEYS], asked.several("columns"), now)
        notes = []
        if len(keys) > MOST_KEYS:
            one, many = "more config key differs and has", "more config keys differ and have"
            more = counted(len(keys) - MOST_KEYS, one, many)
            notes.append(f"{more} no column")
        return {
            "version": followed.version,
            "now": now,
            "title": plain(followed.title),
            "state": _state([run.row for run in everything], now),
            "total": len(everything),
            "matching": len(found),
            "unlooked": followed.unlooked,
            "unread": followed.unread,
            "offset": offset,
            "main": None if main is None else main._asdict(),
            "group": ", ".join(grouping(found, main, asked)),
            "groups": _groups(found, main),
            "columns": [
                {"name": c.name, "title": plain(c.title), "kind": c.kind, "sort": c.kind != "trend"}
                for c in columns
            ],
            "rows": [_row(run, columns, now) for run in found[offset : offset + limit]],
            "notes": notes,
        }


def main_metric(runs: Sequence[FollowedRun], asked: Asked) -> Main | None:
    """The metric that was asked for; else the one that most runs have as theirs."""
    call, key = asked.text("call"), asked.text("key")
    if call and key:
        return Main(call, key)
    found = Counter(Main(run.row.call, run.row.metric) for run in runs if run.row.metric)
    return max(found, key=lambda main: found[main], default=None)


def grouping(runs: Sequence[FollowedRun], main: Main | None, asked: Asked) -> list[str]:
    """The names that the lanes are grouped by, if no metric has to be read to know them."""
    names = [name for name in asked.several("group") if name != "none"]
    if names or "none" in asked.several("group") or main is None:
        return names
    return [one["name"] for one in _groups(runs, main) if one["default"]]


def _state(rows: Sequence[RunRow], now: float) -> dict[str, Any]:
    counts = state_counts(rows, now)
    last = newest(rows)
    parts = [f"{one.number:,} {one.name}" for one in counts] or ["no runs"]
    parts += [] if last is None else [f"newest {ago(now - last)} ago"]
    found = [
        {
            "kind": one.name.removeprefix("records "),
            "text": f"{one.number:,} {one.name}",
            "where": _ALARMS[one.name],
        }
        for one in alarms(rows, now)
    ]
    return {
        "text": " · ".join(parts),
        "now": now,
        "newest": last,
        "counts": [[one.name, one.number] for one in counts],
        "tones": {one.name: one.tone for one in counts},
        "alarms": found,
    }


def _columns(
    runs: Sequence[FollowedRun],
    main: Main | None,
    keys: Sequence[str],
    others: Sequence[str],
    now: float,
) -> list[_Column]:
    columns = [
        _Column("status", "status", "status", lambda row: row.run.status or None, str),
        _Column("age", "age", "duration", lambda row: row.age(now), ago),
        _Column("progress", "done", "percent", RunRow.progress, lambda v: f"{min(v, 100.0):.0f} %"),
        _Column("done", "updates", "number", lambda row: row.done, lambda v: f"{v:,}"),
        _Column("left", "left", "duration", lambda row: row.left(now), clock),
        _Column("speed", "updates/s", "number", RunRow.speed, _speed),
    ]
    if main is not None:
        columns.append(_Column(main.key, main.key, "number", lambda row: _value(row, main), number))
        if all(row.metric in ("", main.key) for row in (run.row for run in runs)):
            columns.append(_Column("trend", f"{main.key}, whole run", "trend", _none, str))
        columns.append(
            _Column("alive", "lanes", "lanes", lambda row: _lanes(row, main), _lanes_text)
        )
    named = {column.name for column in columns}
    for name in dict.fromkeys((*keys, *others)):
        if name not in named:
            columns.append(_Column(name, name, "text", lambda r, n=name: r.value_of(n, now), _text))
    return columns


def _row(run: FollowedRun, columns: Sequence[_Column], now: float) -> dict[str, Any]:
    row = run.row
    values = [column.value(row) for column in columns]
    texts = [
        "" if value is None else plain(column.text(value))
        for column, value in zip(columns, values, strict=True)
    ]
    return {
        "id": run.id,
        "version": run.stamp,
        "name": plain(row.name),
        "status": row.run.status,
        "tone": "" if not row.run.status else TONES.get(row.run.status, "warn"),
        "cells": [value if isinstance(value, int | float | str) else None for value in values],
        "texts": texts,
        "trend": [point.value for point in row.points],
        "notes": list(_alarms(row, now)),
    }


def _alarms(row: RunRow, now: float) -> Iterable[str]:
    if row.health.diverged is not None:
        dead, lanes = len(row.health.diverged.since), row.health.diverged.lanes
        yield f"diverged: {dead} of {lanes} lanes" if lanes > 1 else "diverged"
    if row.run.error:
        yield f"failed: {row.run.error[:LONGEST]}"
    if row.is_stalled(now) and row.last is not None:
        yield f"stalled: no record for {ago(now - row.last)}"
    if row.health.lost:
        yield f"{counted(row.health.lost, 'record')} lost"


def _groups(runs: Sequence[FollowedRun], main: Main | None) -> list[dict[str, Any]]:
    """The names that lanes can be grouped by, the best first."""
    rows = [run.row for run in runs if run.row.run.status and (not main or main in run.row.keys)]
    labels: dict[str, set[str]] = {}
    for row in rows:
        for name, texts in row.label_texts.items():
            own = labels.setdefault(name, set())
            if len(own) < MOST_VALUES:
                own.update(texts)
    found = [
        {
            "name": name,
            "kind": "config",
            "values": len({row.config_texts.get(name, "null") for row in rows}),
        }
        for name in differing(rows)
        if name not in labels
    ]
    found += [
        {"name": name, "kind": "label", "values": len(values)}
        for name, values in labels.items()
        if len(values) > 1
    ]
    for one in found:
        one["default"] = not is_seed(str(one["name"]))
    has_keys = any(one["kind"] == "config" and one["default"] for one in found)
    by_run = len(rows) > 1 and not has_keys and len({_seeds(row) for row in rows}) == 1
    if len(rows) > 1:
        found.append({"name": RUN, "kind": "run", "values": len(rows), "default": by_run})
    found.sort(key=lambda one: not one["default"])
    lanes = max((row.lanes[1] for row in rows if row.lanes is not None), default=1)
    if lanes > 1:
        found.append({"name": "lane", "kind": "lane", "values": lanes, "default": False})
    found.append({"name": "none", "kind": "none", "values": 1, "default": False})
    return found


def _seeds(row: RunRow) -> tuple[str, ...]:
    """The seeds of a run: runs with the same config and seeds are told apart by their names."""
    own = [f"{name}={text}" for name, text in row.config_texts.items() if is_seed(name)]
    labels = [f"{name}={sorted(t)}" for name, t in row.label_texts.items() if is_seed(name)]
    return *own, *labels


def _value(row: RunRow, main: Main) -> float | None:
    shown = row.shown(main.call, main.key)
    return None if shown is None else shown.middle


def _lanes(row: RunRow, main: Main) -> str | None:
    shown = row.shown(main.call, main.key)
    return None if shown is None else f"{shown.alive}/{shown.logged}"


def _lanes_text(value: str) -> str:
    alive, _, lanes = value.partition("/")
    return lanes if alive == lanes else value


def _none(_: RunRow) -> None:
    return None


def _speed(value: float) -> str:
    return per_second(value).removesuffix(" updates/s")


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    text = value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else ""
    text = text or json_of(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
