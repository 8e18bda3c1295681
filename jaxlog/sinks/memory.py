"""The sink `memory`, which keeps events in lists, for notebooks and tests."""

from __future__ import annotations

from typing import Any, Literal

from jaxlog._format.events import EpisodeEvent, EvaluationEvent, MetricsEvent, StepEvent, TaskEvent
from jaxlog.sinks.sink import Sink, SinkSettings


class MemorySettings(SinkSettings, frozen=True):
    """Keeps events in memory, as `run.sink("memory").metrics`, `.episodes` and so on."""

    kind: Literal["memory"] = "memory"


class MemorySink(Sink):
    """Keeps every event, in the order of arrival.

    Attributes:
      metrics: the `MetricsEvent`s.
      episodes: the `EpisodeEvent`s.
      tasks: the `TaskEvent`s.
      steps: the `StepEvent`s.
      evaluations: the `EvaluationEvent`s.
    """

    Settings = MemorySettings

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.metrics: list[MetricsEvent] = []
        self.episodes: list[EpisodeEvent] = []
        self.tasks: list[TaskEvent] = []
        self.steps: list[StepEvent] = []
        self.evaluations: list[EvaluationEvent] = []

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        self.metrics.append(event)

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        self.episodes.append(event)

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        self.tasks.append(event)

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        self.steps.append(event)

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        self.evaluations.append(event)
