"""Copies what the program prints to standard output and standard error into a file of the run.

It replaces the `write` of the streams of Python, not the file descriptors below: so a terminal
stays a terminal for progress bars and for the console's table, it works in the cells of a notebook,
whose output never reaches a descriptor, and handlers of `logging` that hold a stream are copied,
too. What C++ code and other processes write to the descriptors is not copied.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import traceback
from collections.abc import Callable
from io import FileIO
from typing import Any

from jaxlog._format.what_ran import OUTPUT
from jaxlog._host.companion import Companion, RunAccess
from jaxlog._host.directory import appended
from jaxlog._host.notebook_shell import notebook_shell
from jaxlog._host.redaction import redacted
from jaxlog._say import Once
from jaxlog._say import log as _log

MOST_BYTES = 2**26
"""The most bytes that one session of a run writes into the file."""
_LONGEST = 2**16
"""The most characters of a line; a longer one is written in parts."""
_OF_CONSOLE = ("jaxlog-console", "jaxlog-display", "jaxlog-marimo")
"""The threads of the sink console, whose lines are in the run's other files."""
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_78=>]"
)
"""The control sequences of ECMA-48: colours, movements of the cursor, titles of windows."""
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class OutputCapture(Companion):
    """Copies the output of the program, line by line.

    A line that a progress bar draws again and again is written once, as it was last. The lines of
    the sink console are left out.
    """

    def __init__(self) -> None:
        self._file: FileIO | None = None
        self._lock = threading.Lock()
        self._lines: dict[int, _Line] = {}
        self._left = MOST_BYTES
        self._run = ""
        self._is_first_warning = Once()

    def begin(self, run: RunAccess) -> None:
        """Opens the file, and begins to copy."""
        info = run.info
        if info.directory is None:
            return
        self._run = info.name
        path = info.directory / OUTPUT
        if info.if_exists == "replace":
            path.unlink(missing_ok=True)
        self._file = appended(path)
        if info.session:
            self._write(f"--- session {info.session} ---\n")
        _Streams.add(self)

    def end(self, status: str, error: BaseException | None, seconds: float) -> None:  # noqa: ARG002
        """Writes the traceback of the error that ended the run, which Python prints later."""
        if error is not None and not isinstance(error, SystemExit):
            with self._lock:
                self._finish_lines()
                self._write("".join(traceback.format_exception(error)))

    def closed(self) -> None:
        """Copies no more."""
        _Streams.remove(self)
        with self._lock:
            self._finish_lines()
            file, self._file = self._file, None
        if file is not None:
            file.close()

    def abandon(self) -> None:
        """Copies no more; the parent goes on."""
        self._lock = threading.Lock()
        _Streams.remove(self)
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self, stream: int, text: str) -> None:
        """Takes a text that was written to a stream; called on the thread that wrote it."""
        with self._lock:
            line = self._lines.setdefault(stream, _Line())
            self._write("".join(line.take(text)))

    def _finish_lines(self) -> None:
        for line in self._lines.values():
            if rest := line.finish():
                self._write(rest)

    def _write(self, text: str) -> None:
        if not text or self._file is None or self._left <= 0:
            return
        data = redacted(text).encode(errors="replace")
        self._left -= len(data)
        if self._left <= 0:
            data = f"--- more than {MOST_BYTES:,} bytes; the rest is left out ---\n".encode()
        try:
            self._file.write(data)
        except (OSError, ValueError) as failed:
            self._left = 0
            if self._is_first_warning():
                _log.warning(
                    "jaxlog: run %s: %s could not be written, so output is not copied any more: %s",
                    self._run,
                    OUTPUT,
                    failed,
                )


class _Line:
    """The line that a stream is writing."""

    def __init__(self) -> None:
        self._text = ""

    def take(self, text: str) -> list[str]:
        """Adds a text; returns the lines that it completes."""
        *whole, self._text = (self._text + text).split("\n")
        lines = [f"{_plain(line)}\n" for line in whole]
        if len(self._text) > _LONGEST:
            self._text = self._text[self._text.rfind("\r") + 1 :]
        while len(self._text) > _LONGEST:
            lines.append(f"{_plain(self._text[:_LONGEST])}\n")
            self._text = self._text[_LONGEST:]
        return lines

    def finish(self) -> str:
        """Returns the incomplete line; empty if there is none."""
        text, self._text = _plain(self._text), ""
        return f"{text}\n" if text else ""


def _plain(line: str) -> str:
    r"""A line as a terminal shows it in the end: without colours, and without what was replaced.

    >>> _plain("10 %\r\x1b[32m20 %\x1b[0m\r")
    '20 %'
    """
    if "\x1b" in line:
        line = _SEQUENCES.sub("", line)
    if "\r" in line:
        line = next((part for part in reversed(line.split("\r")) if part.strip()), "")
    return _UNSAFE.sub("", line)


class _Streams:
    """The streams of this process whose writes are copied, for all runs that copy them."""

    _captures: tuple[OutputCapture, ...] = ()
    _patched: dict[int, tuple[Any, Callable[..., Any], Any]] = {}  # noqa: RUF012  one for the process
    _lock = threading.RLock()
    _copying = threading.local()

    @classmethod
    def add(cls, capture: OutputCapture) -> None:
        """Begins to copy into a capture."""
        with cls._lock:
            cls._captures = (*cls._captures, capture)
            cls.patch()
            shell = notebook_shell()
            if shell is not None and len(cls._captures) == 1:
                # At the end of each cell, IPython 9 puts back the `write` that it found.
                shell.events.register("pre_run_cell", cls.patch)

    @classmethod
    def patch(cls, *_: object) -> None:
        """Replaces `write` of the streams that Python has now, unless that is done."""
        with cls._lock:
            for stream in (sys.stdout, sys.stderr):
                known = cls._patched.get(id(stream))
                if stream is None or (known and vars(stream).get("write") is known[1]):
                    continue
                cls._patch(stream)

    @classmethod
    def remove(cls, capture: OutputCapture) -> None:
        """Stops to copy into a capture; restores the streams after the last one."""
        with cls._lock:
            cls._captures = tuple(one for one in cls._captures if one is not capture)
            if cls._captures:
                return
            if (shell := notebook_shell()) is not None:
                with contextlib.suppress(ValueError):  # it was not registered
                    shell.events.unregister("pre_run_cell", cls.patch)
            for stream, write, before in cls._patched.values():
                # If somebody else has replaced it since, theirs calls ours, which copies nothing.
                if vars(stream).get("write") is write:
                    if before is None:
                        del stream.write
                    else:
                        stream.write = before
            cls._patched.clear()

    @classmethod
    def _patch(cls, stream: Any) -> None:
        number, original = id(stream), stream.write
        before = getattr(stream, "__dict__", {}).get("write")  # of another program that copies

        def write(text: Any) -> Any:
            written = original(text)
            copying = cls._copying
            if cls._captures and isinstance(text, str) and not getattr(copying, "now", False):
                if threading.current_thread().name in _OF_CONSOLE:
                    return written
                copying.now = True  # what is said while it is copied is not copied
                try:
                    for capture in cls._captures:
                        with contextlib.suppress(Exception):
                            capture.take(number, text)
                finally:
                    copying.now = False
            return written

        with contextlib.suppress(AttributeError, TypeError):  # a stream without attributes
            stream.write = write
            cls._patched[number] = stream, write, before
