"""Draws the live table again and again on a screen: a terminal or a notebook."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from jaxlog._say import Once
from jaxlog._say import log as _log

JOINED_WITHIN = 2.0
"""Seconds to wait at the end for a table that is being drawn; a stopped terminal blocks it."""

Draw = Callable[[int, int | None, bool], RenderableType]
"""Draws the table for a number of columns and lines; True for the last time."""


class Screen(Protocol):
    """A place that shows the table."""

    def show(self, draw: Draw) -> None:
        """Shows the table in place of the previous one."""

    def end(self, draw: Draw) -> None:
        """Shows the last table, which stays, and restores the screen."""


class Display:
    """Draws the table on its own thread, so that the clock advances while nothing is logged.

    If drawing fails, the error is shown in place of the table. No failure, such as a closed
    terminal, ends the program or the sink.
    """

    def __init__(self, screen: Screen, draw: Draw, refresh_per_second: float) -> None:
        self._screen = screen
        self._draw = draw
        self._seconds = 1 / refresh_per_second
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._is_first_warning = Once()
        self._thread = threading.Thread(target=self._run, name="jaxlog-display", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Shows the last table."""
        self._over.set()
        self._thread.join(JOINED_WITHIN)
        try:
            self._screen.end(self._guarded)
        except BaseException as error:
            self._warn("cannot be shown any more", error)

    def _run(self) -> None:
        shows = True
        while shows:
            try:
                self._screen.show(self._guarded)
            except BaseException as error:  # SystemExit too: Rich raises it for a closed pipe
                self._warn("cannot be shown any more", error)
                return
            shows = not self._over.wait(self._seconds)

    def _guarded(self, width: int, height: int | None, last: bool) -> RenderableType:
        try:
            with self._lock:
                return self._draw(width, height, last)
        except Exception as error:
            self._warn("could not be drawn", error)
            return Text(f"the console could not be drawn: {error!r}", "red")

    def _warn(self, problem: str, error: BaseException) -> None:
        if self._is_first_warning():
            _log.warning("jaxlog: the console's table %s", problem, exc_info=error)
