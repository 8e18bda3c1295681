"""The live table in the output of a notebook's cell."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, RenderableType

from jaxlog.sinks.console.screen import Draw

NOTEBOOK_WIDTH = 100
"""The columns of the table in a notebook, whose real width is not known."""


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
