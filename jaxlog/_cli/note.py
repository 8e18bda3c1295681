"""`jaxlog note`: writes a note about a run, and prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.stream import out
from jaxlog._host.annotations import annotate, annotations_of

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Text = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")]


def note(run: _Run, text: _Text = None) -> int:
    """Write a note about a run, or print it.

    The note is in annotations.json beside run.json, so the run may be live.

    Args:
      run: The directory of the run.
      text: The note, which replaces the one before; "" removes it. Without it, the note is printed.

    Returns:
      0.

    Raises:
      OSError: there is no run, or its directory cannot be written.
    """
    [(path, facts)] = run_paths.chosen("note", run)
    if text is None:
        out(annotations_of(path, facts.get("id")).note)
    else:
        annotate(path, facts.get("id"), lambda old: old.with_note(text))
    return 0
