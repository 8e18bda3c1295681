"""Makes text safe for a terminal: names, labels and errors of a run may come from anybody."""

from __future__ import annotations

import re

# Control characters steer a terminal. Format characters are invisible or reorder a line, which then
# reads as something else. The two separators end a line. Visible characters are kept.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff"
)
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
_IN_LINES = re.compile(f"(?!\n)[{_UNSAFE}]")


def clean(text: str) -> str:
    r"""Replaces the characters that a terminal would act on; lines are kept.

    >>> clean("two\nlines, \x1b[31mred")
    'two\nlines, �[31mred'
    """
    return _IN_LINES.sub("�", text)


def plain(text: str) -> str:
    r"""Replaces the same characters, and puts the text on one line.

    >>> plain("two\nlines, \x1b[31mred")
    'two lines, �[31mred'
    """
    return _IN_A_LINE.sub("�", " ".join(text.split()))


def escaped(text: str) -> str:
    r"""Escapes the same characters in JSON, which keeps its meaning.

    >>> print(escaped('{"a": "\u202eb"}'))
    {"a": "\u202eb"}
    """
    return _IN_A_LINE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
