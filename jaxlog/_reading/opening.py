"""Opens runs: reads run.json of each and lists its files, in this process or in an executor."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

from jaxlog._format.named_files import named_files
from jaxlog._format.run_file import newer_format
from jaxlog._host.directory import RUN_FILE
from jaxlog._host.status import observe
from jaxlog._reading.executing import groups, results
from jaxlog._reading.finding import files_of_tables, is_run, not_read, run_path
from jaxlog._store.known import shown


class OpenedRun(NamedTuple):
    """The state of a run and the names of its files.

    Attributes:
      data: the content of run.json, as bytes, of which thousands need little memory.
      status: as for `jaxlog.RunData`.
      tables: the names of the files of each table.
      notes: the warnings about it.
    """

    data: bytes
    status: str
    tables: Mapping[str, Sequence[str]]
    notes: Sequence[str]


def opened(path: Path) -> OpenedRun:
    """Opens the run in a directory."""
    data, facts, status = observe(path)
    newer = newer_format(facts)
    named = named_files(path)
    tables = {stem: [one.name for one in own] for stem, own in files_of_tables(named).items()}
    notes = [f"{path}: {newer}"] if newer else []
    read = {name for own in tables.values() for name in own} | ({RUN_FILE} if data else set())
    return OpenedRun(data, status, tables, notes + not_read(named, read))


def opened_runs(paths: Sequence[Path], executor: Executor | None) -> Iterator[OpenedRun]:
    """Opens the runs in some directories, in their order.

    Args:
      paths: the directories.
      executor: where they are opened; None for this thread.
    """
    if executor is None:
        yield from map(opened, paths)
        return
    for some in results(_opened, groups([shown(path) for path in paths]), executor):
        yield from some


def _opened(places: Sequence[str]) -> list[OpenedRun]:
    return [_opened_there(place) for place in places]


def _opened_there(place: str) -> OpenedRun:
    path = run_path(place)
    found = None
    with contextlib.suppress(FileNotFoundError):
        found = opened(path)
    if found is None or not (found.data or found.tables or is_run(path)):
        raise FileNotFoundError(
            f"{place}: is no run for the executor's process on {socket.gethostname()}, and is one "
            "here: give a directory that its machines share, or the address of a store"
        )
    return found
