"""`jaxlog` alone: the commands, and the newest runs below `runs`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from rich.text import Text

from jaxlog._cli import runs
from jaxlog._cli.output import Output
from jaxlog._cli.show import LONGEST_ROW, table
from jaxlog._watching.observed_run import observed

NEWEST = 5
"""The number of runs that are listed."""

HELP = "jaxlog COMMAND --help explains its options"


def overview(commands: Mapping[str, str]) -> int:
    """Lists the commands and the newest runs.

    Args:
      commands: a line of help for each command, by its name.

    Returns:
      0.
    """
    output = Output(LONGEST_ROW)
    output.print(f"usage: jaxlog COMMAND ... ({HELP})", soft_wrap=True)
    output.print()
    rows = Table.grid(padding=(0, 2, 0, 2))
    rows.add_column(style="cyan", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, purpose in commands.items():
        rows.add_row(name, Text(purpose))
    output.print(rows)
    found: list[Path] = []
    with contextlib.suppress(OSError):  # there are none, or they cannot be read
        found = runs.named(runs.DIRECTORY)
    if found:
        output.print()
        more = f", newest {NEWEST} of {len(found)}" if len(found) > NEWEST else ", newest first"
        output.print(Text(f"runs in {runs.DIRECTORY}{more}:", "bold"))
        output.print(table([observed(path) for path in found[:NEWEST]]))
    return 0
