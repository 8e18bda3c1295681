"""Finds out what ran: the command, the code, the packages and the environment of the program.

What takes long is done on a thread of its own while the program goes on: git is asked, folders are
listed. If the process is killed within that time, these facts are missing.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlog import _run_files
from jaxlog._format.what_ran import cells_file, diff_file, packages_file
from jaxlog._host.companion import Companion, RunAccess
from jaxlog._host.git_facts import code_of
from jaxlog._host.notebook_shell import cells_run, notebook_shell, runs_in_marimo
from jaxlog._host.packages import installed
from jaxlog._host.redaction import redacted_lines, without_secrets
from jaxlog._limits import as_utf8

SECONDS = 10.0
"""The seconds that git may take."""
WAITS = 5.0
"""The seconds that the end of a run waits for these facts."""
_MOST_WORDS = 500
"""The most words of a command line that are kept."""
_MOST_OF_CELLS = 2**20
"""The most characters of the cells of a notebook that are kept, the last ones."""
_LONGEST = 2000
"""The most characters of one of these, and of a variable of the environment."""


class WhatRan(Companion):
    """Writes the facts about the program into run.json, and larger ones beside it.

    Args:
      parts: those of `PARTS` that are wanted.
      variables: the variables of the environment that may change what a program computes.
      devices: the devices of this process, with their memory.
      flags: returns the flags of the program's library that differ from their defaults; may take
        some time.
    """

    def __init__(
        self,
        parts: Iterable[str],
        *,
        variables: Mapping[str, str],
        devices: Sequence[Mapping[str, Any]],
        flags: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._parts = frozenset(parts)
        self._variables = variables
        self._devices = devices
        self._flags = flags
        self._thread: threading.Thread | None = None
        self._late = False
        self._cells: tuple[Path, str] | None = None  # the directory, and the file below it

    def begin(self, run: RunAccess) -> None:
        """Adds what is known at once, and starts the thread that finds the rest."""
        if run.info.directory is None:
            return
        # Now, since the program may change its working directory.
        known = {"command": command()} if "command" in self._parts else {}
        self._thread = threading.Thread(
            target=self._find,
            args=(run, run.info.directory, known, _places()),
            name="jaxlog-what-ran",
            daemon=True,
        )
        self._thread.start()

    def end(self, status: str, error: BaseException | None, seconds: float) -> None:  # noqa: ARG002
        """Waits for the thread, and writes the cells of a notebook that were run since."""
        if self._thread is not None:
            self._thread.join(min(seconds, WAITS))
            self._late = self._thread.is_alive()
            if self._cells is not None and not self._late:
                _write_cells(*self._cells)

    def abandon(self) -> None:
        """Forgets the thread, which the child of a fork does not have."""
        self._thread = None

    def _find(
        self, run: RunAccess, directory: Path, known: Mapping[str, Any], places: list[Path]
    ) -> None:
        """Finds the facts that take long, on a thread of its own; adds them to those known."""
        session = run.info.session
        found = dict(known)
        for part, find in (
            ("environment", self._environment),
            ("packages", lambda: self._packages(directory, session)),
            ("code", lambda: self._code(directory, session, places)),
        ):
            if part in self._parts:
                try:
                    found |= find()
                except Exception as error:
                    found[part] = {"missing": f"{type(error).__name__}: {error}"}
        if found and not self._late:
            run.add_facts(found)

    def _packages(self, directory: Path, session: int) -> dict[str, Any]:
        lines = installed(sys.path)
        text = "".join(f"{line}\n" for line in lines)
        file = self._kept(directory, packages_file, session, text)
        return {"packages": {"file": file, "number": len(lines)}}

    def _code(self, directory: Path, session: int, places: list[Path]) -> dict[str, Any]:
        code = code_of(places, SECONDS)
        facts = dict(code.facts)
        if code.diff is not None:
            facts["diff"] = self._kept(directory, diff_file, session, code.diff)
            if code.cut:
                facts["diff_is_cut"] = True
        if not self._late and _write_cells(directory, cells_file(session)):
            facts["cells"] = cells_file(session)
            self._cells = directory, cells_file(session)
        return {"git": code.version, "code": facts}

    def _kept(self, directory: Path, name: Callable[[int], str], session: int, text: str) -> str:
        """Writes a text into a file of this session, unless an earlier one has the same.

        Returns:
          The file that has the text, relative to the directory of the run.
        """
        data = text.encode()
        for earlier in range(session - 1, -1, -1):
            with contextlib.suppress(OSError):
                if _run_files.read_small_below(directory, name(earlier)) == data:
                    return name(earlier)
                break  # that of the last session that has one
        if not self._late:  # else the run is closed, and the directory may be another's
            _write(directory, name(session), data)
        return name(session)

    def _environment(self) -> dict[str, Any]:
        values = {name: _short(value) for name, value in sorted(self._variables.items())}
        return {
            "environment": {
                "system": platform.platform(),
                "cpus": os.cpu_count(),
                "memory": _memory(),
                "devices": [dict(one) for one in self._devices],
                "flags": without_secrets("flags", dict(self._flags()))[0],
                "variables": without_secrets("variables", values)[0],
            }
        }


def command() -> dict[str, Any]:
    """The command line of this process, without secrets, and where it was started."""
    words = [_short(as_utf8(word)) for word in _typed()]
    found: dict[str, Any] = {"words": without_secrets("command", words[:_MOST_WORDS])[0]}
    if len(words) > _MOST_WORDS:
        found["left_out"] = len(words) - _MOST_WORDS
    with contextlib.suppress(OSError):  # the directory was removed
        found["directory"] = as_utf8(os.getcwd())  # noqa: PTH109
    found["python"] = as_utf8(sys.executable or "")
    if (notebook := _notebook()) is not None:
        found["notebook"] = notebook
    return found


def _typed() -> list[str]:
    """The command line; for a process of multiprocessing that of the program that started it.

    Its own command line has numbers of pipes, which are others in each process. The kernel of
    marimo is such a process.
    """
    own = sys.orig_argv
    started = any(word.startswith("from multiprocessing.") for word in own)
    return [*own[:1], *sys.argv] if started or "--multiprocessing-fork" in own else own


def _notebook() -> str | None:
    """The file of the notebook whose kernel this is, empty if not known; None for a program."""
    if runs_in_marimo():
        file = getattr(sys.modules.get("__main__"), "__file__", None)
        return as_utf8(file) if isinstance(file, str) else ""
    shell = notebook_shell()
    if shell is None:
        return None
    known = getattr(shell, "user_ns", {}).get("__vsc_ipynb_file__", "")  # of VS Code
    return as_utf8(known) if isinstance(known, str) else ""


def _places() -> list[Path]:
    """The directories in which the code may be: the working directory, and that of the program."""
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found.append(Path.cwd())
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(file, str):
        with contextlib.suppress(OSError, ValueError):
            found.append(Path(file).resolve().parent)
    return found


def _write(directory: Path, inside: str, data: bytes) -> None:
    path = directory / inside
    path.parent.mkdir(exist_ok=True)  # not its parents: the run may have been removed
    with _run_files.replacing(path) as file:
        file.write(data)


def _write_cells(directory: Path, inside: str) -> bool:
    """Writes the cells of a notebook, without secrets; False if this is none."""
    cells = cells_run()
    if cells is None:
        return False
    if len(cells) > _MOST_OF_CELLS:
        cells = f"# the first cells are left out\n{cells[-_MOST_OF_CELLS:]}"
    _write(directory, inside, redacted_lines(as_utf8(cells)).encode())
    return True


def _memory() -> int | None:
    """The bytes of memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
