"""The state of several runs: how many there are in each state, and where their configs differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from jaxlog._watching.run_row import RunRow

Tone = Literal["ok", "bad", "warn"]
"""`ok` for a run that is live or has finished; `warn` if the user or the system ended it."""
TONES: dict[str, Tone] = {"running": "ok", "finished": "ok", "failed": "bad", "killed": "bad"}
"""The tone of each status; that of the others is `warn`."""


class StateCount(NamedTuple):
    """The number of runs in a state, or of records lost.

    Attributes:
      name: the state: a status, `diverged` or `stalled`; or `records lost`.
      number: how many there are.
      tone: `bad` for what somebody has to look at.
    """

    name: str
    number: int
    tone: Tone


def state_counts(rows: Sequence[RunRow], now: float) -> list[StateCount]:
    """Counts the runs in each state; states without a run are left out.

    Each run that was looked at is counted once: as diverged if it has diverged, whatever its
    status; else as stalled if it is; else by its status.

    Args:
      rows: the runs.
      now: the current time, in seconds since 1970.
    """
    found = Counter(_state_of(row, now) for row in rows if row.run.status)
    order = ("running", "stalled", "diverged", "failed", "killed", "finished")
    names = [*order, *sorted(found.keys() - set(order))]
    return [StateCount(name, found[name], _tone(name)) for name in names if found[name]]


def alarms(rows: Sequence[RunRow], now: float) -> list[StateCount]:
    """Counts what somebody has to look at; a run that failed and has diverged is counted twice."""
    statuses = Counter(row.run.status for row in rows)
    diverged = sum(row.health.diverged is not None for row in rows)
    found = [
        StateCount("stalled", sum(row.is_stalled(now) for row in rows), "bad"),
        StateCount("diverged", diverged, "bad"),
        StateCount("failed", statuses["failed"], "bad"),
        StateCount("killed", statuses["killed"], "bad"),
        records_lost(rows),
    ]
    return [one for one in found if one.number]


def records_lost(rows: Sequence[RunRow]) -> StateCount:
    """Counts the records that the runs lost."""
    return StateCount("records lost", sum(row.health.lost for row in rows), "bad")


def _state_of(row: RunRow, now: float) -> str:
    if row.health.diverged is not None:
        return "diverged"
    return "stalled" if row.is_stalled(now) else row.run.status


def _tone(name: str) -> Tone:
    return "bad" if name in ("diverged", "stalled") else TONES.get(name, "warn")


def newest(rows: Iterable[RunRow]) -> float | None:
    """The time of the last record of all runs, in seconds since 1970; None if there is none."""
    return max((row.last for row in rows if row.last is not None), default=None)


def differing(rows: Iterable[RunRow]) -> list[str]:
    """The dotted names in the config whose values differ between the runs, in their order."""
    found: dict[str, set[str]] = {}
    for number, row in enumerate(rows):
        for name, text in row.config_texts.items():
            own = found.get(name)
            if own is None:
                own = found[name] = {"null"} if number else set()
            own.add(text)
        if len(row.config_texts) < len(found):
            for name in found.keys() - row.config_texts.keys():
                found[name].add("null")
    return [name for name, texts in found.items() if len(texts) > 1]
