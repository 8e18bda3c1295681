"""Writes SVG: elements, text that XML can hold, and drawings with their size."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

SVG = "http://www.w3.org/2000/svg"
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"

PAPER = "#ffffff"  # pictures have a background of their own, to be readable in a dark viewer
EDGE = "#d8dee6"
PANEL = "#f5f7fa"
INK = "#1c2733"
MUTED = "#66758a"
ACCENT = "#2f6fb3"
GOOD = "#1a8f4c"
BAD = "#c8402f"

# The characters that XML 1.0 forbids, escaped or not: most control characters, lone surrogates,
# and two code points that are not characters.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Drawing:
    """Markup in coordinates from (0, 0) to (width, height).

    Attributes:
      width: the width in pixels.
      height: the height in pixels.
      body: SVG elements, without an `<svg>` around them.
      notes: sentences about the drawing, such as what was left out or is not finite.
    """

    width: float
    height: float
    body: str
    notes: tuple[str, ...] = ()


def xml_text(text: str) -> str:
    r"""Replaces the characters that XML cannot hold.

    >>> xml_text("a\x00b") == "a\ufffdb"
    True
    """
    return _NOT_XML.sub("\ufffd", text)


def escape(text: str) -> str:
    """Escapes text for XML, between tags or in an attribute.

    >>> escape('<a href="x">')
    '&lt;a href=&quot;x&quot;&gt;'
    """
    text = xml_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("\n", "&#10;").replace("\r", "&#13;")


def number(value: float) -> str:
    """Formats a coordinate briefly, to a hundredth of a pixel.

    >>> number(3.0), number(0.3333), number(-0.0)
    ('3', '0.33', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def element(tag: str, body: str | None = None, **attributes: str | float | None) -> str:
    """Writes an element. `body` is markup; `_` in attribute names becomes `-`; None is left out.

    >>> element("rect", x=1, stroke_width=0.5)
    '<rect x="1" stroke-width="0.5"/>'
    """
    words = [tag]
    for name, value in attributes.items():
        if value is not None:
            shown = escape(value) if isinstance(value, str) else number(value)
            words.append(f'{name.rstrip("_").replace("_", "-")}="{shown}"')
    opening = " ".join(words)
    return f"<{opening}/>" if body is None else f"<{opening}>{body}</{tag}>"


def text(
    words: str,
    x: float,
    y: float,
    size: float = 12,
    *,
    fill: str = INK,
    anchor: str | None = None,
    weight: str | None = None,
    width: float | None = None,
) -> str:
    """Writes a line of text with its baseline at y, shortened to fit into `width`."""
    if width is not None:
        words = shortened(words, width / size)
    return element(
        "text",
        escape(words),
        x=x,
        y=y,
        font_size=size,
        fill=fill,
        text_anchor=anchor,
        font_weight=weight,
    )


def rect(x: float, y: float, width: float, height: float, **attributes: str | float | None) -> str:
    """Writes a rectangle."""
    return element("rect", None, x=x, y=y, width=width, height=height, **attributes)


def placed(
    drawing: Drawing, x: float, y: float, width: float, height: float, **attributes: str
) -> str:
    """Scales a drawing into a rectangle, keeping its proportions."""
    box = f"0 0 {number(drawing.width)} {number(drawing.height)}"
    return element(
        "svg", drawing.body, x=x, y=y, width=width, height=height, viewBox=box, **attributes
    )


def document(drawing: Drawing, *, kind: str, title: str, metadata: str = "") -> str:
    """Writes an SVG document: the drawing on a white background.

    Args:
      drawing: the content.
      kind: the kind of picture, the second class of the root; the first is `jaxlog`.
      title: the title that a viewer shows.
      metadata: text for programs.
    """
    paper = rect(0.5, 0.5, drawing.width - 1, drawing.height - 1, rx=8, fill=PAPER, stroke=EDGE)
    width, height = number(drawing.width), number(drawing.height)
    return (
        f'{START}{escape(kind)}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{FONT}">\n<title>{escape(title)}</title>\n'
        f"<metadata>{escape(metadata)}</metadata>\n{paper}\n{drawing.body}\n</svg>\n"
    )


START = f'<svg xmlns="{SVG}" class="jaxlog '
"""The start of every document, by which jaxlog recognizes its own."""


def text_width(words: str) -> float:
    """Estimates the width of a line of text, in units of its font size."""
    return sum(map(_character_width, words))


def _character_width(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in "iljI.,:;'|!()[] ft":
        return 0.34
    return 0.86 if character in "mwMW%@\u2014" else 0.6


def shortened(words: str, width: float) -> str:
    """Shortens text to a width, with an ellipsis.

    >>> shortened("policy gradient", 5)
    'policy g\u2026'
    """
    words = words[:2000]  # no line is that long, and measuring takes time
    if text_width(words) <= width:
        return words
    room = width - 0.8
    for index, character in enumerate(words):
        room -= _character_width(character)
        if room < 0:
            return words[:index] + "\u2026"
    return words


def wrapped(words: str, width: float, lines: int) -> list[str]:
    """Breaks text into at most `lines` lines; the last ends with an ellipsis if text is left."""
    found: list[str] = []
    line = ""
    waiting = " ".join(words[:2000].split()).split(" ")
    while waiting:
        word = waiting.pop(0)
        longer = f"{line} {word}" if line else word
        if text_width(longer) <= width:
            line = longer
        elif len(found) + 1 == lines:
            return [*found, shortened(f"{longer} {' '.join(waiting)}", width)]
        elif line:
            found.append(line)
            line = ""
            waiting.insert(0, word)
        else:  # a word longer than a line
            cut = len(shortened(word, width)) - 1
            found.append(word[: max(cut, 1)])
            waiting.insert(0, word[max(cut, 1) :])
    return [*found, line] if line else found


def joined(parts: Iterable[str]) -> str:
    """Joins elements, leaving out empty ones."""
    return "\n".join(part for part in parts if part)
