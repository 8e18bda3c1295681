"""`jaxlog report`: writes one HTML file about runs, to read, print or send."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import read_runs
from jaxlog._cli.errors import CommandError
from jaxlog._cli.files import whole_file
from jaxlog._cli.stream import note, out
from jaxlog._reading.finding import event_files, not_read
from jaxlog._report.summary import Summary
from jaxlog._terminal import plain
from jaxlog._watching.history import READ, last_events, progress
from jaxlog._watching.observed_run import ObservedRun
from jaxlog._watching.run_facts import Lanes, facts, lanes_of

_Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...", help_behavior_hint="")
]
_Output = Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]


def report(run: _Runs, *, output: _Output = Path("report.html"), force: bool = False) -> int:
    """Write one HTML file about runs: summary, curves, comparison, episodes, settings.

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
    if output.is_dir():
        raise CommandError(f"{output}: is a directory, expected a file, like {output}/report.html")
    if not output.parent.is_dir():
        raise CommandError(f"{output}: there is no directory {output.parent}; create it first")
    if output.exists() and not force:
        raise CommandError(
            f"{output}: would be overwritten; pass --force to allow it, or another --output"
        )
    found = read_runs(run)
    text = _page(list(found), found.names)
    with whole_file(output) as draft:
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
    """Collects what the report says about a run, and prints a note about unreadable lines."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        for call in one.calls:
            one.metrics_of(call)
        _ = one.episodes, one.evaluations  # read here, so that the warnings are caught
    broken = [plain(str(warning.message)) for warning in caught]
    for text in broken:
        note(text)
    broken += not_read(one.path)  # `read_runs` has printed these warnings
    run = ObservedRun(one.path, one.info, one.status)
    files = event_files(run.path)
    done, _ = progress(run)
    health = run.health(done, one._tally())
    rows = [
        (fact.label, fact.text, bool(fact.style)) for fact in facts(run, health, _lanes(one), files)
    ]
    rows += [("broken", text, True) for text in broken]
    return Summary(run.name, run.status, run.status_text, health, rows)


def _lanes(one: RunData) -> Lanes:
    """Returns the lanes of one of the last events, the one with the most.

    The frames have them already: a million lines would have to be parsed once more.
    """
    arrays = [one.file_of_arrays] if one.file_of_arrays else []
    found = [lanes_of(list(last_events(arrays, one.info.get("calls"))))]
    found += [_lanes_of_call(one, call) for call in one.calls]
    return max(found, key=lambda lanes: lanes.number)


def _lanes_of_call(one: RunData, call: str) -> Lanes:
    frame = one.metrics_of(call)
    step, timestamp = frame["step"].to_numpy(), frame["timestamp"].to_numpy()
    (ends,) = np.nonzero((step[1:] != step[:-1]) | (timestamp[1:] != timestamp[:-1]))
    begins = [0, *(ends[-READ:] + 1).tolist(), len(frame)][-READ - 1 :]
    first, end = max(itertools.pairwise(begins), key=lambda rows: rows[1] - rows[0])
    event = frame[first:end]
    values = {name: event[name].drop_nulls() for name in one.labels_of(call)}
    labels = {name: own.unique(maintain_order=True) for name, own in values.items() if len(own)}
    return Lanes(len(event), labels)


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
