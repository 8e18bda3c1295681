"""Events in lists, for notebooks and tests."""

from __future__ import annotations

from typing import Any, Literal

from jaxlog.events import EpisodeEvent, MetricsEvent
from jaxlog.sinks.sink import Sink, SinkSettings


class MemorySettings(SinkSettings, frozen=True):
    """Keeps events in memory, as `run.sink("memory").metrics` and `.episodes`."""

    kind: Literal["memory"] = "memory"


class MemorySink(Sink):
    """Keeps every event.

    Attributes:
      metrics: the `MetricsEvent`s, in the order they came.
      episodes: the `EpisodeEvent`s, in the order they came.
    """

    Settings = MemorySettings

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.metrics: list[MetricsEvent] = []
        self.episodes: list[EpisodeEvent] = []

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        self.metrics.append(event)

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        self.episodes.append(event)
