"""What is told of a run beside its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxlog._format.health import Health
from jaxlog._report.html import Html, brief, tag

_LONGEST = 2_000
"""The characters of a fact that are shown."""


@dataclass(frozen=True)
class Summary:
    """What is told of a run beside its numbers.

    Attributes:
      name: what it is called.
      status: a word: `finished`, `killed`.
      said: the same in words.
      health: what is wrong with what it logged.
      facts: names and values, in rows; the third is whether it is bad news.
    """

    name: str
    status: str
    said: str
    health: Health
    facts: Sequence[tuple[str, str, bool]]

    @property
    def unfinished(self) -> str:
        """How far the run came, where it has not finished; else empty."""
        how_far = self.health.unfinished
        if how_far:
            return how_far if how_far.startswith(self.status) else f"{self.status}: {how_far}"
        return {"running": "still running", "unknown": "status unknown"}.get(self.status, "")


def summarised(summary: Summary, *, is_open: bool) -> Html:
    """A summary that opens and closes."""
    health = summary.health
    said = {"class_": f"status {summary.status}", "title": brief(summary.said)}
    rows = [
        tag(
            "div",
            tag("dt", label),
            tag("dd", tag("bdi", brief(text, _LONGEST))),
            class_="bad" if bad else None,
        )
        for label, text, bad in summary.facts
        if text
    ]
    return tag(
        "details",
        tag(
            "summary",
            tag("bdi", brief(summary.name), class_="name"),
            " ",
            tag("span", summary.status, **said),
            tag("span", str(health), class_="status failed", title=health.why) if health else "",
        ),
        tag("dl", *rows),
        class_="run",
        open="" if is_open else None,
    )
