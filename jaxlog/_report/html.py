"""HTML in which every text is escaped that is not HTML already."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from jaxlog._render.markup import element, escape


class Html(str):
    """Text that is HTML: it stands in other HTML as it is."""

    __slots__ = ()


def tag(name: str, *inside: str, **attributes: str | float | None) -> Html:
    """An element; `_` in the name of an attribute stands for `-`, and None leaves one out.

    >>> tag("p", "a < b ", tag("b", "c"), class_="note")
    '<p class="note">a &lt; b <b>c</b></p>'
    """
    return Html(element(name, joined(*inside), **attributes))


def joined(*parts: str) -> Html:
    """Parts, one after the other; what is no HTML is escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def brief(text: str, most: int = 160) -> str:
    """A name, or as much of it as anyone reads: those of users may be of any length.

    >>> brief("learning_rate", 8)
    'learnin…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def json_block(values: Any, name: str) -> Html:
    """Data for a script: nothing in it ends the element that it stands in.

    Args:
      values: what JSON can hold.
      name: the element's id.
    """
    text = orjson.dumps(values).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def hash_of(text: str) -> str:
    """What a content security policy calls an inline script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
