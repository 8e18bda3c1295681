"""The number of the format, and the facts of run.json, some of which have former names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxlog._format.nonfinite import with_nonfinite
from jaxlog._run_files import loads

FORMAT = 1
"""The field `format` of `run.json`. Files of jaxlog 0.1 have no such field, and can be read too.

It increases when older readers would misread something that they know; a new field alone does not
change it. docs/format.md says what counts.
"""


def facts_in(data: bytes) -> dict[str, Any]:
    """The facts in the content of run.json; empty if it is not valid."""
    try:
        found = loads(data)
    except ValueError:
        return {}
    return with_nonfinite(found, found.get("nonfinite")) if isinstance(found, dict) else {}


def total_updates(facts: Mapping[str, Any]) -> int | None:
    """The number of updates of a run, from its run.json; None if it is not known.

    If the logger was not given it, and every call was, it is the largest of theirs. Files written
    before 0.2 have it as `total_steps`.

    >>> total_updates({"total_updates": 300}), total_updates({"total_steps": 300})
    (300, 300)
    """
    given = _total(facts, "total_updates", "total_steps")
    if given is not None:
        return given
    calls = facts.get("calls")
    names = list(calls) if isinstance(calls, Mapping) else []
    own = [total for name in names if (total := own_total(facts, name)) is not None]
    return max(own) if own and len(own) == len(names) else None


def total_of_call(facts: Mapping[str, Any], call: str) -> int | None:
    """The number of updates that one call of a run logs; None if it is not known.

    >>> total_of_call({"total_updates": 300, "calls": {"eval": {"total_updates": 30}}}, "eval")
    30
    """
    return own_total(facts, call) or _total(facts, "total_updates", "total_steps")


def own_total(facts: Mapping[str, Any], call: str) -> int | None:
    """The number of updates that one call was given; None if it was not."""
    calls = facts.get("calls")
    described = calls.get(call) if isinstance(calls, Mapping) else None
    return _total(described, "total_updates") if isinstance(described, Mapping) else None


def counts_updates_of_run(facts: Mapping[str, Any], call: str) -> bool:
    """False if a call counts other updates than the run, because its total is another."""
    return own_total(facts, call) in (None, total_updates(facts))


def _total(facts: Mapping[str, Any], *keys: str) -> int | None:
    total = next((facts[key] for key in keys if key in facts), None)
    known = isinstance(total, int) and not isinstance(total, bool) and total > 0
    return total if known else None


def id_of(facts: Mapping[str, Any]) -> str | None:
    """The id of a run, from its run.json; None if it is not known."""
    found = facts.get("id")
    return found if isinstance(found, str) else None


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
