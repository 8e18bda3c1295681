"""The open runs of this process: closed when Python ends, given up in the child of a fork."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import Protocol

from jaxlog._format.events import RunInfo
from jaxlog._say import log as _log


class Open(Protocol):
    """An open run."""

    info: RunInfo

    def close(self, error: BaseException | None = None) -> None:
        """Closes it."""

    def abandon(self) -> None:
        """Gives it up in the child of a fork: the run is its parent's."""


_open_runs: list[Open] = []


def add(run: Open) -> None:
    """Notes that a run is open."""
    _open_runs.append(run)


def close_first_at_exit() -> None:
    """Makes `_close_all` run first when Python ends, before the hooks registered until now.

    A sink's `open` may have registered such a hook, as that of W&B does. The sink has to be closed
    before its hook runs.
    """
    atexit.unregister(_close_all)
    atexit.register(_close_all)


def remove(run: Open) -> None:
    """Notes that a run is closed."""
    with contextlib.suppress(ValueError):
        _open_runs.remove(run)


def names_of_open_runs() -> list[str]:
    """The names of the runs that are open in this process, of all loggers."""
    return [run.info.name for run in list(_open_runs)]


@atexit.register
def _close_all() -> None:
    """Closes the runs that are open when the program ends."""
    ended_by = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    for run in list(_open_runs):
        try:
            run.close(ended_by)
        except Exception as error:
            _log.error("jaxlog: run %s: %s", run.info.name, error)


def _abandon_all() -> None:
    for run in list(_open_runs):
        run.abandon()
    _open_runs.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
