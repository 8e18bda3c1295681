"""`jaxlog report`: writes the page about runs as one HTML file, to read, print or send."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.files import whole_file
from jaxlog._cli.stream import note, out
from jaxlog._reading.finding import run_directories
from jaxlog._text import counted

if TYPE_CHECKING:
    from jaxlog._page.report import Report

_Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...", help_behavior_hint="")
]
_Output = Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]


def report(run: _Runs, *, output: _Output = Path("report.html"), force: bool = False) -> int:
    """Write the page of `jaxlog serve` as one HTML file, with what it shows of some runs.

    It has the state, the answer, the table of runs, all charts, the comparison, episodes and
    facts. What there is no room for is said where it is missed.

    Args:
      run: Directories of runs, directories that contain runs, or patterns like 'runs/ppo-*'.
      output: The file to write. A browser shows it without other files and without a network.
      force: Overwrite a file that exists.

    Returns:
      0.

    Raises:
      CommandError: no run is given, the extra `explore` is not installed, the file exists, or
        its directory does not.
      OSError: there is no run, or it cannot be read, or the file cannot be written.
    """
    if not run:
        raise CommandError(
            "report: got no run; give the directories of one or more runs, like 'runs/*'"
        )
    if run_paths.written("report", output).is_dir():
        raise CommandError(f"{output}: is a directory, expected a file, like {output}/report.html")
    if not output.parent.is_dir():
        raise CommandError(f"{output}: there is no directory {output.parent}; create it first")
    if output.exists() and not force:
        raise CommandError(
            f"{output}: would be overwritten; pass --force to allow it, or another --output"
        )
    places = [run_paths.located(one) for one in run]
    found = run_directories(places)
    made = _made(places, found)
    for text in made.notes:
        note(text)
    with whole_file(output) as draft:
        draft.write(made.page.encode("utf-8", "replace"))
    out(f"{output}: {counted(len(found), 'run')}, {_size(output)}")
    return 0


def _made(places: Sequence[Path], found: Sequence[Path]) -> Report:
    try:
        from jaxlog._page.answers import Answers
        from jaxlog._page.followed import FollowedRuns
        from jaxlog._page.report import report as made
    except ModuleNotFoundError as error:
        raise CommandError(
            f"report: needs {error.name}, which is not installed: pip install 'jaxlog[explore]'"
        ) from None
    only = None
    directory = places[0]
    if len(places) > 1 or not directory.is_dir():
        only = [path.resolve() for path in found]
        directory = Path(os.path.commonpath([path.parent for path in only]))
    followed = FollowedRuns(directory, only)
    try:
        return made(Answers(followed), datetime.now().astimezone())
    except FileNotFoundError as error:
        raise CommandError(f"report: {error}") from None


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
