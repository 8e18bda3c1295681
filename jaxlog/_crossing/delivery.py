"""The host's end of the crossing: programs queue deliveries, and one thread passes them to loggers.

A callback copies the buffer into the queue and returns. It raises nothing but Ctrl-C's
`KeyboardInterrupt`. It does not call JAX, except that a program on several devices passes a JAX
array, which NumPy reads.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import time
import weakref
import zlib
from typing import Any, Protocol

import jax
import numpy as np

from jaxlog._crossing.jax_private import forget_failed_programs, log_no_interrupts
from jaxlog._crossing.queue import Taken, choose, chosen_queue, native_queue, queue
from jaxlog._format.delivery import Delivery
from jaxlog._say import Once
from jaxlog._say import log as _log

NAP, LONGEST_NAP = 0.016, 0.064
"""The thread's pauses in seconds while the queue is empty: the first, and the last before it
sleeps until a record wakes it. Records gather meanwhile: to wake up costs more than to receive one.
"""
BATCH = 32
"""The number of deliveries that the thread takes at a time."""
SHARE = 0.0002
"""Seconds of work after which the queue hears what is done: a program that waits for room goes on,
and other threads get the interpreter's lock."""
STOPPED = "Ctrl-C: jaxlog stops"
"""The beginning of the error with which Ctrl-C ends a program, in Python and in C."""


class Receiver(Protocol):
    """Receives deliveries, as a logger does."""

    def _receive(self, delivery: Delivery, timestamp: float) -> None:
        """Receives one delivery that arrived at a time, in seconds since 1970 (UTC)."""
        ...

    def _lose(self, num_records: int) -> None:
        """Counts records that had no room in the queue."""
        ...


_receivers: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_used: set[int] = set()
_unclaimed = Once()
_failed = Once()
_thread: threading.Thread | None = None
_starting = threading.Lock()
_consuming = threading.Lock()  # the queue has one consumer at a time
_ended = False


def attach(name: str, receiver: Receiver, *, native: bool = True) -> int:
    """Makes `receiver` reachable from compiled programs, by a weak reference.

    Args:
      name: the name of the receiver.
      receiver: the object that gets the deliveries.
      native: whether programs may call C. The first receiver of a process decides.

    Returns:
      Its handle, computed from `name` and the number of earlier receivers with that name, so that
      it is the same in every process that makes the same receivers. No handle is used twice: a
      program that was traced with a deleted receiver finds none, instead of a wrong one.
    """
    handle = zlib.crc32(name.encode("utf-8", "replace"))
    while handle in _used:
        handle = (handle + 1) % 2**32
    _used.add(handle)
    _receivers[handle] = receiver
    choose(native=native)
    start()
    _listen_to_compiling()
    log_no_interrupts()
    return handle


def kind() -> str:
    """Returns how records leave a program on one CPU device: `native` or `callback`."""
    return "callback" if native_queue() is None else "native"


def receive(words: Any, *, may_stop: bool = True) -> None:
    """Queues one delivery; this is the callback.

    It catches all exceptions, because one would end the user's program.

    Args:
      words: the delivery.
      may_stop: whether Ctrl-C ends the program here. On several devices it must not, because the
        program would hang: the other devices wait for the one that makes the callback.
    """
    try:
        words = np.asarray(words)
        if queue().push(words, may_stop):
            if threading.current_thread() is threading.main_thread():
                queue().stop(int(words[0]), False)  # only the program of this thread is to stop
            raise KeyboardInterrupt("Ctrl-C: jaxlog stops the program at this record")
    except KeyboardInterrupt:
        if may_stop:
            raise
    except Exception:
        _log_failure()


def stop(handle: int, on: bool) -> None:
    """Stops the programs that log to a handle at their next record; with `on=False`, no longer."""
    queue().stop(handle, on)


def settle(timeout: float = math.inf) -> bool:
    """Waits until every delivery that has arrived was received; returns whether it was."""
    if threading.current_thread() is _thread:
        return False  # it would wait for itself
    settled = queue().settle(0.0)
    if not settled:
        if not start():
            with _consuming:
                while _pass_on(0.0, math.inf):
                    pass
        settled = queue().settle(min(timeout, threading.TIMEOUT_MAX))
    _count_refused()
    return settled


def barrier() -> None:
    """Waits for the programs that this thread dispatched, and until their records were received."""
    try:
        jax.effects_barrier()
    except Exception as error:
        if STOPPED in str(error):
            forget_failed_programs()  # the user knows: it was Ctrl-C
        raise
    finally:
        settle()


def is_of_interrupt(error: BaseException) -> bool:
    """True for an error that JAX made of Ctrl-C, in a callback of jaxlog or of the user."""
    return any(text in str(error) for text in (STOPPED, "KeyboardInterrupt"))


