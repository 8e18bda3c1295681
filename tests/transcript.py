"""Runs the transcript of a page: its commands and its Python, in their order, in one directory.

A block `console` has commands after `$`, each followed by what it prints; a block `pycon` has
Python after `>>>`. `python -m tests.transcript` writes what they print into
`docs/guides/a_month_of_runs.md`, whose runs are those of `tests.month`.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from jaxlog.sinks.console.trend import BLOCKS
from tests import month

PAGE = Path(__file__).parent.parent / "docs" / "guides" / "a_month_of_runs.md"
COLUMNS = "104"
"""The width of a terminal; no table gets wider by the age of its runs."""
_BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?|\d:\d\d:\d\d|\b\d+(\.\d+)? (s|min|h|d|ms|µs|KiB)\b|"
    r"\S+ updates/s"
)
_TREND = re.compile(f"[{BLOCKS}]{{8,}}")
"""A trend. It is of events at evenly spaced places of a file, whose lines have times of the machine
in them, so that another time may show a neighbour of an event."""
_OF_THE_MACHINE = re.compile(
    r"^((?:command|code|devices|versions) +).*(?:\n {4,}.*)*", re.MULTILINE
)
"""The lines of `jaxlog show` that a page leaves out: they tell of the machine of the author."""


class Transcript:
    """The state of one run of a page.

    Args:
      directory: where it runs; `runs` in it has the runs.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names: dict[str, Any] = {}

    def rewritten(self, text: str) -> str:
        """Runs the blocks of a page, and returns the page with what they print."""
        run = {"console": self._console, "pycon": self._pycon}
        return _BLOCK.sub(lambda found: f"```{found[1]}\n{run[found[1]](found[2])}```", text)

    def _console(self, block: str) -> str:
        commands = [line for line in block.splitlines() if line.startswith("$ ")]
        return "".join(f"{line}\n{self._command(line[2:])}" for line in commands)

    def _command(self, line: str) -> str:
        words = shlex.split(line)
        command = [sys.executable, "-m", *words] if words[0] == "jaxlog" else words
        done = subprocess.run(
            command,
            cwd=self._directory,
            env=os.environ | {"COLUMNS": COLUMNS, "PYTHONPATH": str(PAGE.parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        shown = _OF_THE_MACHINE.sub(r"\1…", done.stdout)
        return "".join(f"{line.rstrip()}\n" for line in shown.splitlines())

    def _pycon(self, block: str) -> str:
        found = []
        for example in doctest.DocTestParser().get_examples(block):
            lines = example.source.splitlines()
            found += [f">>> {lines[0]}", *(f"... {line}" for line in lines[1:])]
            found += self._printed(example.source).splitlines()
        return "".join(f"{line.rstrip()}\n" for line in found)

    def _printed(self, source: str) -> str:
        out = io.StringIO()
        code = compile(source, "<transcript>", "single")
        with (
            contextlib.chdir(self._directory),
            contextlib.redirect_stdout(out),
            warnings.catch_warnings(record=True) as said,
        ):
            warnings.simplefilter("always")
            exec(code, self._names)
        return "".join(f"{w.category.__name__}: {w.message}\n" for w in said) + out.getvalue()


def comparable(text: str) -> list[list[str]]:
    """The words of each line of a page, without times and trends, which differ each time."""
    return [_TREND.sub("▁", _TIMES.sub("…", line)).split() for line in text.splitlines()]


if __name__ == "__main__":
    os.environ["COLUMNS"] = COLUMNS
    with tempfile.TemporaryDirectory() as name:
        month.build(Path(name, "runs"))
        PAGE.write_text(Transcript(Path(name)).rewritten(PAGE.read_text()))
