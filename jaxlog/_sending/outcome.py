"""The trackers that a run can be sent to, and the outcome of sending it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxlog._text import counted

Tracker = Literal["wandb", "tensorboard", "trackio", "mlflow"]
"""The kinds of sinks that a run can be sent to."""


@dataclass(frozen=True)
class SentRun:
    """The outcome of sending a run.

    Attributes:
      path: the directory of the run.
      tracker: the kind of the sink.
      events: the number of events that were sent now: a step of a call, an episode, and so on.
      before: the number of those that were sent before.
      growing: True if the run may log more.
    """

    path: Path
    tracker: str
    events: int
    before: int
    growing: bool

    def __str__(self) -> str:
        """The number of events, and whether more may come."""
        new = counted(self.events, "new event" if self.before else "event")
        more = "; it may log more, which the next sync sends" if self.growing else ""
        return f"{self.path}: sent {new} to {self.tracker}{more}"
