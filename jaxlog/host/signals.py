"""Signals while a compiled program runs, when Python's own handlers cannot.

While the main thread is inside a compiled program, a Python handler waits for its end. A thread of
its own is told of the signal at once, by `signal.set_wakeup_fd`, and sees to the open runs: on
SIGTERM all that arrived is written, and on Ctrl-C the next record stops the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import threading
import time
from types import CodeType, FrameType
from typing import Any, Protocol

HEARD_WITHIN = 0.1
"""Seconds in which the main thread hears of Ctrl-C, unless it is in a compiled program."""
TERMINATED_WITHIN = 10.0
"""Seconds in which all must be written on SIGTERM; who sent it may wait no longer than 30."""


class Interruptible(Protocol):
    """What signals are for: a run."""

    def interrupt(self) -> None:
        """Lets the next record stop the program."""

    def forget_interrupt(self, *, leaving: bool) -> None:
        """Ctrl-C has reached the program in another way, or will when it leaves the block."""

    def hurry(self, seconds: float) -> None:
        """Writes all that arrived, but waits no longer for that."""

    def terminate(self, seconds: float) -> None:
        """Ends, since the process will; waits no longer for that."""


_runs: list[Interruptible] = []
_leaving: set[CodeType] = set()
_lock = threading.Lock()
_watch: _Watch | None = None


def watch(run: Interruptible, leaving: CodeType) -> None:
    """Sees to a run's signals, if the main thread opens it; others it leaves as they are.

    Args:
      run: until `unwatch`.
      leaving: the function in which an interrupt has to wait for the run to be closed.
    """
    global _watch
    with _lock:
        _runs.append(run)
        _leaving.add(leaving)
        if _watch is None and threading.current_thread() is threading.main_thread():
            with contextlib.suppress(ValueError):  # an interpreter that gets no signals
                _watch = _Watch()


def unwatch(run: Interruptible) -> None:
    """Leaves a run's signals to others."""
    global _watch
    with _lock:
        if run in _runs:
            _runs.remove(run)
        main = threading.current_thread() is threading.main_thread()
        if not _runs and _watch is not None and main:
            _watch.end()
            _watch = None


class _Watch:
    """The thread, and what had to be put in place for it."""

    def __init__(self) -> None:
        self.heard = False  # by Python, but not yet by the thread
        self.unheard = False  # by the thread, but not yet by Python
        self._reads, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        self._before = signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)
        self._handlers: dict[int, Any] = {}
        for number, default, handler in (
            (signal.SIGINT, signal.default_int_handler, _on_interrupt),
            (signal.SIGTERM, signal.SIG_DFL, _on_termination),
        ):
            # A handler of the user's own is left alone.
            if signal.getsignal(number) == default:
                self._handlers[number] = signal.signal(number, handler)
        self._thread = threading.Thread(target=self._listen, name="jaxlog-signals", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Puts back what was there before."""
        self.restore()
        self._writes.close()  # the thread reads that it is over

    def restore(self) -> None:
        mine = self._writes.fileno()
        found = signal.set_wakeup_fd(self._before)
        if found not in (mine, -1):
            signal.set_wakeup_fd(found)  # somebody else's, who came after
        for number, handler in self._handlers.items():
            if signal.getsignal(number) in (_on_interrupt, _on_termination):
                signal.signal(number, handler)

    def abandon(self) -> None:
        """Undoes all in the child of a fork: the sockets are the parent's, too."""
        self.restore()
        self._reads.close()
        self._writes.close()

    def _listen(self) -> None:
        while numbers := self._reads.recv(64):
            if self._before != -1:
                with contextlib.suppress(OSError):
                    os.write(self._before, numbers)
            for number in numbers:
                if number == signal.SIGINT and signal.getsignal(number) is _on_interrupt:
                    self._on_interrupt()
                elif number == signal.SIGTERM:
                    self._on_termination()
        self._reads.close()

    def _on_interrupt(self) -> None:
        end = time.monotonic() + HEARD_WITHIN
        while not self.heard and time.monotonic() < end:
            time.sleep(0.005)
        if self.heard:  # the main thread was in Python
            self.heard = False
            return
        self.unheard = True
        for run in list(_runs):
            run.interrupt()

    def _on_termination(self) -> None:
        own = signal.getsignal(signal.SIGTERM) is _on_termination
        ends = [
            threading.Thread(
                target=run.terminate if own else run.hurry, args=(TERMINATED_WITHIN,), daemon=True
            )
            for run in list(_runs)
        ]
        for end in ends:
            end.start()
        for end in ends:
            end.join(TERMINATED_WITHIN + 1)
        if own:
            # As it would have ended without jaxlog. Only this way can any thread put that back.
            ctypes.pythonapi.PyOS_setsig(signal.SIGTERM, 0)
            os.kill(os.getpid(), signal.SIGTERM)


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    """Python hears of Ctrl-C: at once, and nothing has to be stopped, or when something was."""
    if _watch is not None:
        _watch.heard, _watch.unheard = not _watch.unheard, False
    leaving = frame is not None and frame.f_code in _leaving
    for run in list(_runs):
        run.forget_interrupt(leaving=leaving)
    if not leaving:
        signal.default_int_handler(number, frame)


def _on_termination(number: int, frame: FrameType | None) -> None:
    """Stands for the default, so that the thread is told; it ends the process."""


def _in_child() -> None:
    global _watch, _lock
    _lock = threading.Lock()
    _runs.clear()
    if _watch is not None:
        _watch.abandon()
        _watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
