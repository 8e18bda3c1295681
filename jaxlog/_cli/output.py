"""Prints tables to standard output, for a terminal or for a program that reads a pipe."""

from __future__ import annotations

import shutil
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from jaxlog._watching.state import TONES, Tone
from jaxlog.sinks.console.lines import WIDTH

COLOURS: dict[Tone, str] = {"ok": "green", "bad": "red", "warn": "yellow"}
"""The colour of each tone."""
STYLES = {status: COLOURS[tone] for status, tone in TONES.items()}
"""The colour of each status. The others are yellow: the user or the system ended the run."""


LONGEST_ROW = 1000
"""The width of a list of runs in a pipe, in characters: wide enough not to cut paths."""


class Output(Console):
    """A Rich console on standard output.

    Args:
      width: the width in columns if neither a terminal nor COLUMNS gives one. Rich's default for a
        pipe is 80, which would cut lines that another program reads.
    """

    def __init__(self, width: int = WIDTH) -> None:
        columns = shutil.get_terminal_size((width, 24)).columns
        super().__init__(width=columns, highlight=False, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints; in a pipe or a file, without the blanks with which tables fill their lines."""
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))

    def on_broken_pipe(self) -> NoReturn:
        """Lets `main` end the command with its own exit code; Rich would exit with 1."""
        raise BrokenPipeError

    def say(self, text: str, style: str = "") -> None:
        """Prints one line of text, without wrapping it."""
        self.print(Text(text, style), soft_wrap=True)
