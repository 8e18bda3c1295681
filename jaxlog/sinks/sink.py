"""The protocol of a sink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)


class SinkSettings(BaseModel, frozen=True, extra="forbid", strict=True):
    """The settings of one sink; its `kind` says of which."""

    kind: str


class Sink:
    """Writes a run's events somewhere. What a sink does not override, it does not support.

    Every method but `check` is called from one thread, the sink's own. What one raises never
    reaches the training: it is tried again, and a sink that keeps failing is switched off. So a
    method that writes should write all of its event or nothing.

    Attributes:
      Settings: the model of its settings, for a sink that is chosen by its kind. An object that is
        given to `Logger` needs none.
      needs_directory: whether a run has to have a directory.
      close_timeout: how many seconds it may take to finish, where that is longer than usual.
    """

    Settings: ClassVar[type[SinkSettings]]
    needs_directory: ClassVar[bool] = False
    close_timeout: ClassVar[float | None] = None

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    def check(self, run: RunInfo) -> None:
        """Called first, while the user opens the run: what it raises reaches the user.

        For what the user has to mend: a package that is not installed, files of another run.
        """

    def open(self, run: RunInfo) -> None:
        """Called once, before any event. Training waits for it."""

    def write_metrics(self, event: MetricsEvent) -> None:
        """Called for the aggregates and scalars of each step."""

    def write_episode(self, event: EpisodeEvent) -> None:
        """Called for each sampled episode, and for those of a single environment."""

    def write_task(self, event: TaskEvent) -> None:
        """Called when a single environment begins a task."""

    def write_step(self, event: StepEvent) -> None:
        """Called for each step of a single environment."""

    def write_evaluation(self, event: EvaluationEvent) -> None:
        """Called for the summary of an evaluation."""

    def flush(self) -> None:
        """Called after some events; what it has made lasting counts as written.

        An event may be kept until then. After a flush that raised it is called again.
        """

    def pending(self) -> int | None:
        """How many records it was given and has not made lasting: asked after a flush that raised.

        What is not among them counts as written. None, which a sink says unless it knows: all that
        it was given since the last flush that did not raise.
        """
        return None

    def position(self) -> Mapping[str, int]:
        """How far it is: called after a flush, when the user takes the run's state.

        A run that goes on from that state gives it to `open`, as `run.position`; what the sink has
        written after it is then to be dropped.
        """
        return {}

    def close(self) -> None:
        """Called once, at the end of the run or when the sink is switched off; it flushes too."""


class ObjectSettings(SinkSettings, frozen=True, arbitrary_types_allowed=True):
    """A sink that was given as an object; what writes settings out names it by its kind alone."""

    sink: Sink = Field(exclude=True, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectSettings) and other.sink is self.sink

    def __hash__(self) -> int:
        return id(self.sink)


def kind_of(sink: Sink) -> str:
    """The kind of a sink: what its settings say, else the name of its class."""
    settings = getattr(sink, "settings", None)  # an object may not have called Sink.__init__
    return settings.kind if isinstance(settings, SinkSettings) else type(sink).__name__
