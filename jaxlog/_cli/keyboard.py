"""The keys that are pressed in a terminal, one at a time, while a table is shown."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import sys
from typing import Any

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = tty = None

ESCAPED_WITHIN = 0.05
"""Seconds within which the rest of a key that begins with an escape arrives."""

_ESCAPED = {
    "[A": "up", "OA": "up", "[B": "down", "OB": "down", "[5~": "page up", "[6~": "page down",
    "[H": "home", "OH": "home", "[1~": "home", "[F": "end", "OF": "end", "[4~": "end",
}  # fmt: skip
_CONTROL = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x15": "clear"}


class Keyboard:
    """Reads keys from standard input, without waiting for Enter and without showing them.

    Between `begin` and `end`; Ctrl-C still raises KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting: list[str] = []
        self._before: list[Any] | None = None

    def begin(self) -> None:
        """Changes the terminal."""
        assert termios is not None
        assert tty is not None
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)

    def end(self) -> None:
        """Restores the terminal."""
        if termios is not None and self._before is not None:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def key(self, seconds: float) -> str | None:
        """Waits for a key; None if none is pressed within some seconds.

        Returns:
          A character, or one of `up`, `down`, `page up`, `page down`, `home`, `end`, `enter`,
          `backspace`, `clear` (Ctrl-U) and `escape`; empty for any other key. `end of input` when
          the terminal is closed.
        """
        if not self._waiting and not self._read(seconds):
            return None
        first = self._waiting.pop(0)
        if first != "\x1b":
            return _CONTROL.get(first, first if first.isprintable() else "")
        if not self._waiting and not self._read(ESCAPED_WITHIN):
            return "escape"
        if self._waiting[0] not in "[O":
            return "escape"
        sequence = self._waiting.pop(0)
        while self._waiting or self._read(ESCAPED_WITHIN):
            sequence += self._waiting.pop(0)
            if "@" <= sequence[-1] <= "~":
                break
        return _ESCAPED.get(sequence, "")

    def _read(self, seconds: float) -> bool:
        """Reads what was typed; False if it was nothing."""
        if not select.select([self._input], [], [], seconds)[0]:
            return False
        try:
            typed = os.read(self._input, 1024)
        except OSError:  # the terminal is gone
            typed = b""
        self._waiting += self._decoder.decode(typed) if typed else ["end of input"]
        return bool(self._waiting)


def can_read_keys() -> bool:
    """True if standard input and standard output are a terminal."""
    return termios is not None and _is_terminal(sys.stdin) and _is_terminal(sys.stdout)


def _is_terminal(stream: Any) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # there is no stream, or it is closed
        return False
