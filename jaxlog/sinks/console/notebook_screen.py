"""The live table in the output of a notebook's cell: in Jupyter by IPython, and in marimo."""

from __future__ import annotations

import queue
import sys
from typing import Any

from rich.console import RenderableType

from jaxlog.sinks.console.html import html_and_text
from jaxlog.sinks.console.screen import JOINED_WITHIN, Draw

NOTEBOOK_WIDTH = 100
"""The columns of the table in a notebook, whose real width is not known."""


class Notebook:
    """The output of a cell in Jupyter, through IPython: one output that is updated."""

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
        html, text = html_and_text(picture, NOTEBOOK_WIDTH)
        if html == self._shown:
            return
        data = {"text/html": html, "text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
        self._shown = html


class Marimo:
    """The output of a cell in marimo.

    Make it on the thread that runs the cell: only a `marimo.Thread` that this thread made can
    change the output.

    Args:
      marimo: the module.
    """

    def __init__(self, marimo: Any) -> None:
        self._marimo = marimo
        self._tables: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._shown = ""
        self._started = False
        self._thread = marimo.Thread(target=self._publish, name="jaxlog-marimo", daemon=True)

    @classmethod
    def of_cell(cls) -> Marimo | None:
        """The screen of the cell that runs on this thread; None outside of marimo's notebooks."""
        marimo = sys.modules.get("marimo")
        runs_in_notebook = getattr(marimo, "running_in_notebook", None)
        return cls(marimo) if runs_in_notebook is not None and runs_in_notebook() else None

    def show(self, draw: Draw) -> None:  # noqa: D102  as Screen says
        self._put(draw(NOTEBOOK_WIDTH, None, False))

    def end(self, draw: Draw) -> None:  # noqa: D102
        self._put(draw(NOTEBOOK_WIDTH, None, True))
        self._tables.put(None)
        self._thread.join(JOINED_WITHIN)

    def _put(self, picture: RenderableType) -> None:
        html, _ = html_and_text(picture, NOTEBOOK_WIDTH)
        if html != self._shown:
            self._tables.put(html)
            self._shown = html
        if not self._started:
            self._thread.start()
            self._started = True

    def _publish(self) -> None:
        """Shows each table in place of the one before, beside other output of the cell."""
        table = _table_class(self._marimo.Html)("")
        output = self._marimo.output
        # Not among the public functions. Without it, the table replaces other output of the cell.
        flush = getattr(sys.modules.get("marimo._runtime.output._output"), "flush", None)
        if flush is not None:
            output.append(table)
        while (html := self._tables.get()) is not None:
            table.shown = html
            if flush is None:
                output.replace(table)
            else:
                flush()


def _table_class(html: Any) -> Any:
    """A class of marimo's HTML elements whose text can change."""

    class Table(html):
        shown = ""

        @property
        def text(self) -> str:
            return self.shown

    return Table
