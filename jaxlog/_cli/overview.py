"""The part of `jaxlog` without arguments below its help: the newest runs below `runs`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rich.text import Text

from jaxlog._cli import run_paths
from jaxlog._cli.output import LONGEST_ROW, Output
from jaxlog._cli.show import table
from jaxlog._watching.observed_run import observed

NEWEST = 5
"""The number of runs that are listed."""


def overview() -> int:
    """Lists the newest runs.

    Returns:
      0.
    """
    found: list[Path] = []
    with contextlib.suppress(OSError):  # there are none, or they cannot be read
        found = run_paths.named(run_paths.DIRECTORY)
    if found:
        output = Output(LONGEST_ROW)
        output.print()
        more = f", newest {NEWEST} of {len(found)}" if len(found) > NEWEST else ", newest first"
        output.print(Text(f"runs in {run_paths.DIRECTORY}{more}:", "bold"))
        output.print(table([observed(path) for path in found[:NEWEST]]))
    return 0
