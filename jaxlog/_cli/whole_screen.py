"""Shows pictures in the whole terminal, and restores it however the command ends or is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live

from jaxlog._cli.keyboard import Keyboard

_ENDING = ("SIGTERM", "SIGHUP")
_ENTER, _LEAVE = b"\x1b[?1049h\x1b[H\x1b[?25l", b"\x1b[?1049l\x1b[?25h"
"""The sequences that change to the terminal's other screen, without a cursor, and back."""


class EndedBySignalError(BaseException):
    """Ends the command because of a signal, as an interrupt does."""


class WholeScreen:
    """The whole terminal, on its other screen.

    It is restored at the end of the block, also after an exception or Ctrl-C, on SIGTERM and SIGHUP
    (the process then ends by that signal), and while the command is stopped with Ctrl-Z.

    Args:
      console: of the terminal.
      keyboard: its keyboard, if keys are read.
    """

    def __init__(self, console: Console, keyboard: Keyboard | None = None) -> None:
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._keyboard = keyboard
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Changes the terminal, and handles signals."""
        for name in _ENDING:
            self._handle(name, self._end)
        self._handle("SIGTSTP", self._stop)
        try:
            if self._keyboard is not None:
                self._keyboard.begin()
            self._live.start()
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restores the terminal; ends the process by the signal that ended the block."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)
        self._restore()
        if isinstance(error, EndedBySignalError):
            os.kill(os.getpid(), error.args[0])

    def show(self, picture: RenderableType) -> None:
        """Shows a picture in place of the one before."""
        self._live.update(picture, refresh=True)

    def _restore(self) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._live.stop()
        if self._keyboard is not None:
            self._keyboard.end()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, name: str, handler: Any) -> None:
        """Handles a signal, unless this system has none of the name, or it is ignored."""
        number: int | None = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            self._before[number] = signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        raise EndedBySignalError(number)

    def _stop(self, number: int, _: FrameType | None) -> None:
        """Restores the terminal while the process is stopped."""
        # Not by Rich, since it may be printing.
        fd = sys.stdout.fileno()
        os.write(fd, _LEAVE)
        if self._keyboard is not None:
            self._keyboard.end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # until the process is continued
        signal.signal(number, self._stop)
        if self._keyboard is not None:
            self._keyboard.begin()
        os.write(fd, _ENTER)
