"""The words of SVG: elements, text that XML can hold, and a drawing with its size."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

SVG = "http://www.w3.org/2000/svg"
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"

PAPER = "#ffffff"  # a picture has a ground of its own, so that it is read in a dark viewer, too
EDGE = "#d8dee6"
PANEL = "#f5f7fa"
INK = "#1c2733"
MUTED = "#66758a"
ACCENT = "#2f6fb3"
GOOD = "#1a8f4c"
BAD = "#c8402f"

# What XML 1.0 has no place for, escaped or not: most control characters, halves of surrogate
# pairs, and two code points that are no characters.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Drawing:
    """Some markup in coordinates from (0, 0) to (width, height).

    Attributes:
      width: in pixels.
      height: in pixels.
      body: elements of SVG, which stand in no `<svg>` yet.
      notes: what has to be told of it: what was left out, or is not finite.
    """

    width: float
    height: float
    body: str
    notes: tuple[str, ...] = ()


def clean(text: str) -> str:
    r"""The text with a replacement character for all that XML cannot hold.

    >>> clean("a\x00b") == "a\ufffdb"
    True
    """
    return _NOT_XML.sub("\ufffd", text)


def escape(text: str) -> str:
    """The text as it stands in XML, between tags or as the value of an attribute.

    >>> escape('<a href="x">')
    '&lt;a href=&quot;x&quot;&gt;'
    """
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("\n", "&#10;").replace("\r", "&#13;")


def number(value: float) -> str:
    """A coordinate, as short as it can be: to a hundredth of a pixel.

    >>> number(3.0), number(0.3333), number(-0.0)
    ('3', '0.33', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def element(tag: str, body: str | None = None, **attributes: str | float | None) -> str:
    """An element; `body` is markup already. `_` in a name stands for `-`; None leaves one out.

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
    """A line of text with its base at y; cut to fit into `width`."""
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
    """A rectangle."""
    return element("rect", None, x=x, y=y, width=width, height=height, **attributes)


def placed(
    drawing: Drawing, x: float, y: float, width: float, height: float, **attributes: str
) -> str:
    """A drawing, scaled into a rectangle of its own proportions."""
    box = f"0 0 {number(drawing.width)} {number(drawing.height)}"
    return element(
        "svg", drawing.body, x=x, y=y, width=width, height=height, viewBox=box, **attributes
    )


def document(drawing: Drawing, *, kind: str, title: str, metadata: str = "") -> str:
    """A whole SVG: the drawing on a sheet of paper.

    Args:
      drawing: fills it.
      kind: what it shows, as the second class of the root; the first is `jaxlog`.
      title: what a viewer tells of it.
      metadata: a text for programs.
    """
    paper = rect(0.5, 0.5, drawing.width - 1, drawing.height - 1, rx=8, fill=PAPER, stroke=EDGE)
    width, height = number(drawing.width), number(drawing.height)
    return (
        f'{START}{escape(kind)}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{FONT}">\n<title>{escape(title)}</title>\n'
        f"<metadata>{escape(metadata)}</metadata>\n{paper}\n{drawing.body}\n</svg>\n"
    )


START = f'<svg xmlns="{SVG}" class="jaxlog '
"""What every whole SVG begins with, by which it is known again."""


def text_width(words: str) -> float:
    """About how wide a line is, in units of its size: fonts differ, and none is at hand."""
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
    """The text, or as much of its start as fits, with an ellipsis.

    >>> shortened("policy gradient", 5)
    'policy g\u2026'
    """
    words = words[:2000]  # no line is as long, and measuring takes time
    if text_width(words) <= width:
        return words
    room = width - 0.8
    for place, character in enumerate(words):
        room -= _character_width(character)
        if room < 0:
            return words[:place] + "\u2026"
    return words


def wrapped(words: str, width: float, lines: int) -> list[str]:
    """The text in at most so many lines, the last with an ellipsis where there is more."""
    found: list[str] = []
    line = ""
    waiting = " ".join(words[:2000].split()).split(" ")
    while waiting:
        word = waiting.pop(0)
        together = f"{line} {word}" if line else word
        if text_width(together) <= width:
            line = together
        elif len(found) + 1 == lines:
            return [*found, shortened(f"{together} {' '.join(waiting)}", width)]
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
    """Elements, one after the other."""
    return "\n".join(part for part in parts if part)
