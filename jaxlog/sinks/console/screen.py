"""Where the picture is shown, again and again: a terminal or a notebook; both are left in order."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol, Self, cast

from rich.console import Console, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.segment import SegmentLines
from rich.text import Text

from jaxlog._say import log as _log

NOTEBOOK_WIDTH = 100
"""The columns of a picture in a notebook, whose own width nobody knows."""
JOINED_WITHIN = 2.0
"""Seconds that the end waits for a picture that is being drawn: a terminal can be stopped."""

Draw = Callable[[int, int | None, bool], RenderableType]
"""The picture, of so many columns and lines; and whether it is the last."""


class Screen(Protocol):
    """A place to show a picture at."""

    def show(self, draw: Draw) -> None:
        """Shows it in place of the one before."""

    def end(self, draw: Draw) -> None:
        """Shows the last, which stays, and puts all back as it was."""


class Display:
    """Shows a picture on a thread of its own, so that the clock goes on while nothing is logged.

    An error in drawing is told of in the picture's place. Nothing that goes wrong, a terminal that
    is closed, say, ends the program or the sink.
    """

    def __init__(self, screen: Screen, draw: Draw, refresh_per_second: float) -> None:
        self._screen = screen
        self._draw = draw
        self._seconds = 1 / refresh_per_second
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._said = False
        self._thread = threading.Thread(target=self._run, name="jaxlog-display", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Shows the last picture."""
        self._over.set()
        self._thread.join(JOINED_WITHIN)
        try:
            self._screen.end(self._guarded)
        except BaseException as error:
            self._say("cannot be shown any more", error)

    def _run(self) -> None:
        shows = True
        while shows:
            try:
                self._screen.show(self._guarded)
            except BaseException as error:  # SystemExit too: Rich raises it for a closed pipe
                self._say("cannot be shown any more", error)
                return
            shows = not self._over.wait(self._seconds)

    def _guarded(self, width: int, height: int | None, last: bool) -> RenderableType:
        try:
            with self._lock:
                return self._draw(width, height, last)
        except Exception as error:
            self._say("could not be drawn", error)
            return Text(f"the console could not be drawn: {error!r}", "red")

    def _say(self, what: str, error: BaseException) -> None:
        if not self._said:
            self._said = True
            _log.warning("jaxlog: the console's table %s", what, exc_info=error)


class Terminal:
    """A terminal, through Rich. What the program prints appears above the picture.

    Args:
      console: Rich's own, that `rich.print` writes to, too: what is printed by another would be
        drawn over.

    Raises:
      rich.errors.LiveError: something else is shown already, and this Rich shows but one.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        # It does not redirect the streams: see `_Redirection`.
        self._live = Live(
            console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()
        self._redirection = _Redirection(console)

    def show(self, draw: Draw) -> None:  # noqa: D102  as Screen says
        size = self._console.size
        self._live.update(self._drawn(draw(size.width, size.height, False)), refresh=True)

    def end(self, draw: Draw) -> None:  # noqa: D102
        try:
            with contextlib.suppress(Exception):
                self._redirection.flush()
            with contextlib.suppress(Exception):
                self._live.update(self._drawn(draw(self._console.width, None, True)))
            self._live.stop()
        finally:
            self._redirection.undo()

    def _drawn(self, picture: RenderableType) -> SegmentLines:
        """As lines: Rich would draw it once more for each line that the program prints."""
        lines = self._console.render_lines(picture, pad=False)
        return SegmentLines(lines, new_lines=True)


class Notebook:
    """A cell's output, through IPython; one output, however often it changes."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""

    def show(self, draw: Draw) -> None:  # noqa: D102  as Screen says
        self._publish(draw(NOTEBOOK_WIDTH, None, False))

    def end(self, draw: Draw) -> None:  # noqa: D102
        self._publish(draw(NOTEBOOK_WIDTH, None, True))

    def _publish(self, picture: RenderableType) -> None:
        from IPython.display import display  # there, if this is a notebook

        # Rich's own way into a notebook needs ipywidgets.
        paper = Console(
            record=True,
            file=io.StringIO(),
            width=NOTEBOOK_WIDTH,
            force_jupyter=False,
            force_terminal=True,
            color_system="truecolor",
            legacy_windows=False,
        )
        paper.print(picture)
        text = "\n".join(line.rstrip() for line in paper.export_text(clear=False).splitlines())
        html = paper.export_html(inline_styles=True, code_format=_HTML)
        if html == self._shown:
            return
        data = {"text/html": html, "text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
        self._shown = html


_HTML = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:normal;'
    "font-family:Menlo,'DejaVu Sans Mono',consolas,'Courier New',monospace\">{code}</pre>"
)


class _Redirection:
    """What the program prints, through Rich's console; only what would reach a terminal.

    Rich's own breaks long lines, takes `[red]` in a line without an end for markup, sends a
    standard error that goes to a file to the terminal, and loses a last line without an end.
    """

    def __init__(self, console: Console) -> None:
        self._before: dict[str, Any] = {}
        self._ours: dict[str, FileProxy] = {}
        prints = cast("Console", _AsTheyAre(console))
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if _is_terminal(stream) and not isinstance(stream, FileProxy):
                self._before[name] = stream
                self._ours[name] = FileProxy(prints, stream)
                setattr(sys, name, self._ours[name])
        _redirections.add(self)

    def flush(self) -> None:
        for ours in self._ours.values():
            ours.flush()

    def undo(self) -> None:
        """Puts back what was there, unless somebody else has put something there since."""
        for name, ours in self._ours.items():
            if getattr(sys, name) is ours:
                setattr(sys, name, self._before[name])
        _redirections.discard(self)


class _AsTheyAre:
    """A console that prints lines as they are."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        self._console.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._console.__exit__(*error)

    def print(self, lines: Text | str) -> None:
        self._console.print(lines, soft_wrap=True, markup=False, highlight=False, emoji=False)


def _is_terminal(stream: Any) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # none there, or closed
        return False


_redirections: weakref.WeakSet[_Redirection] = weakref.WeakSet()


def _in_child() -> None:
    for redirection in list(_redirections):
        redirection.undo()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
