"""The page as HTML: live, which asks a server, or frozen, with its answers in it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from jaxlog._analysis.html_pages import InlineFile, inline, inlined, rendered
from jaxlog._page import vendored
from jaxlog._page.one_script import one_script

_PACKAGE = "jaxlog._page"
_TEMPLATE = "static/page.html.jinja"
_STYLES = ("vendor/uPlot.min.css", "colours.css", "page.css")
_SCRIPT = "main.js"


class PackedAnswer(NamedTuple):
    """An answer as it stands in a file.

    Attributes:
      body: the content.
      text: the same, compressed, as characters of a page.
    """

    body: bytes
    text: str


def packed(body: bytes) -> PackedAnswer:
    """Packs the content of an answer."""
    return PackedAnswer(body, base64.b64encode(gzip.compress(body, mtime=0)).decode())


def live_page(title: str) -> str:
    """Returns the page that asks a server for its answers; all its addresses are relative.

    Args:
      title: what is shown.
    """
    return rendered(
        _PACKAGE,
        _TEMPLATE,
        live=True,
        title=title,
        missing=missing_text(),
        style_files=[f"static/{name}" for name in _STYLES],
        script_file=f"static/{_SCRIPT}",
    )


def frozen_page(title: str, answers: Mapping[str, PackedAnswer], state: str, made: datetime) -> str:
    """Returns the page with its answers, which asks nobody.

    Args:
      title: what is shown.
      answers: answers by their addresses, as the page asks for them.
      state: what the reader chose, as the fragment of the page's address.
      made: the time that the page shows as its own.

    Raises:
      FileNotFoundError: the chart library is not there.
    """
    if text := missing_text():
        raise FileNotFoundError(text)
    style = inline(_PACKAGE, *(f"static/{name}" for name in _STYLES))
    script = inlined(one_script(_SCRIPT))
    return rendered(
        _PACKAGE,
        _TEMPLATE,
        live=False,
        title=title,
        state=state,
        made=made,
        policy=_policy(style, script),
        style=style,
        script=script,
        words=_words(answers),
        answers={address: one.text for address, one in answers.items()},
    )


def _words(answers: Mapping[str, PackedAnswer]) -> Sequence[str]:
    """The state, the answer and the comparison as texts, for who has no script."""
    found: dict[str, Any] = {}
    for address, one in answers.items():
        name = address.partition("?")[0]
        if name in ("runs", "answer", "comparison") and name not in found:
            found[name] = orjson.loads(one.body)
    words = [found["runs"]["state"]["text"]] if "runs" in found else []
    if leader := found.get("answer", {}).get("answer"):
        words.append(leader["text"])
    if "comparison" in found:
        words.append(found["comparison"]["markdown"])
    return words


def missing_text() -> str:
    """Says that the chart library is not there and how to fetch it; empty if it is there."""
    if names := vendored.missing():
        return (
            f"the chart library is not installed ({', '.join(names)}); "
            f"to fetch it, run: {vendored.COMMAND}"
        )
    return ""


def _policy(style: InlineFile, script: InlineFile) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {style.source}; "
        f"script-src {script.source}; base-uri 'none'; form-action 'none'"
    )
