"""Pages of runs, and what stands in them, by the standard library's parser."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from jaxlog._cli.main import main
from tests.reading.files import Event, write

_VOID = {"meta", "img"}


class Parsed(HTMLParser):
    """A page.

    Attributes:
      tags: each element's name and attributes, in their order.
      texts: what stands in elements, each with the names of these.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "an element has no end"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def words(self) -> str:
        """What a reader sees, and what scripts do not have."""
        return "|".join(
            text for inside, text in self.texts if not {"script", "style"} & set(inside)
        )

    def data(self) -> list[dict[str, Any]]:
        """What the script is given."""
        (text,) = [
            text
            for inside, text in self.texts
            if inside[-1:] == ("script",) and text.startswith("[")
        ]
        return json.loads(text)


def run_of(directory: Path, events: Iterable[Event]) -> Path:
    """A new directory with the lines of some events."""
    directory.mkdir()
    return write(directory, events)


def page_of(output: Path, *runs: Path) -> Parsed:
    """The page of some runs, as the command writes it."""
    assert main(["report", *map(str, runs), "-o", str(output), "--force"]) == 0
    return Parsed(output.read_text("utf-8"))


def array(text: str) -> np.ndarray:
    """An array as the script reads it."""
    kind, data = text.split(":")
    return np.frombuffer(base64.b64decode(data), f"<{kind}")
