"""What is told of a run beside its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxlog.report.html import Html, brief, tag

_LONGEST = 2_000
"""The characters of a fact that are shown."""


@dataclass(frozen=True)
class Summary:
    """What is told of a run beside its numbers.

    Attributes:
      name: what it is called.
      status: a word: `finished`, `killed`.
      said: the same in words.
      health: what is wrong with what it logged, in words; empty where nothing is.
      facts: names and values, in rows; the third is whether it is bad news.
    """

    name: str
    status: str
    said: str
    health: str
    facts: Sequence[tuple[str, str, bool]]


def summarised(summary: Summary, *, is_open: bool) -> Html:
    """A summary that opens and closes."""
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
            tag("span", summary.health, class_="status failed") if summary.health else "",
        ),
        tag("dl", *rows),
        class_="run",
        open="" if is_open else None,
    )
