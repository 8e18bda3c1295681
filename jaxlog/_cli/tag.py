"""`jaxlog tag`: adds tags to runs, and removes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import out
from jaxlog._host.annotations import annotate
from jaxlog._terminal import plain

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Tags = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TAG...")]
_Where = Annotated[str, tyro.conf.arg(aliases=["-w"], metavar="FILTER")]


def tag(run: _Run, tags: _Tags = (), *, remove: tuple[str, ...] = (), where: _Where = "") -> int:
    """Add tags to runs, or remove them.

    Tags are in annotations.json beside run.json, so the run may be live.

    Args:
      run: The directory of a run; with --where, a directory of runs.
      tags: The tags that are added.
      remove: The tags that are removed.
      where: Tag all runs below the directory that match, such as "lr=3e-4 return>400".

    Returns:
      0.

    Raises:
      CommandError: no tag is given, a tag has a comma or no letters, or the filter cannot be read.
      OSError: there is no run, or its directory cannot be written.
    """
    if not tags and not remove:
        raise CommandError("tag: got no tags, expected some to add, or --remove with some")
    for one in (*tags, *remove):
        if not one.strip() or "," in one:
            raise CommandError(f"tag: got {one!r}, expected a text without commas")
    for path, facts in run_paths.chosen("tag", run, where):
        found = annotate(path, facts.get("id"), lambda old: old.with_tags(tags, remove))
        given = facts.get("tags")
        shown = found.tags_with(given if isinstance(given, list) else [])
        out(f"{path}: {plain(' · '.join(shown)) or 'no tags'}")
    return 0
