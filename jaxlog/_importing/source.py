"""A run in the files of another tracker, as its reader hands it on to be written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jaxlog._format.events import MetricsEvent
from jaxlog._format.imported import numbers_of
from jaxlog._text import counted

SourceKind = Literal["wandb", "tensorboard", "csv"]
"""The kinds of files that are brought in."""

LATEST = 1e11
"""The latest time that is taken for one, in seconds since 1970; some are in milliseconds."""
CALL = "history"
"""The call whose lines have the metrics of a source that knows no calls."""


@dataclass(frozen=True)
class ImportOptions:
    """The choices for an import.

    Attributes:
      call: the name of the call that the metrics get.
      step: the column of the step in a CSV file; None for one of the usual names.
      time: the column of the time in a CSV file; None for one of the usual names, if there is one.
      labels: the columns of a CSV file that tell its lanes apart.
      leave_out: the columns of a CSV file that are not brought in.
    """

    call: str = CALL
    step: str | None = None
    time: str | None = None
    labels: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()


@dataclass
class SourceRun:
    """A run in the files of another tracker.

    Attributes:
      kind: the kind of the files.
      key: what identifies the run when it is imported again.
      files: the files that it was read from.
      digest: the `digest_of` the files, from before they were read.
      name: its name.
      events: yields its events in the order of their lines. It may add to `left_out`.
      config: its hyper-parameters.
      tags: its tags.
      note: its note; empty for none.
      status: its status, as in run.json; None if the source does not say.
      error: the error that ended it, if the source says one.
      started: when it began, in seconds since 1970; None for the time of its first event.
      ended: when it ended; None for the time of its last event.
      host: the machine that it ran on; None if it is not known.
      git: the commit of its program; None if it is not known.
      details: more facts of the tracker about it, such as its project.
      cut: for each file that ends within a record, where, in words.
      left_out: the numbers of things that could not be brought in, by what they are.
    """

    kind: SourceKind
    key: str
    files: Sequence[Path]
    digest: str
    name: str
    events: Callable[[], Iterator[MetricsEvent]]
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    note: str = ""
    status: str | None = None
    error: str | None = None
    started: float | None = None
    ended: float | None = None
    host: str | None = None
    git: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    cut: Sequence[str] = ()
    left_out: Counter[str] = field(default_factory=Counter)


def time_of(value: Any) -> float | None:
    """A time in seconds since 1970; None for a value that is none, or one that no calendar has."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        return None
    return float(value)


def digest_of(files: Sequence[Path]) -> str:
    """A digest of some files.

    It is computed before they are read, as they may grow meanwhile: the next import then finds
    another one.
    """
    found = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256")
        found.update(f"{path.name}\0{own.hexdigest()}\0".encode())
    return found.hexdigest()


_STATES = {
    "new": "{lines} from {kind}",
    "replaced": "{lines} from {kind}, in place of the earlier ones",
    "same": "{kind}, unchanged since it was imported",
}


@dataclass(frozen=True)
class ImportedRun:
    """The outcome of importing one run; its text says all of it.

    Attributes:
      path: the directory of the run.
      kind: `wandb`, `tensorboard` or `csv`.
      files: the files that it was read from.
      state: `new`; `replaced`, if it was imported before and the files have changed since; or
        `same`, if they have not, and nothing was done.
      lines: the number of its lines with metrics, one for each step and lane.
      left_out: the number of things that could not be brought in, by what they are.
      cut: for each file that ends within a record, where, in words. The records before are there.
    """

    path: Path
    kind: SourceKind
    files: tuple[Path, ...]
    state: str
    lines: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    cut: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The run, its lines, and what was left out."""
        done = _STATES[self.state].format(lines=counted(self.lines, "line"), kind=self.kind)
        parts = [f"{self.path}: {done}", *self.cut]
        if self.left_out:
            parts.append(in_words(self.left_out))
        return "; ".join(parts)


def in_words(left_out: Mapping[str, int]) -> str:
    """Says in a text what could not be brought in.

    >>> in_words({"texts": 3, "films": 1})
    'left out: 3 texts, 1 film'
    """
    return f"left out: {numbers_of(left_out)}"
