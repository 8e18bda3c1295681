"""The summary of a run: its status, its health, and facts about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxlog._format.health import Health


@dataclass(frozen=True)
class Summary:
    """The summary of a run.

    Attributes:
      name: the run's.
      status: a word: `finished`, `killed`.
      said: the same in a sentence.
      health: whether the logged values are sound.
      facts: labels and texts; the third item is whether it is bad news.
    """

    name: str
    status: str
    said: str
    health: Health
    facts: Sequence[tuple[str, str, bool]]

    @property
    def unfinished(self) -> str:
        """The progress of a run that has not finished; else empty."""
        how_far = self.health.unfinished
        if how_far:
            return how_far if how_far.startswith(self.status) else f"{self.status}: {how_far}"
        return {"running": "still running", "unknown": "status unknown"}.get(self.status, "")
