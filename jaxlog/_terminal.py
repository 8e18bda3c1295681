"""Texts as a terminal may get them: names, labels and errors of a run may be anyone's."""

from __future__ import annotations

import re

# Control characters steer a terminal. Format characters reorder a line or cannot be seen, so that
# it reads as something else; the two separators end one. Characters with a shape pass.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff"
)
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
_IN_LINES = re.compile(f"(?!\n)[{_UNSAFE}]")


def clean(text: str) -> str:
    r"""A text of any number of lines, with a mark in place of what a terminal would act on.

    >>> clean("two\nlines, \x1b[31mred")
    'two\nlines, �[31mred'
    """
    return _IN_LINES.sub("�", text)


def plain(text: str) -> str:
    r"""The same on one line.

    >>> plain("two\nlines, \x1b[31mred")
    'two lines, �[31mred'
    """
    return _IN_A_LINE.sub("�", " ".join(text.split()))


def escaped(text: str) -> str:
    r"""JSON that means the same, without such characters.

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
