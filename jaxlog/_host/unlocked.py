"""run.json in place of a lock: it names the process that writes the run."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

from jaxlog import _run_files
from jaxlog._format.run_file import facts_in
from jaxlog._host.processes import runs_since
from jaxlog._say import log as _log
from jaxlog._terminal import plain

_BEGINS = ".begins"
"""The ending of the name of the file that will be run.json: only one process can make it."""
_LEFT_OVER = 60.0
"""Seconds after which such a file is that of a process that was killed while it wrote it."""


def content(file: Path) -> bytes | None:
    """The content of run.json; None if there is none, or none that a run has."""
    try:
        return _run_files.read_small(file)
    except (FileNotFoundError, _run_files.NotReadError):
        return None


def open_error(file: Path) -> FileExistsError:
    """The error that the run of a run.json is open."""
    return FileExistsError(
        f"{file.parent}: has a run that is open, of {_holder(file)}; choose another directory, or "
        "end that run first"
    )


def check(file: Path, found: bytes | None) -> None:
    """Raises if the process of a run that was not closed runs, and warns if it may.

    Args:
      file: run.json.
      found: its content.

    Raises:
      FileExistsError: the process runs.
    """
    facts = facts_in(found or b"")
    if facts.get("status") != "running":
        return
    runs = None
    if facts.get("host") == socket.gethostname():
        runs = runs_since(facts.get("pid"), facts.get("opened"))
    if runs:
        raise open_error(file)
    if runs is None:
        _log.warning(
            "jaxlog: %s: this file system has no locks, and the run there was not closed. If "
            "%s still writes it, end that first: two programs would mix their lines.",
            file.parent,
            _holder(file),
        )


def begin(file: Path, found: bytes | None, data: bytes) -> None:
    """Writes the run.json of a run that begins; of several processes at once, only one does.

    Args:
      file: run.json.
      found: its content when the directory was looked at.
      data: its new content.

    Raises:
      FileExistsError: another run has begun or begins there.
      OSError: it cannot be written.
    """
    first = file.with_name(f".{file.name}{_BEGINS}")
    with contextlib.suppress(FileNotFoundError):
        if time.time() - first.lstat().st_mtime > _LEFT_OVER:
            first.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        opened = os.open(first, flags, 0o666)
    except FileExistsError:
        raise open_error(file) from None
    try:
        with os.fdopen(opened, "wb") as written:
            written.write(data)
        if content(file) != found:
            raise open_error(file)
        first.replace(file)
    except BaseException:
        first.unlink(missing_ok=True)
        raise


def _holder(file: Path) -> str:
    try:
        facts = facts_in(_run_files.read_small(file))
        pid, host = facts["pid"], facts["host"]
    except (OSError, KeyError):
        return "another process"
    if host != socket.gethostname():
        return plain(f"process {pid} on {host}")
    return "this process" if pid == os.getpid() else plain(f"process {pid}")
