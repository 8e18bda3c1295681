"""The page as HTML: live, which asks a server, or frozen, with its answers in it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from datetime import datetime

from jaxlog._analysis.html_pages import InlineFile, inline, inlined, rendered
from jaxlog._page import vendored
from jaxlog._page.one_script import one_script

_PACKAGE = "jaxlog._page"
_TEMPLATE = "static/page.html.jinja"
_STYLES = ("vendor/uPlot.min.css", "colours.css", "page.css")
_SCRIPT = "main.js"


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


def frozen_page(title: str, answers: Mapping[str, bytes], state: str, made: datetime) -> str:
    """Returns the page with its answers, which asks nobody.

    Args:
      title: what is shown.
      answers: the bodies of answers by their addresses, as the page asks for them.
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
        answers={
            address: base64.b64encode(gzip.compress(body, mtime=0)).decode()
            for address, body in answers.items()
        },
    )


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
