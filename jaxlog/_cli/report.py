"""`jaxlog report`: runs as one HTML file, to read, to print and to send."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import read_runs
from jaxlog._cli import runs
from jaxlog._cli.errors import CommandError
from jaxlog._cli.facts import facts
from jaxlog._cli.files import whole
from jaxlog._cli.history import last_events, last_place, tally
from jaxlog._cli.stream import out, tell
from jaxlog._reading.finding import not_read, run_files
from jaxlog._report.summary import Summary

_Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...", help_behavior_hint="")
]
_Output = Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]


def report(run: _Runs, *, output: _Output = Path("report.html"), force: bool = False) -> int:
    """Write runs as one HTML file: summary, curves, comparison, episodes, settings.

    Args:
      run: Directories of runs, directories that hold runs, or patterns like 'runs/ppo-*'.
      output: The file. It needs nothing else, and loads nothing.
      force: Whether a file that is there is written over.

    Returns:
      0.

    Raises:
      CommandError: no run is named, the extra `explore` is not installed, the file is there
        already, or its directory is not.
      OSError: there is no run, or it cannot be read, or the file cannot be written.
    """
    if not run:
        raise CommandError("report: give the directory of a run, or several, like 'runs/*'")
    if output.is_dir():
        raise CommandError(f"{output}: is a directory, expected a file, like {output}/report.html")
    if not output.parent.is_dir():
        raise CommandError(f"{output}: there is no directory {output.parent}; make it first")
    if output.exists() and not force:
        raise CommandError(
            f"{output}: there already; give --force to write over it, or another --output"
        )
    found = read_runs(run)
    text = _page(list(found), found.names)
    with whole(output) as draft:
        draft.write(text.encode())
    out(f"{output}: {len(found)} {'run' if len(found) == 1 else 'runs'}, {_size(output)}")
    return 0


def _page(found: Sequence[RunData], names: Sequence[str]) -> str:
    try:
        summaries = [_summary(one) for one in found]
        from jaxlog._report.page import page
    except ModuleNotFoundError as error:
        raise CommandError(
            f"report: needs {error.name}, which is not installed: pip install 'jaxlog[explore]'"
        ) from None
    return page(found, names, summaries, datetime.now().astimezone())


def _summary(one: RunData) -> Summary:
    """What is told of a run; of lines that cannot be read, the user is told, too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        for call in one.calls:
            one.metrics_of(call)
        _ = one.episodes, one.evaluations  # read once, here
    broken = [" ".join(str(warning.message).split()) for warning in caught]
    for text in broken:
        tell(text)
    broken += not_read(one.path)  # which the reader has warned of
    run = runs.ObservedRun(one.path, one.info, one.status)
    files = run_files(run.path)
    history = list(last_events(files, run.facts.get("calls")))
    done, _ = last_place(run)
    health = run.health(done, tally(run, files))
    told = facts(run, health, history, files)
    rows = [(fact.label, fact.text, bool(fact.style)) for fact in told]
    rows += [("broken", text, True) for text in broken]
    return Summary(run.name, run.status, run.said, health, rows)


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
