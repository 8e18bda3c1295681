"""The live table in a terminal: at its bottom, below the lines that scroll.

Other output needs no redirection: the terminal scrolls only the lines above the table (its
scrolling region, DECSTBM), whoever writes there: the program, warnings, progress bars, C++ code, or
other processes. The cursor stays with that output, also in the middle of a line.
"""

from __future__ import annotations

import io
import os
import select
import threading
from typing import Any

from rich.console import Console, RenderableType
from rich.segment import SegmentLines

from jaxlog.sinks.console.screen import Draw

LEAST_ABOVE = 4
"""The lines above the table that a terminal keeps at least, if the table can be that small."""
SMALLEST = 2
"""The lines of the smallest table."""
LEAST_REGION = 2
"""The lines that the smallest scrolling region has."""

# Control sequences, as ECMA-48 and the VT510 manual name them.
_SAVE, _RESTORE = "\x1b7", "\x1b8"
"""DECSC and DECRC: saves and restores the cursor, with its colours."""
_INDEX, _UP = "\x1bD", "\x1b[{}A"
"""IND: moves one line down, in the same column, and scrolls at the last line; CUU: lines up."""
_REGION, _NO_REGION = "\x1b[1;{}r", "\x1b[r"
"""DECSTBM: the lines that scroll. It also moves the cursor."""
_MOVE, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[{};1H", "\x1b[K", "\x1b[J"
"""CUP: moves to the beginning of a line; EL and ED: clears after the cursor."""
_PLAIN = "\x1b[0m"
"""SGR: no colours."""

_used = threading.Lock()  # a terminal has one table


class Terminal:
    """The bottom of a terminal. Use `Terminal.of`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fd = console.file.fileno()
        self._size: tuple[int, int] | None = None  # for which the region was set
        self._height = 0  # the lines of the table

    @classmethod
    def of(cls, console: Console) -> Terminal | None:
        """The screen of a console's terminal.

        None if another run has its table there, or the stream of a terminal is no file.
        """
        try:
            screen = cls(console)
        except (AttributeError, OSError, ValueError):
            return None
        return screen if _used.acquire(blocking=False) else None

    def show(self, draw: Draw) -> None:  # noqa: D102  as Screen says
        columns, lines = size = self._terminal_size()
        if lines < SMALLEST + LEAST_REGION:
            return
        most = max(SMALLEST, lines - LEAST_ABOVE)
        rows = self._rows(draw(columns, most, False), columns)[: lines - LEAST_REGION]
        written = f"{_SAVE}{_NO_REGION}{_RESTORE}"
        if size != self._size:
            # The terminal may have moved the old table, which is below the cursor in any case.
            written += _CLEAR_BELOW if self._height else ""
            self._size, self._height = size, 0
        # Once large, it stays large: otherwise the lines above would jump.
        self._height = height = max(self._height, len(rows))
        # This scrolls if the cursor is where the table goes, and not otherwise.
        written += _INDEX * height + _UP.format(height)
        # Set each time, because a pager or editor that the program starts may reset it.
        written += f"{_SAVE}{_REGION.format(lines - height)}{_PLAIN}"
        for number, row in enumerate(rows, 1 + lines - len(rows)):
            written += f"{_MOVE.format(number)}{row}{_CLEAR_LINE}"
        self._write(written + _RESTORE)

    def end(self, draw: Draw) -> None:  # noqa: D102
        try:
            columns, _ = self._terminal_size()
            written = ""
            if self._height:
                written = f"{_SAVE}{_NO_REGION}{_RESTORE}{_CLEAR_BELOW}"
                self._height = 0
            # As many blanks as fit in a line go to the next line, unless the cursor begins one.
            written += f"{_PLAIN}{' ' * columns}\r"
            self._write(written)
            rows = self._rows(draw(columns, None, True), columns)
            self._write("".join(f"{row}{_CLEAR_LINE}\r\n" for row in rows))
        finally:
            _used.release()

    def _terminal_size(self) -> tuple[int, int]:
        """The columns and lines; of the environment if the terminal does not know them."""
        columns, lines = os.get_terminal_size(self._fd)
        known = self._console.size
        return columns or known.width, lines or known.height

    def _rows(self, picture: RenderableType, width: int) -> list[str]:
        """Draws rows with the colours that the terminal has."""
        system: Any = self._console.color_system
        paper = Console(
            file=io.StringIO(),
            width=width,
            force_terminal=True,
            force_jupyter=False,
            color_system=system,
            no_color=self._console.no_color,
            legacy_windows=False,
        )
        lines = paper.render_lines(picture, pad=False)
        paper.print(SegmentLines(lines, new_lines=True), end="")
        assert isinstance(paper.file, io.StringIO)
        return paper.file.getvalue().splitlines()

    def _write(self, text: str) -> None:
        """Writes at once, after what the program has printed: nobody can write in between."""
        self._console.file.flush()
        left = text.encode()
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                select.select([], [self._fd], [], 1.0)
