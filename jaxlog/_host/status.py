"""The status of a run as another process sees it: by run.json, the lock, and the process."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog import _run_files
from jaxlog._format.run_file import facts_in
from jaxlog._host.directory import RUN_FILE, is_held
from jaxlog._host.processes import runs_since
from jaxlog._store import known

ENDS = ("finished", "failed", "interrupted", "exited", "terminated")
"""The statuses in run.json of a run that was closed."""


class Observed(NamedTuple):
    """The state of a run as another process sees it.

    Attributes:
      data: the content of run.json; empty if it cannot be read.
      facts: the facts in it; empty if there are none.
      status: one of `ENDS`; `running`; `killed`, if the run was not closed and its process is gone;
        `ended`, for an old file that says no more; or `unknown`.
    """

    data: bytes
    facts: dict[str, Any]
    status: str


def facts_of(directory: Path) -> dict[str, Any]:
    """The facts in run.json; empty if the file is missing or cannot be read."""
    return facts_in(_run_file(directory))


def _run_file(directory: Path) -> bytes:
    try:
        # A text, since making a Path takes long where there are thousands of runs.
        return _run_files.read_small(f"{directory}/{RUN_FILE}")
    except OSError:
        return b""


def observe(directory: Path) -> Observed:
    """Reads run.json and finds the run's status."""
    is_live = known.look(directory)
    data = _run_file(directory)
    facts = facts_in(data)
    status = _status_in(facts)
    if is_live is not None and status == "running":  # its lock is in the store
        return Observed(data, facts, "running" if is_live else "killed")
    if status not in ("running", "unknown"):
        return Observed(data, facts, status)
    held = is_held(directory)
    if held:
        return Observed(data, facts, "running")
    # A run writes its status before it unlocks the directory: by now the file has it.
    data = _run_file(directory)
    facts = facts_in(data)
    status = _status_in(facts)
    if status != "running":
        return Observed(data, facts, status)
    if facts.get("host", socket.gethostname()) != socket.gethostname():
        return Observed(data, facts, "unknown")  # locks of another machine may not be visible here
    # Where nothing tells when the process began, it may be the run's.
    alive = held is None and runs_since(facts.get("pid"), facts.get("opened")) is not False
    return Observed(data, facts, "running" if alive else "killed")


def _status_in(facts: Mapping[str, Any]) -> str:
    status = facts.get("status")
    if status == "running" or status in ENDS:
        return status
    if "ended" in facts:
        return "ended"
    return "running" if "pid" in facts else "unknown"
