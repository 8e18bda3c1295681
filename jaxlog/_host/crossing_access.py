"""The programs that log to a run, as the run sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxlog._host.signals import CallbackAround


@dataclass(frozen=True)
class CrossingAccess:
    """The functions by which a run waits for its programs, stops them, and asks JAX.

    Attributes:
      barrier: waits for everything that this thread has dispatched, and until its records were
        received.
      settle: waits some seconds until all that arrived was received; returns whether it was.
      stop: has the programs that log to the run stop at their next record, or no longer.
      callback_around: as for `signals.watch`.
      is_of_interrupt: returns True for an error that JAX made of Ctrl-C.
      device_memory: returns the bytes in use on the device that uses most; None if it is not known.
      compile_seconds: returns the seconds that this process has compiled; None if JAX does not say.
    """

    barrier: Callable[[], None]
    settle: Callable[[float], bool]
    stop: Callable[[bool], None]
    callback_around: CallbackAround
    is_of_interrupt: Callable[[BaseException], bool]
    device_memory: Callable[[], int | None]
    compile_seconds: Callable[[], float | None]
