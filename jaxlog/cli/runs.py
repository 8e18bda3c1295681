"""The runs that a path names, and what is near where it names none."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog.cli import lines
from jaxlog.cli.errors import CommandError
from jaxlog.host.directory import RUN_FILE
from jaxlog.host.status import facts_of, observe

DEPTH = 2
"""How deep below a directory runs are looked for: `runs/cartpole`, and `runs/sweep/0`."""


class Found(NamedTuple):
    """A run, as it is now.

    Attributes:
      path: its directory.
      facts: what run.json says; empty where there is none.
      status: as `host.status.observe` tells it.
    """

    path: Path
    facts: dict[str, Any]
    status: str

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.facts.get("name") or self.path.resolve().name)

    @property
    def goes_on(self) -> bool:
        """Whether more may come; of a run on another machine, nothing may tell."""
        return self.status == "running" or (self.status == "unknown" and bool(self.facts))

    @property
    def said(self) -> str:
        """How it is, in words."""
        match self.status:
            case "running" if "pid" in self.facts:
                host = self.facts.get("host", "this machine")
                return f"running · process {self.facts['pid']} on {host}"
            case "killed":
                return "killed: its process is gone, and has not closed the run"
            case "unknown" if self.facts:
                return f"running, or killed: {self.facts.get('host')} knows, and this machine not"
            case "unknown":
                return "unknown: there is no run.json that can be read"
            case status:
                return status

    @property
    def lossy(self) -> list[dict[str, Any]]:
        """What the run says at its end of the sinks that lost something, as `facts.loss` takes."""
        accounts = self.facts.get("sinks") or ()
        return [a for a in accounts if isinstance(a, dict) and a.get("lost")]

    @property
    def started(self) -> float | None:
        """When it began, or went on last, in seconds since 1970."""
        return time_of(self.facts, "started")

    @property
    def ended(self) -> float | None:
        """When it ended; None where it has not, or nothing tells."""
        return None if self.status == "running" else time_of(self.facts, "ended")

    @property
    def total_steps(self) -> int | None:
        """How many updates it makes in all, where known."""
        total = self.facts.get("total_steps")
        return total if isinstance(total, int) and total > 0 else None


def time_of(facts: dict[str, Any], key: str) -> float | None:
    """A time of run.json, in seconds since 1970."""
    try:
        return datetime.fromisoformat(facts[key]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def is_run(path: Path) -> bool:
    """Whether a directory is that of a run; one whose run.json is lost still has its lines.

    Raises:
      OSError: it cannot be read.
    """
    return (path / RUN_FILE).is_file() or (path.is_dir() and bool(lines.files(path)))


def observed(path: Path) -> Found:
    """The run in a directory."""
    return Found(path, *observe(path))


def below(path: Path) -> list[Path]:
    """The runs in a directory that is none itself, that which began last first."""
    found = list(_below(path, DEPTH))
    return sorted(found, key=_began, reverse=True)


def _below(path: Path, depth: int) -> Iterator[Path]:
    try:
        inner = [entry for entry in path.iterdir() if entry.is_dir()]
    except OSError:  # of somebody else's
        return
    for entry in inner:
        if entry.name.startswith("."):
            continue
        try:
            found = is_run(entry)
        except OSError:
            continue
        if found:
            yield entry
        elif depth > 1:
            yield from _below(entry, depth - 1)


def _began(path: Path) -> float:
    began = time_of(facts_of(path), "started")
    return path.stat().st_mtime if began is None else began


def one(path: Path) -> Path:
    """The run that a path names: the one in that directory, or else the newest below it.

    Raises:
      CommandError: there is none.
      OSError: the directory cannot be read.
    """
    if is_run(path):
        return path
    found = below(path)
    if not found:
        raise no_run(path)
    return found[0]


def no_run(path: Path) -> CommandError:
    """What to say of a path that names no run: what there is in its place."""
    if path.is_dir():
        said = f"{path}: no run is there: neither {RUN_FILE} nor lines of one"
    elif path.exists():
        inside = is_run(path.parent)
        said = f"{path}: is a file; give the directory of a run"
        return CommandError(f"{said}: {path.parent}" if inside else said)
    else:
        said = f"{path}: there is no such directory"
    near = _near(path)
    return CommandError(f"{said}; did you mean {near}?" if near else f"{said}; nor is a run near")


def _near(path: Path) -> Path | None:
    """A run with such a name, or the newest, where the path points to or else in `runs`."""
    for place in dict.fromkeys((path.parent, Path("runs"))):
        runs = below(place) if place.is_dir() else []
        names = [run.name for run in runs]
        close = difflib.get_close_matches(path.name, names, n=1)
        if close:
            return runs[names.index(close[0])]
        beginning = [run for run in runs if path.name and run.name.startswith(path.name)]
        if beginning:
            return beginning[0]
    return None
