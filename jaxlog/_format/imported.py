"""The field `imported` of run.json: the files of another tracker that a run was made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jaxlog._text import counted

IMPORTED = "imported"
"""The key of run.json under which the source of the run is."""


def source_of(facts: Mapping[str, Any]) -> str:
    """The kind and the files of the source of a run, from its run.json; empty if it has none.

    >>> source_of({"imported": {"from": "csv", "files": ["/a.csv", "/b.csv"], "time": "2026"}})
    'from csv · /a.csv and 1 more · at 2026'
    """
    found = _imported(facts)
    parts = [f"from {kind}"] if isinstance(kind := found.get("from"), str) else []
    if isinstance(files := found.get("files"), list) and files:
        parts.append(f"{files[0]}" + (f" and {len(files) - 1:,} more" if len(files) > 1 else ""))
    if isinstance(time := found.get("time"), str):
        parts.append(f"at {time}")
    return " · ".join(parts)


def left_out_of(facts: Mapping[str, Any]) -> str:
    """The things of its source that a run does not have, from its run.json; empty if none.

    >>> left_out_of({"imported": {"left_out": {"texts": 3}}})
    '3 texts'
    """
    found = _imported(facts).get("left_out")
    return numbers_of(found) if isinstance(found, Mapping) else ""


def cut_of(facts: Mapping[str, Any]) -> str:
    """The places where the source of a run ends within a record; empty if it does nowhere."""
    found = _imported(facts).get("cut")
    return " · ".join(map(str, found)) if isinstance(found, list) else ""


def numbers_of(things: Mapping[str, Any]) -> str:
    """Lists numbers of things, whose names are in the plural.

    >>> numbers_of({"texts": 3000, "copies of a file": 1, "3D objects": 1})
    '3,000 texts, 1 copy of a file, 1 3D object'
    """
    return ", ".join(
        counted(n, _singular(what), what) if isinstance(n, int) else f"{n} {what}"
        for what, n in things.items()
    )


def _singular(things: str) -> str:
    return re.sub(r"ies\b|s\b", lambda end: "y" if end[0] == "ies" else "", things, count=1)


def _imported(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    found = facts.get(IMPORTED)
    return found if isinstance(found, Mapping) else {}
