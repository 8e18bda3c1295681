"""`jaxlog sync`: sends runs to a tracker, as the tracker's sink would have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import flush, note, out
from jaxlog._errors import ConfigError, SendingError
from jaxlog._sending.outcome import Tracker
from jaxlog._sending.send import sent_each
from jaxlog._sync import tracker_settings
from jaxlog._terminal import plain

_Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
_File = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
_Set = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]],
    tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint="(repeatable)"),
]
_Where = Annotated[str, tyro.conf.arg(aliases=["-w"], metavar="FILTER")]


def sync(
    runs: _Runs,
    *,
    to: Tracker,
    settings: _File = None,
    set: _Set = (),
    where: _Where = "",
    follow: bool = False,
    again: bool = False,
) -> int:
    """Send runs to a tracker, as its sink would have: all of them once, then only what is new.

    Args:
      runs: Directories of runs, or directories with runs below them.
      to: The tracker.
      settings: A settings file that has a sink of this kind, whose settings are used.
      set: A setting of the sink, like `project=walks` or `lanes=aggregate`.
      where: Send the runs that match, such as "lr=3e-4 return>400".
      follow: Go on until the run ends. Only for one run.
      again: Send all of a run that was sent before, as another run of the tracker.

    Returns:
      0.

    Raises:
      CommandError: no run is given, the settings file has no such sink, or a run could not be
        sent. The other runs are sent.
      ConfigError: the settings cannot be used.
      OSError: there is no run, or its directory cannot be written.
    """
    if wrong := [text for text in set if text.startswith("kind=") or "=" not in text]:
        raise ConfigError(f"sync: --set: got {wrong[0]!r}, expected a key of the sink, KEY=VALUE")
    of_sink = tracker_settings(to, settings, set)
    if not runs:
        raise CommandError("sync: got no runs, expected directories of runs")
    found = [
        one
        for path in runs
        for one in (
            [chosen for chosen, _ in run_paths.chosen("sync", path, where)]
            if where
            else run_paths.named(run_paths.local("sync", path))
        )
    ]
    if follow and len(found) > 1:
        raise CommandError(f"sync: --follow: got {len(found):,} runs, expected one")
    failed: list[str] = []
    for sent in sent_each(found, of_sink, again=again, follow=follow):
        if isinstance(sent, SendingError):
            failed.append(str(sent))
            if len(found) > 1:
                note(f"sync: {plain(str(sent))}")
        else:
            out(plain(str(sent)))
            flush()
    if failed:
        several = f"{len(failed):,} of {len(found):,} runs were not sent, or not all of them"
        raise CommandError(f"sync: {plain(failed[0]) if len(found) == 1 else several}")
    return 0
