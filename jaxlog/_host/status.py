"""How a run is, as another process can tell: from run.json, the lock, and the process itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlog import _run_files
from jaxlog._format.nonfinite import with_nonfinite
from jaxlog._host.directory import RUN_FILE, is_held

ENDS = ("finished", "failed", "interrupted", "exited", "terminated")
"""What run.json says of a run that has closed its files."""


def facts_of(directory: Path) -> dict[str, Any]:
    """What run.json says; nothing where there is none, or none that can be read."""
    try:
        found = _run_files.loads(_run_files.read_small(directory / RUN_FILE))
    except (OSError, ValueError):
        return {}
    return with_nonfinite(found, found.get("nonfinite")) if isinstance(found, dict) else {}


def observe(directory: Path) -> tuple[dict[str, Any], str]:
    """What run.json says, and how the run is.

    Returns:
      Its facts, and its status: one of `ENDS`; `running`; `killed`, where it is neither closed nor
      alive; `ended`, of an old file, that says no more; `unknown`, where nothing tells.
    """
    facts = facts_of(directory)
    said = _said(facts)
    if said not in ("running", "unknown"):
        return facts, said
    held = is_held(directory)
    if held:
        return facts, "running"
    # A run says how it ended, and lets go then: read once more, it has said so by now.
    facts = facts_of(directory)
    said = _said(facts)
    if said != "running":
        return facts, said
    if facts.get("host", socket.gethostname()) != socket.gethostname():
        return facts, "unknown"  # a lock of another machine may not be seen here
    alive = held is None and _is_alive(facts.get("pid"))
    return facts, "running" if alive else "killed"


def _said(facts: Mapping[str, Any]) -> str:
    status = facts.get("status")
    if status == "running" or status in ENDS:
        return status
    if "ended" in facts:
        return "ended"
    return "running" if "pid" in facts else "unknown"


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int) or not 0 < pid < 2**31:
        return False
    if os.name != "posix":  # there `os.kill` does not ask
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:  # of another user
        return True
    except OSError:
        return False
    return True
