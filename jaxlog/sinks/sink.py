"""The base classes of sinks and of their settings."""

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
    """The base class of a sink's settings; `kind` names the sink."""

    kind: str


class Sink:
    """The base class of sinks, which write the events of a run. Every method does nothing.

    All methods except `check` are called on one thread, the sink's own. An exception never reaches
    the training: the call is tried again, and a sink that keeps failing is switched off. A method
    that writes should therefore write either all of its event or nothing.

    Attributes:
      Settings: the model of its settings, for a sink that settings choose by its kind. A sink
        object that is passed to `Logger` needs none.
      needs_directory: True if the run must have a directory.
      close_timeout: how many seconds `close` may take, if it needs longer than other sinks.
      linger: how many seconds records may wait for others that are written together with them;
        None for 0.05 s.
      keeps_flushed: False if what was flushed may still be lost when the process is killed.
    """

    Settings: ClassVar[type[SinkSettings]]
    needs_directory: ClassVar[bool] = False
    close_timeout: ClassVar[float | None] = None
    linger: ClassVar[float | None] = None
    keeps_flushed: ClassVar[bool] = True

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    def check(self, run: RunInfo) -> None:
        """Called first, on the thread that opens the run; its exceptions reach the user.

        Raise an error here for anything that the user has to fix, such as a package that is not
        installed or files of another run.
        """

    def open(self, run: RunInfo) -> None:
        """Called once, before any event, while `Logger.open` waits."""

    def write_metrics(self, event: MetricsEvent) -> None:
        """Called for the statistics and scalars of each step."""

    def write_episode(self, event: EpisodeEvent) -> None:
        """Called for each sampled episode, and for each episode of a single environment."""

    def write_task(self, event: TaskEvent) -> None:
        """Called for each task that a single environment starts."""

    def write_step(self, event: StepEvent) -> None:
        """Called for each step of a single environment."""

    def write_evaluation(self, event: EvaluationEvent) -> None:
        """Called for each summary of an evaluation."""

    def flush(self) -> None:
        """Called after some events: saves all events that the sink still buffers.

        Records count as written once this returns. If it raises, it is called again.
        """

    def pending(self) -> int | None:
        """Returns the number of records that are not saved yet; called after a flush that raised.

        The other records count as written. None means that the sink does not know: then all
        records since the last successful flush count as not written.
        """
        return None

    def position(self) -> Mapping[str, int]:
        """Returns how far the sink has written; called after a flush, by `Run.state`.

        A run that resumes from that state passes it to `open` as `run.position`; the sink then has
        to drop everything that it wrote later.
        """
        return {}

    def file_counts(self) -> Mapping[str, Mapping[str, int]]:
        """Returns counts of what is in each file of the sink, for run.json; called after `close`.

        Readers compare them with the files, which may have been cut since.
        """
        return {}

    def close(self) -> None:
        """Called once, at the end of the run or when the sink is switched off; has to flush."""


class ObjectSettings(SinkSettings, frozen=True, arbitrary_types_allowed=True):
    """The settings of a sink that was passed as an object; serialized as its kind only."""

    sink: Sink = Field(exclude=True, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectSettings) and other.sink is self.sink

    def __hash__(self) -> int:
        return id(self.sink)


def kind_of(sink: Sink) -> str:
    """The kind of a sink: that of its settings, else the name of its class."""
    settings = getattr(sink, "settings", None)  # an object may not have called Sink.__init__
    return settings.kind if isinstance(settings, SinkSettings) else type(sink).__name__
