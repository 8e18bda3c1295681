"""The state of a run as another process observes it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._format.health import Health, Tally, health_of
from jaxlog._format.run_file import total_updates
from jaxlog._host.annotations import NONE, Annotations, annotations_of
from jaxlog._host.status import observe
from jaxlog._terminal import plain


class ObservedRun(NamedTuple):
    """A run, with its state at the time of a look.

    Attributes:
      path: its directory.
      facts: the content of run.json; empty if it cannot be read.
      status: its status, from `_host.status.observe`.
      annotations: the tags, the note and the name that its user gave it after it began.
    """

    path: Path
    facts: dict[str, Any]
    status: str
    annotations: Annotations = NONE

    @property
    def name(self) -> str:
        """The name of the run: the user's, or else that in run.json or of its directory."""
        return self.given_name or plain(self.path.resolve().name)

    @property
    def given_name(self) -> str:
        """The name that a user has given the run; empty if it has that of its directory.

        A run without a name of its own has in run.json that of the directory in which it began. If
        the directory is moved, its name is the new one.
        """
        if self.annotations.name:
            return plain(self.annotations.name)
        name, began_in = self.facts.get("name"), self.facts.get("directory")
        of_directory = isinstance(began_in, str) and Path(began_in).name == name
        if not name or of_directory or name == self.path.name:
            return ""
        return plain(str(name))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the run: those that it began with, and those added since."""
        return self.annotations.tags_with(self.listed("tags"))

    @property
    def note(self) -> str:
        """The note of the user; empty if there is none."""
        return self.annotations.note

    @property
    def may_log_more(self) -> bool:
        """True if the run is live, or may be live on another machine."""
        return self.status == "running" or (self.status == "unknown" and "host" in self.facts)

    @property
    def status_text(self) -> str:
        """The status in words."""
        match self.status:
            case "running" if "pid" in self.facts:
                host = plain(str(self.facts.get("host", "this machine")))
                return f"running · process {plain(str(self.facts['pid']))} on {host}"
            case "killed":
                return "killed: its process is gone and did not close the run"
            case "unknown" if "host" in self.facts:
                host = plain(str(self.facts["host"]))
                return (
                    f"unknown: the run started on {host}; check there whether its process is alive"
                )
            case "unknown":
                return "unknown: run.json is missing, or does not have the status"
            case status:
                return status

    @property
    def error(self) -> str:
        """The error that ended a failed or killed run; empty for others, such as after Ctrl-C."""
        found = self.facts.get("error") if self.status in ("failed", "killed") else None
        return plain(str(found)) if found else ""

    def listed(self, key: str) -> list[Any]:
        """A list in run.json; empty if it has none under that key."""
        found = self.facts.get(key)
        return found if isinstance(found, list) else []

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """The account of each sink (records written and lost), which a run saves at its end."""
        keys = {"kind": str, "written": int, "lost": int}
        return [
            account | {"failure": account.get("failure")}
            for account in self.listed("sinks")
            if isinstance(account, dict)
            and all(isinstance(account.get(key), kind) for key, kind in keys.items())
        ]

    @property
    def accounts_with_loss(self) -> list[dict[str, Any]]:
        """The accounts of the sinks that lost records."""
        return [account for account in self.accounts if account["lost"]]

    def health(self, done: int | None = None, tally: Tally | None = None) -> Health:
        """Judges what the run logged: diverged lanes, missing updates, lost records.

        Args:
          done: the number of updates in its lines; None uses the number in run.json.
          tally: the values in its lines that are not finite; None uses those in run.json.
        """
        return health_of(self.facts, self.status, done, tally)

    @property
    def started(self) -> float | None:
        """When the run was started, or last resumed, in seconds since 1970."""
        return time_of(self.facts, "started")

    @property
    def ended(self) -> float | None:
        """When the run ended, in seconds since 1970; None if it is live or did not say."""
        return None if self.status == "running" else time_of(self.facts, "ended")

    @property
    def total_updates(self) -> int | None:
        """The number of updates the run makes in all, if known."""
        return total_updates(self.facts)


def time_of(facts: dict[str, Any], key: str) -> float | None:
    """Reads a time from run.json, in seconds since 1970; None if there is none."""
    try:
        seconds = datetime.fromisoformat(facts[key]).timestamp()
        datetime.fromtimestamp(seconds).astimezone()  # raises for years at the ends of the calendar
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return seconds


def observed(path: Path) -> ObservedRun:
    """Reads the state of the run in a directory."""
    _, facts, status = observe(path)
    return ObservedRun(path, facts, status, annotations_of(path, facts.get("id")))
