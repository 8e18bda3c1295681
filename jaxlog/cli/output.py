"""Where a command writes: standard output as it is read, by a terminal or by a program."""

from __future__ import annotations

import shutil
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from jaxlog.sinks.console.picture import WIDEST


class Output(Console):
    """Rich on standard output; in a pipe as wide as a table gets, and without colours."""

    def __init__(self) -> None:
        # What COLUMNS says, then the terminal; Rich has 80 for a pipe, which cuts names.
        width = shutil.get_terminal_size((WIDEST, 24)).columns
        super().__init__(width=width, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> NoReturn:
        """Lets `main` end the command: Rich would exit as if the answer were no."""
        raise BrokenPipeError

    def say(self, text: str, style: str = "") -> None:
        """One line of text, however long: a pipe and a terminal break it as they like."""
        self.print(Text(text, style), soft_wrap=True)
