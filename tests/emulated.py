"""A terminal as a user sees it: lines that scroll in a region, and a cursor that is saved."""

from __future__ import annotations

import re

from rich.cells import cell_len

_SEQUENCE = re.compile(r"\x1b(?:\[([?0-9;]*)([A-Za-z])|([78DM=>])|\][^\x07]*\x07)|[\r\n\b]|[^\x1b]")


class Emulated:
    """Interprets the control sequences that the VT100 has, as its manual describes them.

    Attributes:
      region: the first and the last line that scroll, from 0.
      cursor: whether the cursor is visible.
      scrolled: the lines that were scrolled off the top, the oldest first.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.region = 0, lines - 1
        self.cursor = True
        self.scrolled: list[str] = []
        self._screen = [[""] * columns for _ in range(lines)]
        self._row = self._column = 0
        self._saved = 0, 0

    @property
    def text(self) -> str:
        """What is on the screen and above it, without blanks at the ends of lines."""
        return "\n".join([*self.scrolled, *map(_line, self._screen)]).rstrip()

    def feed(self, text: str) -> None:
        """Shows some output."""
        for found in _SEQUENCE.finditer(text):
            numbers, final, single = found.groups()
            if final:
                self._control(numbers, final)
            elif single:
                self._escape(single)
            elif found[0] == "\r":
                self._column = 0
            elif found[0] == "\n":
                self._down()
            elif found[0] == "\b":
                self._column = max(0, self._column - 1)
            elif not found[0].startswith("\x1b"):
                self._put(found[0])

    def _escape(self, single: str) -> None:
        match single:
            case "7":
                self._saved = self._row, self._column
            case "8":
                self._row, self._column = self._saved
            case "D":
                self._down()
            case _:
                raise NotImplementedError(single)

    def _control(self, numbers: str, final: str) -> None:
        first = int(numbers.split(";")[0] or 0) if "?" not in numbers else 0
        match final:
            case "A":
                self._row = max(self.region[0], self._row - max(1, first))
            case "H":
                self._row, self._column = max(1, first) - 1, 0
            case "K":
                self._screen[self._row][self._column :] = [""] * (self.columns - self._column)
            case "J":
                self._control("", "K")
                for row in range(self._row + 1, self.lines):
                    self._screen[row] = [""] * self.columns
            case "r":
                last = int(numbers.split(";")[1]) if numbers else self.lines
                assert last >= 2  # smaller regions are ignored
                self.region = 0, last - 1
                self._row = self._column = 0
            case "h" | "l":
                if numbers == "?25":
                    self.cursor = final == "h"
            case "m":
                pass
            case _:
                raise NotImplementedError(numbers + final)

    def _down(self) -> None:
        first, last = self.region
        if self._row == last:
            self.scrolled.append(_line(self._screen.pop(first)))
            self._screen.insert(last, [""] * self.columns)
        else:
            self._row = min(self.lines - 1, self._row + 1)

    def _put(self, character: str) -> None:
        width = cell_len(character)
        if self._column + width > self.columns:
            self._column = 0
            self._down()
        self._screen[self._row][self._column : self._column + width] = [
            character,
            *[""] * (width - 1),
        ]
        self._column += width


def _line(cells: list[str]) -> str:
    return "".join(cell or " " for cell in cells).rstrip()
