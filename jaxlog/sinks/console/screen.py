"""The screens that show the live table, a terminal or a notebook, and restore it at the end."""

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

from jaxlog._say import Once
from jaxlog._say import log as _log

NOTEBOOK_WIDTH = 100
"""The columns of the table in a notebook, whose real width is not known."""
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


class Terminal:
    """A terminal, through Rich. Output of the program appears above the table.

    Args:
      console: Rich's global console, which `rich.print` also uses; the table would overwrite the
        output of another console.

    Raises:
      rich.errors.LiveError: there is another live display, and this version of Rich allows one.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        # `_Redirection` redirects the streams instead.
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
        """Renders to lines, because Rich renders again for each line that the program prints."""
        lines = self._console.render_lines(picture, pad=False)
        return SegmentLines(lines, new_lines=True)


class Notebook:
    """The output of a notebook's cell, through IPython: one output that is updated."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""

    def show(self, draw: Draw) -> None:  # noqa: D102  as Screen says
        self._publish(draw(NOTEBOOK_WIDTH, None, False))

    def end(self, draw: Draw) -> None:  # noqa: D102
        self._publish(draw(NOTEBOOK_WIDTH, None, True))

    def _publish(self, picture: RenderableType) -> None:
        from IPython.display import display  # always installed in a notebook

        # Rich's own display in notebooks needs ipywidgets.
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
    """Redirects streams that are terminals to Rich's console, to print above the table.

    Rich's own redirection breaks long lines, treats `[red]` in an unfinished line as markup, sends
    a standard error that goes to a file to the terminal, and loses an unfinished last line.
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
        """Restores the streams, unless other code has replaced them since."""
        for name, ours in self._ours.items():
            if getattr(sys, name) is ours:
                setattr(sys, name, self._before[name])
        _redirections.discard(self)


class _AsTheyAre:
    """A console that prints lines unchanged, without wrapping, markup and highlighting."""

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
    except (AttributeError, ValueError):  # there is no stream, or it is closed
        return False


_redirections: weakref.WeakSet[_Redirection] = weakref.WeakSet()


def _in_child() -> None:
    for redirection in list(_redirections):
        redirection.undo()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
