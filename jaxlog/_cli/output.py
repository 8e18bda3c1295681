"""Where a command writes: standard output as it is read, by a terminal or by a program."""

from __future__ import annotations

import shutil
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from jaxlog.sinks.console.run_display import WIDEST


class Output(Console):
    """Rich on standard output.

    Args:
      width: in columns, where neither the terminal nor COLUMNS tells. Rich's own 80, for a pipe,
        would cut what another program is to read.
    """

    def __init__(self, width: int = WIDEST) -> None:
        columns = shutil.get_terminal_size((width, 24)).columns
        super().__init__(width=columns, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> NoReturn:
        """Lets `main` end the command: Rich would exit as if the answer were no."""
        raise BrokenPipeError

    def say(self, text: str, style: str = "") -> None:
        """One line of text, however long: a pipe and a terminal break it as they like."""
        self.print(Text(text, style), soft_wrap=True)
