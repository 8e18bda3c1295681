"""The runs that a path names, as they are now."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._format.health import Health, Tally, health_of
from jaxlog._format.run_file import total_updates
from jaxlog._host.status import facts_of, observe
from jaxlog._reading.finding import below, check_run, is_run
from jaxlog.sinks.console.values import plain

DIRECTORY = Path("runs")
"""Commands look here, unless another directory is given."""


class ObservedRun(NamedTuple):
    """A run, as it is now.

    Attributes:
      path: its directory.
      facts: what run.json says; empty where there is none.
      status: as `_host.status.observe` tells it.
    """

    path: Path
    facts: dict[str, Any]
    status: str

    @property
    def name(self) -> str:
        """What it is called."""
        return plain(str(self.facts.get("name") or self.path.resolve().name))

    @property
    def goes_on(self) -> bool:
        """Whether more may come; of a run on another machine, nothing may tell."""
        return self.status == "running" or (self.status == "unknown" and "host" in self.facts)

    @property
    def said(self) -> str:
        """How it is, in words."""
        match self.status:
            case "running" if "pid" in self.facts:
                host = plain(str(self.facts.get("host", "this machine")))
                return f"running · process {plain(str(self.facts['pid']))} on {host}"
            case "killed":
                return "killed: its process is gone, and has not closed the run"
            case "unknown" if "host" in self.facts:
                host = plain(str(self.facts["host"]))
                return f"running, or killed: {host} knows, and this machine not"
            case "unknown":
                return "unknown: there is no run.json that tells"
            case status:
                return status

    @property
    def error(self) -> str:
        """What made it fail; empty where nothing did: Ctrl-C is no error."""
        found = self.facts.get("error") if self.status == "failed" else None
        return plain(str(found)) if found else ""

    def listed(self, key: str) -> list[Any]:
        """A list of run.json's; empty where it has none."""
        found = self.facts.get(key)
        return found if isinstance(found, list) else []

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """What became of each sink's records, as the run says at its end."""
        keys = {"kind": str, "written": int, "lost": int}
        return [
            account | {"failure": account.get("failure")}
            for account in self.listed("sinks")
            if isinstance(account, dict)
            and all(isinstance(account.get(key), kind) for key, kind in keys.items())
        ]

    @property
    def lossy(self) -> list[dict[str, Any]]:
        """The accounts of those that lost something."""
        return [account for account in self.accounts if account["lost"]]

    def health(self, done: int | None = None, tally: Tally | None = None) -> Health:
        """Whether what it logged is sound.

        Args:
          done: how many updates its lines have; None takes what run.json says.
          tally: what is not finite in its lines; None takes what run.json says.
        """
        return health_of(self.facts, self.status, done, tally)

    @property
    def started(self) -> float | None:
        """When it began, or went on last, in seconds since 1970."""
        return time_of(self.facts, "started")

    @property
    def ended(self) -> float | None:
        """When it ended; None where it has not, or nothing tells."""
        return None if self.status == "running" else time_of(self.facts, "ended")

    @property
    def total_updates(self) -> int | None:
        """How many updates it makes in all, where known."""
        return total_updates(self.facts)


def time_of(facts: dict[str, Any], key: str) -> float | None:
    """A time of run.json, in seconds since 1970."""
    try:
        seconds = datetime.fromisoformat(facts[key]).timestamp()
        datetime.fromtimestamp(seconds).astimezone()  # years at the ends of the calendar it refuses
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return seconds


def observed(path: Path) -> ObservedRun:
    """The run in a directory."""
    return ObservedRun(path, *observe(path))


def named(path: Path) -> list[Path]:
    """The run in a directory; else the runs below it, that which began last first.

    Raises:
      OSError: there is none, or the directory cannot be read.
    """
    if is_run(path):
        return [path]
    found = sorted(below(path), key=_began, reverse=True)
    if not found:
        check_run(path)
    return found


def _began(path: Path) -> float:
    began = time_of(facts_of(path), "started")
    return path.stat().st_mtime if began is None else began
