"""The number of the format, and the fields of run.json that have former names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 1
"""The field `format` of `run.json`. Files of jaxlog 0.1 have no such field, and can be read too.

It increases when older readers would misread a file; a new field alone does not change it.
"""


def total_updates(facts: Mapping[str, Any]) -> int | None:
    """The number of updates of a run, from its run.json; None if it is not known.

    Files written before 0.2 have it as `total_steps`.

    >>> total_updates({"total_updates": 300}), total_updates({"total_steps": 300})
    (300, 300)
    """
    total = facts.get("total_updates", facts.get("total_steps"))
    known = isinstance(total, int) and not isinstance(total, bool) and total > 0
    return total if known else None


def newer_format(facts: Mapping[str, Any]) -> str:
    """A warning about files whose format is newer than this jaxlog; empty if it is not.

    >>> newer_format({"format": 1}), newer_format({})
    ('', '')
    """
    found = facts.get("format", FORMAT)
    if isinstance(found, int) and not isinstance(found, bool) and found <= FORMAT:
        return ""
    return (
        f"the run's files have format {found!r:.40}, and this jaxlog reads up to {FORMAT}: new "
        "fields are not shown, or shown wrong; update jaxlog (pip install -U jaxlog)"
    )
