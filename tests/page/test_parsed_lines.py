"""Parsed lines are kept by their contents, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from jaxlog._page import parsed_lines
from jaxlog._page.parsed_lines import Parsed, ParsedLines
from jaxlog._reading.columns import TableFrame

FILE = Path("batch_metrics.jsonl")


class Parse:
    """Makes a table of some rows, and counts how often."""

    def __init__(self, rows: int) -> None:
        self.rows, self.calls = rows, 0

    def __call__(self) -> Parsed:
        self.calls += 1
        return Parsed(TableFrame(pl.DataFrame({"x": range(self.rows)})), ["a note"])


def test_the_same_lines_are_parsed_once() -> None:
    kept, parse = ParsedLines(2**20), Parse(10)
    first = kept.of(FILE, b"one", parse)
    assert kept.of(FILE, b"one", parse) is first
    assert first.notes == ["a note"]
    assert parse.calls == 1
    kept.of(FILE, b"two", parse)  # the file was changed
    kept.of(Path("other.jsonl"), b"one", parse)
    assert parse.calls == 3


def test_what_is_used_stays_and_what_is_not_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(parsed_lines.time, "monotonic", lambda: now)
    kept = ParsedLines(2 * (8 * 1000 + 512))
    parses = {name: Parse(1000) for name in "abc"}

    def ask(name: str) -> int:
        kept.of(FILE, name.encode(), parses[name])
        return parses[name].calls

    assert [ask("a"), ask("b"), ask("c"), ask("a"), ask("b"), ask("c")] == [1, 1, 1, 1, 1, 2]
    now = parsed_lines.UNUSED + 1
    assert ask("b") == 1
    assert ask("c") == 3  # takes the place of `a`
    assert [ask("c"), ask("b"), ask("a")] == [3, 1, 2]


def test_what_is_too_large_is_not_kept() -> None:
    kept, parse = ParsedLines(1000), Parse(1000)
    kept.of(FILE, b"one", parse)
    kept.of(FILE, b"one", parse)
    assert parse.calls == 2
