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
      name: the state: a status, or `stalled`, `diverged` or `records lost`.
      number: how many there are.
      tone: `bad` for what somebody has to look at.
    """

    name: str
    number: int
    tone: Tone


def state_counts(rows: Sequence[RunRow], now: float) -> list[StateCount]:
    """Counts the runs in each state; states without a run are left out.

    A run that has diverged, is stalled or lost records is counted there, too.

    Args:
      rows: the runs.
      now: the current time, in seconds since 1970.
    """
    statuses = Counter(row.run.status for row in rows if row.run.status)
    found = [StateCount("running", statuses.pop("running", 0), "ok")]
    found.append(StateCount("stalled", sum(row.is_stalled(now) for row in rows), "bad"))
    diverged = sum(row.health.diverged is not None for row in rows)
    found.append(StateCount("diverged", diverged, "bad"))
    found += [StateCount(status, statuses.pop(status, 0), "bad") for status in ("failed", "killed")]
    found.append(StateCount("records lost", sum(row.health.lost for row in rows), "bad"))
    found.append(StateCount("finished", statuses.pop("finished", 0), "ok"))
    found += [StateCount(status, count, "warn") for status, count in sorted(statuses.items())]
    return [one for one in found if one.number]


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
