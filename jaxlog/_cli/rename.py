"""`jaxlog rename`: gives a run another name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._host.annotations import annotate

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]


def rename(run: _Run, name: _Name) -> int:
    """Give a run another name; its directory stays.

    The name is in annotations.json beside run.json, so the run may be live. To move a run that has
    ended, move its directory.

    Args:
      run: The directory of the run.
      name: The new name; "" for the one it began with.

    Returns:
      0.

    Raises:
      OSError: there is no run, or its directory cannot be written.
    """
    [(path, facts)] = run_paths.chosen("rename", run)
    annotate(path, facts.get("id"), lambda old: old.with_name(" ".join(name.split())))
    return 0
