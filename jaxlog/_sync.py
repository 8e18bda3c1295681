"""`jaxlog.sync`, which sends runs to a tracker as the command `jaxlog sync` does."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from jaxlog._analysis.run_data import RunData
from jaxlog._errors import ConfigError, ConfigWarning, without_errors
from jaxlog._reading.finding import run_directories
from jaxlog._sending.outcome import SentRun, Tracker
from jaxlog._settings import load_config
from jaxlog.sinks.sink import SinkSettings

_Run = str | os.PathLike[str] | RunData


def sync(
    runs: _Run | Iterable[_Run],
    to: Tracker,
    *,
    settings: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    follow: bool = False,
    again: bool = False,
) -> list[SentRun]:
    """Sends runs to a tracker, as its sink would have: all of them once, then only what is new.

    It reads the files of the runs, which need the sink `jsonl` or `arrow`, and writes them with the
    tracker's own sink. How far each was sent is noted in its folder `sent`: the next call sends
    what the run has logged since. A run may be live.

    Args:
      runs: a run, a directory of runs, a pattern, or several of these; also what `read_run`,
        `read_runs` and `find_runs` return.
      to: the tracker: `wandb`, `tensorboard`, `trackio` or `mlflow`. Its package has to be
        installed.
      settings: the settings of its sink, such as `{"project": "walks"}`; or the path of a settings
        file that has one sink of this kind; None for the defaults.
      follow: whether to wait until the run ends, and send what it logs. Only for one run.
      again: whether to send all of a run that was sent before, as another run of the tracker.

    Returns:
      What was sent, for each run.

    Raises:
      LoggingError: a run could not be sent, or not all of it: another process sends it, its own
        sink has sent it, or the tracker refuses it. The other runs are sent.
      ConfigError: the settings cannot be used.
      FileNotFoundError: there is no run.
      OSError: the directory of a run cannot be written.
      ValueError: `to` is no tracker, or `follow` is given with several runs.

    >>> import tempfile
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with logger.open(f"{folder}/run") as run:
    ...         run.log({"loss": 0.5}, step=0)
    ...     [first] = jaxlog.sync(f"{folder}/run", "tensorboard")
    ...     [second] = jaxlog.sync(f"{folder}/run", "tensorboard")
    >>> first.events, second.events, second.before
    (1, 0, 1)
    """
    if to not in get_args(Tracker):
        raise ValueError(f"to: got {to!r}, expected one of {', '.join(get_args(Tracker))}")
    from jaxlog._sending.send import sent_each  # it needs what draws

    own = tracker_settings(to, settings)
    each = [runs] if isinstance(runs, str | os.PathLike | RunData) else list(runs)
    paths = run_directories([one.path if isinstance(one, RunData) else one for one in each])
    if follow and len(paths) > 1:
        raise ValueError(f"follow: got {len(paths):,} runs, expected one")
    return without_errors(sent_each(paths, own, again=again, follow=follow))


def tracker_settings(
    to: Tracker,
    given: Mapping[str, Any] | str | os.PathLike[str] | None,
    changes: Sequence[str] = (),
) -> SinkSettings:
    """The settings of a tracker's sink.

    Args:
      to: the kind of the sink.
      given: settings by name; the path of a settings file; or None.
      changes: changes of settings, `key=value`.

    Raises:
      ConfigError: the file does not have one sink of this kind, or the settings cannot be used.
    """
    sink: SinkSettings | dict[str, Any] = {"kind": to}
    if isinstance(given, Mapping):
        if given.get("kind", to) != to:
            raise ConfigError(f"settings: got those of the sink {given['kind']!r}, expected {to!r}")
        sink = {**given, "kind": to}
    elif given is not None:
        sinks = [one for one in load_config(Path(given)).sinks if one.kind == to]
        if len(sinks) != 1:
            raise ConfigError(f"{given}: got {len(sinks)} sinks {to}, expected one")
        sink = sinks[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)  # they are about a program that logs
        loaded = load_config({"sinks": [sink]}, *(f"sinks.0.{text}" for text in changes))
    return loaded.sinks[0]
