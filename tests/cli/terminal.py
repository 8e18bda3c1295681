"""A terminal in which a test runs a command, types keys, and sees what is written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.cli.conftest import ROOT

PATIENCE = 60.0
"""Seconds to wait for a text; a test fails after them."""


class TestTerminal:
    """A command in a terminal of its own.

    Attributes:
      process: the process of the command, or its shell.
      before: the modes of the terminal at the beginning.
      written: what it wrote, with the escape sequences.
    """

    __test__ = False

    def __init__(self, process: subprocess.Popen[bytes], main: int, other: int) -> None:
        self.process = process
        self.written = ""
        self._main, self._other = main, other
        self.before = self.modes

    @property
    def text(self) -> str:
        """The output, without escape sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.written)

    @property
    def modes(self) -> list[Any]:
        """The modes of the terminal, such as echo."""
        return termios.tcgetattr(self._other)

    def type(self, keys: str) -> None:
        """Types keys, and forgets what was written before."""
        self.written = ""
        os.write(self._main, keys.encode())

    def wait_for(self, text: str) -> None:
        """Waits until a text was written."""
        end = time.monotonic() + PATIENCE
        while text not in self.text:
            assert time.monotonic() < end, (text, self.text[-2000:])
            self._read(0.1)

    def end(self) -> int:
        """Waits for the end, checks that the terminal is as it was, and returns the exit code."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text[-2000:]
            self._read(0.1)
        while self._read(0.0):
            pass
        assert self.modes == self.before
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._main], [], [], seconds)[0]:
            return False
        self.written += os.read(self._main, 2**16).decode(errors="replace")
        return True


@contextlib.contextmanager
def terminal(
    arguments: Sequence[object],
    columns: int = 120,
    lines: int = 30,
    code: str | None = None,
    *,
    job: bool = False,
) -> Iterator[TestTerminal]:
    """Runs a command in a terminal, or Python code that calls it.

    With `job`, a shell runs it, which Ctrl-Z returns to. The shell says so, and Enter continues.
    """
    program = ["-m", "jaxlog"] if code is None else ["-c", code]
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    # A process of a new session that opens a terminal is the one that Ctrl-C reaches there.
    opens = 'exec "$@" <"$0" >"$0" 2>&1'
    if job:
        opens = 'exec <"$0" >"$0" 2>&1; set -m; "$@"; echo the shell again; read line; fg'
    command = [sys.executable, "-W", "error", *program, *map(str, arguments)]
    with subprocess.Popen(
        ["sh", "-c", opens, os.ttyname(other), *command],
        env=env | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
        start_new_session=True,
    ) as process:
        try:
            yield TestTerminal(process, main, other)
        finally:
            process.kill()
            os.close(main)
            os.close(other)
