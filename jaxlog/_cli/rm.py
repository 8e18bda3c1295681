"""`jaxlog rm`: removes runs that have ended."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import ask, out
from jaxlog._host.directory import Directory
from jaxlog._reading.finding import below
from jaxlog._terminal import plain
from jaxlog._text import counted
from jaxlog._watching.observed_run import observed

LISTED = 10
"""The number of runs that the question lists."""

_Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
_Where = Annotated[str, tyro.conf.arg(aliases=["-w"], metavar="FILTER")]
_Yes = Annotated[bool, tyro.conf.arg(aliases=["-y"])]


def rm(runs: _Runs, *, where: _Where = "", yes: _Yes = False) -> int:
    """Remove runs with everything in their directories, after a question.

    A run that is open is not removed, also on another machine if it may still be open there.

    Args:
      runs: The directories of runs; with --where, directories of runs.
      where: Remove all runs below the directories that match, such as "status=failed age>7d".
      yes: Remove them without a question.

    Returns:
      0; 1 if the answer was not yes.

    Raises:
      CommandError: a run may be open, a path is a link, or there is nobody to ask.
      OSError: there is no run, or it cannot be removed.
    """
    found = [path for one in runs for path, _ in run_paths.chosen("rm", one, where)]
    for path in found:
        _check(path)
    if not yes:
        if not sys.stdin.isatty():
            raise CommandError(
                f"rm: got no terminal to ask for {counted(len(found), 'run')}, expected one; --yes "
                "removes without a question"
            )
        out("\n".join(_listed(found)))
        if not ask(f"Remove {counted(len(found), 'run')}?"):
            return 1
    for path in found:
        _remove(path)
        out(f"removed {path}")
    return 0


def _check(path: Path) -> None:
    if path.is_symlink():
        raise CommandError(
            f"rm: {path}: got a link, expected the directory itself; remove the link yourself"
        )
    if inside := below(path):
        raise CommandError(
            f"rm: {path}: has {counted(len(inside), 'run')} below it, expected none; remove those "
            "first"
        )
    run = observed(path)
    if run.may_log_more:
        raise CommandError(f"rm: {path}: {run.status_text}; end it before it is removed")


def _remove(path: Path) -> None:
    """Removes a run: first its name, so that nobody sees a part of it."""
    directory = Directory(path, "replace")  # locked, so that no run begins in it meanwhile
    try:
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.removed")
        path.rename(aside)
    finally:
        directory.release()
    shutil.rmtree(aside)


def _listed(paths: list[Path]) -> Iterable[str]:
    for path in paths[:LISTED]:
        files = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
        size = 0
        for file in files:
            with contextlib.suppress(OSError):
                size += file.stat().st_size
        text = f"{counted(len(files), 'file')}, {size / 1e6:,.1f} MB, {observed(path).status}"
        yield f"{plain(str(path))} ({text})"
    if len(paths) > LISTED:
        yield f"and {len(paths) - LISTED:,} more"
