"""The format's number and the fields of run.json whose names changed, for every reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 1
"""What `run.json` has under `format`. Files of jaxlog 0.1 have none, and are read as well.

It grows when a reader of before would read something wrong; a new field alone does not change it.
"""


def total_updates(facts: Mapping[str, Any]) -> int | None:
    """The number of updates that a run makes, from its run.json; None where it does not say so.

    Files written before 0.2 have it under `total_steps`.

    >>> total_updates({"total_updates": 300}), total_updates({"total_steps": 300})
    (300, 300)
    """
    total = facts.get("total_updates", facts.get("total_steps"))
    known = isinstance(total, int) and not isinstance(total, bool) and total > 0
    return total if known else None


def newer_format(facts: Mapping[str, Any]) -> str:
    """What to say about files whose format is newer than this jaxlog; empty where it is not.

    >>> newer_format({"format": 1}), newer_format({})
    ('', '')
    """
    found = facts.get("format", FORMAT)
    if isinstance(found, int) and not isinstance(found, bool) and found <= FORMAT:
        return ""
    return (
        f"the run's files have format {found!r:.40}, and this jaxlog reads up to {FORMAT}: what is "
        "new there is not shown, or shown wrong; update jaxlog (pip install -U jaxlog)"
    )
