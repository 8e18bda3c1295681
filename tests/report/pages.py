"""Pages of runs, and what stands in them, by the standard library's parser."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jaxlog._cli.main import main
from tests.page.frames import Frame, decoded
from tests.reading.files import Event, write

_VOID = {"meta", "img", "input", "link"}


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

    def answers(self) -> dict[str, bytes]:
        """The answers that the page has, by their addresses."""
        (text,) = [
            text
            for inside, text in self.texts
            if inside[-1:] == ("script",) and text.startswith("{")
        ]
        packed = json.loads(text).items()
        return {address: gzip.decompress(base64.b64decode(body)) for address, body in packed}

    def answer(self, name: str, **parameters: str) -> Any:
        """One answer in JSON, or an answer to `curves`."""
        body = self.answers()[address(name, **parameters)]
        return decoded(body) if name == "curves" else json.loads(body)

    def curves(self, key: str, call: str = "batch", **parameters: str) -> Frame:
        """The curves of a metric: those of 600 points if it is the main one, else of 200."""
        found = [
            body
            for asked, body in self.answers().items()
            if asked.startswith("curves?")
            and {**dict(parse_qsl(asked[7:])), "points": ""}
            == {"call": call, "key": key, "points": "", **parameters}
        ]
        assert len(found) == 1, sorted(self.answers())
        return decoded(found[0])

    def addresses(self, name: str) -> list[str]:
        """The addresses of the answers of one name."""
        return [asked for asked in self.answers() if asked.partition("?")[0] == name]

    def facts(self) -> list[str]:
        """What the answers to `facts` say of each run, as one text."""
        found = [json.loads(self.answers()[asked]) for asked in self.addresses("facts")]
        return [
            "\n".join([one["status_text"], one["health"], *(text for _, text, _ in one["facts"])])
            for one in found
        ]


def address(name: str, **parameters: str) -> str:
    """An address as a report has it."""
    query = urlencode(sorted(parameters.items()))
    return f"{name}?{query}" if query else name


def run_of(directory: Path, events: Iterable[Event]) -> Path:
    """A new directory with the lines of some events."""
    directory.mkdir()
    return write(directory, events)


def page_of(output: Path, *runs: Path) -> Parsed:
    """The page of some runs, as the command writes it."""
    assert main(["report", *map(str, runs), "-o", str(output), "--force"]) == 0
    return Parsed(output.read_text("utf-8"))