def start() -> bool:
    """Starts the thread if it does not run; returns whether it runs."""
    global _thread
    with _starting:
        if _thread is None or not _thread.is_alive():
            thread = threading.Thread(target=_work, name="jaxlog-crossing", daemon=True)
            try:
                thread.start()
            except (RuntimeError, MemoryError):  # no thread is left, or Python ends
                return False
            _thread = thread
    return True


def _work() -> None:
    idle = False
    while not _ended:
        try:
            with _consuming:
                idle = not _pass_on(1.0, math.inf if idle else NAP)
        except BaseException:  # out of memory, say; the thread must not end
            with contextlib.suppress(BaseException):
                _log_failure()
            time.sleep(0.05)


def _pass_on(timeout: float, nap: float) -> bool:
    """Passes on some queued deliveries; returns whether there were any.

    Args:
      timeout: the seconds to wait for one, after the naps.
      nap: the first nap; infinite for none.
    """
    interrupted = False
    taken = queue().take(timeout, nap, LONGEST_NAP, BATCH)
    reported, since = 0, time.monotonic()
    try:
        for number, (buffer, timestamp) in enumerate(taken, 1):
            try:
                pass_on(buffer, timestamp)
            except BaseException:  # the others of the batch are not to be lost
                interrupted = True
            if time.monotonic() - since > SHARE:
                share, reported = taken[reported:number], number
                _report(share)
                since = time.monotonic()
    finally:
        _report(taken[reported:])  # or those who wait for them would wait for ever
    _count_refused()
    if interrupted and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
    return bool(taken)


def _report(handled: Taken) -> None:
    if handled:
        queue().done(len(handled), sum(len(buffer) for buffer, _ in handled))


def pass_on(words: bytearray, timestamp: float) -> None:
    """Passes one delivery to its receiver."""
    try:
        delivery = Delivery(np.frombuffer(words, np.uint32))
        receiver = _receivers.get(delivery.handle)
        if receiver is not None:
            receiver._receive(delivery, timestamp)
        elif _unclaimed():
            _log.warning(
                "jaxlog: a compiled program logs to a Logger that no longer exists; keep the "
                "Logger as long as the functions that log to it. Said once."
            )
    except Exception:
        _log_failure()


def _count_refused() -> None:
    for handle, num_records in queue().refused().items():
        receiver = _receivers.get(handle)
        if receiver is not None:
            receiver._lose(num_records)


def _log_failure() -> None:
    if _failed():
        _log.exception(
            "jaxlog: a record could not be received; training goes on without it. Said once."
        )


def devices() -> list[str]:
    """The devices of JAX by kind, such as `4 x cpu: cpu`."""
    kinds = [f"{device.platform}: {device.device_kind}" for device in jax.devices()]
    return [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]


MEMORY_PERIOD = 1.0
"""The least seconds between two questions about the memory of devices."""


class DeviceMemory:
    """Reads how much memory the devices of this process use, at most once a `MEMORY_PERIOD`."""

    def __init__(self) -> None:
        self._asked = -math.inf
        self._found: int | None = None
        self._known = True

    def __call__(self) -> int | None:
        """Returns the bytes in use on the device that uses most; None if JAX does not know them."""
        now = time.monotonic()
        if self._known and now >= self._asked + MEMORY_PERIOD:
            self._asked = now
            try:
                stats = [device.memory_stats() or {} for device in jax.local_devices()]
                in_use = [int(one["bytes_in_use"]) for one in stats if "bytes_in_use" in one]
            except Exception:  # the platform has no such statistics; no line is lost for them
                in_use = []
            self._found = max(in_use, default=None)
            self._known = self._found is not None
        return self._found


_COMPILING = "/jax/core/compile/backend_compile_duration"
"""The event of `jax.monitoring` with the seconds that XLA compiled, or loaded from its cache."""
_compiled: list[float] = []  # the seconds of all programs, once one was compiled
_listening = Once()


def _listen_to_compiling() -> None:
    def heard(event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILING:
            _compiled[:] = [sum(_compiled) + duration_secs]

    if _listening():
        jax.monitoring.register_event_duration_secs_listener(heard)


def compile_seconds() -> float | None:
    """The seconds that XLA compiled since the first logger was made; None if it was not heard."""
    return sum(_compiled) if _compiled else None


@atexit.register
def _end() -> None:
    """Drops every later record, since the runs are closed, and lets no program wait for Python."""
    global _ended
    _ended = True
    if (chosen := chosen_queue()) is not None:
        chosen.retire()


def _reset_in_child() -> None:
    global _thread, _starting, _consuming
    _thread, _starting, _consuming = None, threading.Lock(), threading.Lock()
    if (chosen := chosen_queue()) is not None:
        chosen.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
