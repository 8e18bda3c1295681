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
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Literal, Protocol

from jaxlog._say import log as _log

HEARD_WITHIN = 0.1
"""Seconds in which the main thread hears of Ctrl-C, unless it is in a compiled program."""
TERMINATED_WITHIN = 10.0
"""Seconds in which all must be written on SIGTERM; who sent it may wait no longer than 30."""

_TERMINATE = 255  # to the thread: end the process, whoever handles SIGTERM


class Interruptible(Protocol):
    """What signals are for: a run."""

    def _interrupt(self) -> None:
        """Lets the next record stop the program."""

    def _forget_interrupt(self, *, leaving: bool) -> None:
        """Ctrl-C has reached the program in another way, or will when it leaves the block."""

    def _hurry(self, seconds: float) -> None:
        """Writes all that arrived, but waits no longer for that."""

    def _terminate(self, seconds: float) -> None:
        """Ends, since the process will; waits no longer for that."""


_said: list[Exception] = []  # why signals are not watched
_runs: list[Interruptible] = []
_leaving: set[CodeType] = set()
_lock = threading.Lock()
_watch: _Watch | None = None
_closing: Interruptible | None = None  # what the main thread closes in there
_busy = 0  # how often the main thread is in `uninterrupted`
_waiting = 0  # how often Ctrl-C has come there


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
            try:
                _watch = _Watch()
            except ValueError:  # an interpreter that gets no signals
                pass
            except (RuntimeError, OSError, MemoryError) as error:  # no thread, no descriptors
                if not _said:
                    _said.append(error)
                    _log.warning(
                        "jaxlog: signals are not watched: %s. Ctrl-C and SIGTERM do what they do "
                        "without jaxlog: what has not been written then may be lost. Said once.",
                        error,
                    )


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


@contextlib.contextmanager
def uninterrupted(closing: Interruptible | None = None) -> Iterator[None]:
    """Lets Ctrl-C wait for the end of the block, unless it comes twice.

    Half an opening or closing would leave a run that nobody can close.

    Args:
      closing: the run that is closed in there, if one is.
    """
    global _busy, _closing, _waiting
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _busy, _closing, before = _busy + 1, closing or _closing, _closing
    try:
        yield
    finally:
        _busy, _closing = _busy - 1, before
        if not _busy and _waiting:
            _waiting = 0
            raise KeyboardInterrupt


