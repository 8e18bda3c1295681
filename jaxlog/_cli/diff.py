"""`jaxlog diff`: compares what made two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import tyro
from rich.text import Text

from jaxlog._analysis.run_difference import SECTIONS
from jaxlog._analysis.run_difference import diff as difference_of
from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.output import LONGEST_ROW, Output
from jaxlog._cli.stream import out
from jaxlog._terminal import clean, escaped

_STYLES = {"a": "red", "b": "green", "head": "bold cyan", "note": "yellow"}
"""The style of each kind of line."""

_A = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="A")]
_B = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="B")]
_Only = Annotated[str, tyro.conf.arg(metavar="SECTIONS")]


def diff(a: _A, b: _B, *, only: _Only = "", json: bool = False) -> int:
    """Compare what made two runs: config, settings, command, code, packages, environment.

    Args:
      a: The directory of a run.
      b: That of another.
      only: The sections that are compared, with commas between them, such as config,code.
      json: Print a JSON object.

    Returns:
      0 if the runs do not differ, 1 if they do.

    Raises:
      CommandError: there is no such section.
      OSError: there is no run, or it cannot be read.
    """
    names = [name for part in only.split(",") if (name := part.strip())]
    for name in names:
        if name not in SECTIONS:
            raise CommandError(
                f"diff: --only: got {name!r}, expected some of {', '.join(SECTIONS)}"
            )
    found = difference_of(run_paths.named(a)[0], run_paths.named(b)[0], only=names)
    if json:
        out(escaped(orjson.dumps(found.to_dict()).decode()))
        return int(bool(found))
    output = Output(LONGEST_ROW)
    for text, kind in found.lines():
        line = Text(clean(text.expandtabs(4)), _STYLES.get(kind, ""))
        output.print(line, soft_wrap=True)
    return int(bool(found))
