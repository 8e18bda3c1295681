"""The format's number, and what a reader says of files that have a newer one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 1
"""What `run.json` has under `format`. Files of jaxlog 0.1 have none, and are read as well.

It grows when a reader of before would read something wrong; a new field alone does not change it.
"""


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
