"""The callback of every compiled program, and the receivers that it finds.

The callback copies the buffer, passes it to the logger whose handle is in it, and returns. It
raises nothing but Ctrl-C's `KeyboardInterrupt`. It does not call JAX, except that a program on
several devices passes a JAX array, which `np.array` reads.
"""

from __future__ import annotations

import weakref
import zlib
from typing import Any, Protocol

import jax
import numpy as np

from jaxlog._format.schema import Delivery
from jaxlog._say import Once
from jaxlog._say import log as _log


class Receiver(Protocol):
    """Receives deliveries, as a logger does."""

    def _receive(self, delivery: Delivery) -> None:
        """Receives one delivery, on a thread of XLA."""
        ...


_receivers: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_used: set[int] = set()
_unclaimed = Once()
_failed = Once()


def attach(name: str, receiver: Receiver) -> int:
    """Makes `receiver` reachable from compiled programs, by a weak reference.

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
    return handle


def receive(words: Any, *, may_stop: bool = True) -> None:
    """Passes one delivery to its receiver; this is the callback.

    It catches all exceptions, because one would end the user's program.

    Args:
      words: the delivery.
      may_stop: whether Ctrl-C ends the program here. On several devices it must not, because the
        program would hang: the other devices wait for the one that makes the callback.
    """
    try:
        # A copy, because XLA reuses its buffer after the callback.
        delivery = Delivery(np.array(words))
        receiver = _receivers.get(delivery.handle)
        if receiver is None:
            if _unclaimed():
                _log.warning(
                    "jaxlog: a compiled program logs to a Logger that no longer exists; keep the "
                    "Logger as long as the functions that log to it. Said once."
                )
            return
        receiver._receive(delivery)
    except KeyboardInterrupt:
        if may_stop:
            raise
    except Exception:
        if _failed():
            _log.exception(
                "jaxlog: a record could not be received; training goes on without it. Said once."
            )


def devices() -> list[str]:
    """The devices of JAX by kind, such as `4 x cpu: cpu`."""
    kinds = [f"{device.platform}: {device.device_kind}" for device in jax.devices()]
    return [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]


def is_first_process() -> bool:
    """True in the process that writes: the first of several that train together."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def barrier() -> None:
    """Waits until all callbacks of the programs that this thread dispatched have run."""
    jax.effects_barrier()
