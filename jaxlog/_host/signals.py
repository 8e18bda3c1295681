"""Handles signals while a compiled program runs, when Python's own handlers cannot.

While the main thread is inside a compiled program, a Python handler runs only after the program. A
separate thread hears of the signal at once, through `signal.set_wakeup_fd`: on SIGTERM it has the
open runs write everything that arrived, and on Ctrl-C it has the next record stop the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal, Protocol

from jaxlog._say import Once
from jaxlog._say import log as _log

HEARD_WITHIN = 0.1
"""Seconds in which the main thread handles Ctrl-C, unless it is in a compiled program."""
STOPS_FOR = 10.0
"""Seconds in which a record stops a program after a handler of Ctrl-C that raised nothing."""
TERMINATED_WITHIN = 10.0
"""Seconds in which everything must be written on SIGTERM: schedulers often kill after 30."""

# To the thread, besides the numbers of signals:
_TERMINATE = 255  # end the process, whoever handles SIGTERM
_HANDLED = 254  # Python's handler has run for every Ctrl-C before this
_CANCELLED = 253  # Python's handler has run, and raised nothing

CallbackAround = Callable[[FrameType | None], Literal["ours", "another"] | None]
"""Returns whose callback of a compiled program a frame is in; None if it is in none."""


class Interruptible(Protocol):
    """A run, as signals see it."""

    @property
    def stopped(self) -> bool:
        """True if a record has stopped the program because of Ctrl-C."""
        ...

    def interrupt(self) -> None:
        """Has the next record stop the program."""

    def forget_interrupt(self, *, leaving: bool) -> None:
        """Notes that Python raises the interrupt itself, or the run when its block is left."""

    def hurry(self, seconds: float) -> None:
        """Writes everything that arrived; waits no longer than some seconds."""

    def terminate(self, seconds: float) -> None:
        """Ends the run because the process ends; waits no longer than some seconds."""


@dataclass(frozen=True)
class _Watched:
    """One run, with the arguments of `watch`."""

    run: Interruptible
    is_left_in: Callable[[FrameType], bool]
    callback_around: CallbackAround


_is_first_warning = Once()
_watched: list[_Watched] = []
_lock = threading.Lock()
_watch: _Watch | None = None
_closing: Interruptible | None = None  # the run that the main thread closes in `uninterrupted`
_busy = 0  # how deep the main thread is in `uninterrupted`
_waiting = 0  # how often Ctrl-C was pressed there


def watch(
    run: Interruptible, is_left_in: Callable[[FrameType], bool], callback_around: CallbackAround
) -> None:
    """Handles signals for a run until `unwatch`, if the main thread opens it.

    Args:
      run: an open run.
      is_left_in: whether a frame is where the run's block is left: an interrupt there has to wait
        until the run is closed.
      callback_around: finds the callback that a frame is in.
    """
    global _watch
    with _lock:
        _watched.append(_Watched(run, is_left_in, callback_around))
        if _watch is None and threading.current_thread() is threading.main_thread():
            try:
                _watch = _Watch()
            except ValueError:  # an interpreter that gets no signals
                pass
            except (RuntimeError, OSError, MemoryError) as error:  # no thread, no descriptors
                if _is_first_warning():
                    _log.warning(
                        "jaxlog: signals are not watched: %s. Ctrl-C and SIGTERM act as they do "
                        "without jaxlog: records that are not written by then may be lost. Said "
                        "once.",
                        error,
                    )


def unwatch(run: Interruptible) -> None:
    """Ends what `watch` began; after the last run, the handlers from before are back."""
    global _watch
    with _lock:
        _watched[:] = [watched for watched in _watched if watched.run is not run]
        main = threading.current_thread() is threading.main_thread()
        if not _watched and _watch is not None and main:
            _watch.end()
            _watch = None


@contextlib.contextmanager
def uninterrupted(closing: Interruptible | None = None) -> Generator[None]:
    """Has Ctrl-C wait for the end of the block, unless it is pressed twice.

    A run that is opened or closed by half could not be closed any more.

    Args:
      closing: the run that is closed in the block, if one is.
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
    """The thread that hears of signals, its wakeup socket, and the handlers it installed."""

    def __init__(self) -> None:
        self._num_handled = 0  # how often Python's handler of Ctrl-C ran
        self._handling = threading.RLock()  # one handler may interrupt another
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
        """Installs its handlers in place of Python's defaults."""
        # A handler of the user's is left alone. One that was not installed through Python (JAX has
        # one for SIGTERM, for preemption) is known to the operating system only.
        if _raises_interrupt(signal.getsignal(signal.SIGINT)):
            self._replace(signal.SIGINT, _handle_interrupt)
        terminates = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        if terminates and _of_the_system(signal.SIGTERM) is None:
            self._replace(signal.SIGTERM, _handle_termination)

    def _replace(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        before = signal.signal(number, handler)
        self._handlers[number] = before, _of_the_system(number)

    @property
    def interrupts_before(self) -> Callable[[int, FrameType | None], Any]:
        """The handler of Ctrl-C from before."""
        return self._handlers.get(signal.SIGINT, (signal.default_int_handler, None))[0]

    def end(self) -> None:
        """Restores the handlers from before, and ends the thread."""
        self.restore()
        self._writes.close()  # the thread reads the end of the stream

    def restore(self) -> None:
        """Restores the handlers and the wakeup descriptor from before."""
        mine = self._writes.fileno()
        try:
            found = signal.set_wakeup_fd(self._before)
        except (OSError, ValueError):  # the listener from before has closed it
            found = signal.set_wakeup_fd(-1)
        if found not in (mine, -1):
            signal.set_wakeup_fd(found)  # another listener's, set later
        for number, (handler, installed) in self._handlers.items():
            mine_still = signal.getsignal(number) in (_handle_interrupt, _handle_termination)
            if mine_still and _of_the_system(number) == installed:
                signal.signal(number, handler)

    def abandon(self) -> None:
        """Undoes everything where no thread listens, as in the child of a fork."""
        self.restore()
        self._reads.close()
        self._writes.close()

    def send(self, message: int) -> None:
        """Sends the thread a message, whoever has the wakeup descriptor by now."""
        with contextlib.suppress(OSError):
            self._writes.send(bytes([message]))

    @contextlib.contextmanager
    def handling(self) -> Generator[None]:
        """Has the thread leave Ctrl-C to Python's handler, which does in the block what it has to.

        The thread may read of a signal long after it came: it needs the interpreter's lock, which
        a main thread in C code keeps. So it goes by the order of messages, not by the time.
        """
        with self._handling:
            self._num_handled += 1
            self.send(_HANDLED)
            yield

    def _listen(self) -> None:
        num_handled = 0
        deadline = math.inf  # for Python's handler of a Ctrl-C
        stops_until = math.inf
        while True:
            left = min(deadline, stops_until) - time.monotonic()
            self._reads.settimeout(None if left == math.inf else max(1e-3, left))
            try:
                messages = self._reads.recv(64)
            except TimeoutError:
                if deadline <= time.monotonic():
                    deadline = math.inf
                    self._interrupt_unless_handled(num_handled)
                if stops_until <= time.monotonic():
                    stops_until = math.inf
                    self._forget_unless_stopped()
                continue
            if not messages:
                break
            if _CANCELLED in messages:
                stops_until = time.monotonic() + STOPS_FOR
            numbers = bytes(m for m in messages if m < _CANCELLED)
            if self._before != -1 and numbers:
                with contextlib.suppress(OSError):
                    os.write(self._before, numbers)
            num_handled += messages.count(_HANDLED)
            *handled, unhandled = messages.split(bytes([_HANDLED]))
            if handled:
                deadline = math.inf
            if signal.SIGINT in unhandled and deadline == math.inf:
                deadline = time.monotonic() + HEARD_WITHIN
            if {signal.SIGTERM, _TERMINATE} & set(messages):
                own = signal.getsignal(signal.SIGTERM) is _handle_termination
                self._handle_termination_message(own or _TERMINATE in messages)
        self._reads.close()

    def _interrupt_unless_handled(self, num_handled: int) -> None:
        if signal.getsignal(signal.SIGINT) is not _handle_interrupt:
            return
        with self._handling:
            if num_handled == self._num_handled:
                for watched in list(_watched):
                    watched.run.interrupt()

    def _forget_unless_stopped(self) -> None:
        """Has no later program stop for a Ctrl-C that is over."""
        with self._handling:
            for watched in list(_watched):
                if not watched.run.stopped:
                    watched.run.forget_interrupt(leaving=False)

    def _handle_termination_message(self, ends: bool) -> None:
        threads = [
            threading.Thread(
                target=watched.run.terminate if ends else watched.run.hurry,
                args=(TERMINATED_WITHIN,),
                daemon=True,
            )
            for watched in list(_watched)
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
    """Python's handler of Ctrl-C.

    It runs at once if the main thread is in Python, so that nothing has to be stopped; or after a
    compiled program, which a record may have stopped.
    """
    global _waiting
    every = list(_watched)
    callback = next((found for w in every if (found := w.callback_around(frame))), None)
    handling = contextlib.nullcontext() if _watch is None else _watch.handling()
    if _watch is not None and callback == "ours":
        # The program runs on this very thread: its record stops it.
        with handling:
            for watched in every:
                watched.run.interrupt()
        _call_before(number, frame)
        return
    waits = bool(_busy and not _waiting)
    left = _closing if waits else None
    for watched in every:
        if frame is not None and watched.is_left_in(frame):
            waits, left = True, watched.run
    stopped = [watched.run for watched in every if watched.run.stopped]
    with handling:
        for watched in every:
            # JAX turns an exception of a callback into one of its own.
            watched.run.forget_interrupt(leaving=watched.run is left or callback is not None)
    if not waits:
        _waiting = 0
        _handler_before()(number, frame)
        # A notebook that runs asynchronous code cancels it, and raises nothing here.
        if stopped:
            for run in stopped:
                run.forget_interrupt(leaving=True)
        elif _watch is not None:
            # Nothing else stops a program that was dispatched, or is next in the cell.
            with _watch.handling():
                for watched in every:
                    watched.run.interrupt()
                _watch.send(_CANCELLED)
        return
    _call_before(number, frame)
    if _busy:
        _waiting += 1


def _handler_before() -> Callable[[int, FrameType | None], Any]:
    return signal.default_int_handler if _watch is None else _watch.interrupts_before


def _call_before(number: int, frame: FrameType | None) -> None:
    """Calls marimo's handler, if it was there before; KeyboardInterrupt is raised later."""
    before = _handler_before()
    if before is not signal.default_int_handler:
        with contextlib.suppress(KeyboardInterrupt):
            before(number, frame)


def _raises_interrupt(handler: Any) -> bool:
    """True for a handler of Ctrl-C that raises KeyboardInterrupt: Python's own, and marimo's."""
    module = getattr(handler, "__module__", None)
    of_marimo = isinstance(module, str) and module.partition(".")[0] == "marimo"
    return handler == signal.default_int_handler or (callable(handler) and of_marimo)


def _handle_termination(_: int, __: FrameType | None) -> None:
    """Replaces the default handler: the thread has everything written, and ends the process."""
    if _watch is None:
        _end_process()
    else:
        _watch.send(_TERMINATE)


def _of_the_system(number: int) -> int | None:
    """The handler that the operating system calls; None for the default."""
    function = ctypes.pythonapi.PyOS_getsig
    function.restype = ctypes.c_void_p
    return function(number)


def _end_process() -> None:
    """Ends the process by SIGTERM, as without jaxlog; from any thread."""
    ctypes.pythonapi.PyOS_setsig(signal.SIGTERM, 0)
    os.kill(os.getpid(), signal.SIGTERM)


def _in_child() -> None:
    global _watch, _lock, _busy, _closing, _waiting
    _lock, _closing = threading.Lock(), None
    _busy = _waiting = 0
    _watched.clear()
    if _watch is not None:
        _watch.abandon()
        _watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