class _Watch:
    """The thread, and what had to be put in place for it."""

    def __init__(self) -> None:
        self.heard = 0.0  # when Python last did
        self._handlers: dict[int, tuple[Any, int | None]] = {}
        self._reads, self._writes = socket.socketpair()
        try:
            self._writes.setblocking(False)
            self._before = signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)
        except BaseException:
            self._reads.close()
            self._writes.close()
            raise
        try:
            self._install()
            thread = threading.Thread(target=self._listen, name="jaxlog-signals", daemon=True)
            thread.start()
        except BaseException:  # the system has no thread left
            self.abandon()
            raise

    def _install(self) -> None:
        """Puts its handlers in the place of Python's defaults."""
        for number, default, handler in (
            (signal.SIGINT, signal.default_int_handler, _handle_interrupt),
            (signal.SIGTERM, signal.SIG_DFL, _handle_termination),
        ):
            # A handler of the user's own is left alone. One that is not Python's own (JAX's, for
            # preemption) only the system knows of.
            known = default is not signal.SIG_DFL or _of_the_system(number) is None
            if signal.getsignal(number) == default and known:
                before = signal.signal(number, handler)
                self._handlers[number] = before, _of_the_system(number)

    def end(self) -> None:
        """Puts back what was there before."""
        self.restore()
        self._writes.close()  # the thread reads that it is over

    def restore(self) -> None:
        mine = self._writes.fileno()
        try:
            found = signal.set_wakeup_fd(self._before)
        except (OSError, ValueError):  # who listened before has closed it
            found = signal.set_wakeup_fd(-1)
        if found not in (mine, -1):
            signal.set_wakeup_fd(found)  # somebody else's, who came after
        for number, (handler, installed) in self._handlers.items():
            mine_still = signal.getsignal(number) in (_handle_interrupt, _handle_termination)
            if mine_still and _of_the_system(number) == installed:
                signal.signal(number, handler)

    def abandon(self) -> None:
        """Undoes all, where no thread listens: in the child of a fork, say."""
        self.restore()
        self._reads.close()
        self._writes.close()

    def tell(self, message: int) -> None:
        """Wakes the thread, whoever has the wakeup by now."""
        with contextlib.suppress(OSError):
            self._writes.send(bytes([message]))

    def _listen(self) -> None:
        while messages := self._reads.recv(64):
            numbers = bytes(m for m in messages if m != _TERMINATE)
            if self._before != -1 and numbers:
                with contextlib.suppress(OSError):
                    os.write(self._before, numbers)
            for message in sorted(set(messages)):
                if message == signal.SIGINT:
                    self._see_to_interrupt(time.monotonic())
                elif message in (signal.SIGTERM, _TERMINATE):
                    own = signal.getsignal(signal.SIGTERM) is _handle_termination
                    self._see_to_termination(own or message == _TERMINATE)
        self._reads.close()

    def _see_to_interrupt(self, came: float) -> None:
        if signal.getsignal(signal.SIGINT) is not _handle_interrupt:
            return
        while time.monotonic() < came + HEARD_WITHIN:
            if self.heard > came - HEARD_WITHIN:
                return  # the main thread was in Python
            time.sleep(0.005)
        for run in list(_runs):
            run._interrupt()

    def _see_to_termination(self, ends: bool) -> None:
        threads = [
            threading.Thread(
                target=run._terminate if ends else run._hurry,
                args=(TERMINATED_WITHIN,),
                daemon=True,
            )
            for run in list(_runs)
        ]
        started = []
        for thread in threads:
            try:
                thread.start()
                started.append(thread)
            except (RuntimeError, MemoryError):  # the system has no thread left
                thread.run()
        for thread in started:
            thread.join(TERMINATED_WITHIN + 1)
        if ends:
            _end_process()


def _handle_interrupt(number: int, frame: FrameType | None) -> None:
    """Python hears of Ctrl-C: at once, and nothing has to be stopped, or when something was."""
    global _waiting
    callback = _callback_around(frame)
    if _watch is not None:
        _watch.heard = time.monotonic()
        if callback == "ours":
            # The program runs on this very thread: its record stops it.
            for run in list(_runs):
                run._interrupt()
            return
    waits = bool(_busy and not _waiting)
    left = _closing if waits else None
    if frame is not None and frame.f_code in _leaving:
        waits, left = True, frame.f_locals["self"]
    for run in list(_runs):
        # From a callback, JAX makes an error of its own of this one.
        run._forget_interrupt(leaving=run is left or callback is not None)
    if not waits:
        _waiting = 0
        signal.default_int_handler(number, frame)
    elif _busy:
        _waiting += 1


def _handle_termination(_: int, __: FrameType | None) -> None:
    """Stands for the default: the thread writes what arrived, and ends the process."""
    if _watch is None:
        _end_process()
    else:
        _watch.tell(_TERMINATE)


def _callback_around(frame: FrameType | None) -> Literal["ours", "another"] | None:
    """The callback of a compiled program that a frame is in, if it is in one."""
    while frame is not None:
        if frame.f_code.co_name == "_wrapped_callback" and "jax" in frame.f_code.co_filename:
            modules = {getattr(value, "__module__", None) for value in frame.f_locals.values()}
            return "ours" if "jaxlog._crossing.primitive" in modules else "another"
        frame = frame.f_back
    return None


def _of_the_system(number: int) -> int | None:
    """The handler that the operating system calls; None for the default."""
    function = ctypes.pythonapi.PyOS_getsig
    function.restype = ctypes.c_void_p
    return function(number)


def _end_process() -> None:
    """By SIGTERM, as it would have ended without jaxlog; from any thread."""
    ctypes.pythonapi.PyOS_setsig(signal.SIGTERM, 0)
    os.kill(os.getpid(), signal.SIGTERM)


def _in_child() -> None:
    global _watch, _lock, _busy, _closing, _waiting
    _lock, _closing = threading.Lock(), None
    _busy = _waiting = 0
    _runs.clear()
    if _watch is not None:
        _watch.abandon()
        _watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
