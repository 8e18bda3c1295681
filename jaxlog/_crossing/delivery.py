"""The host's end of the crossing: one function that every compiled program calls.

It copies the buffer, hands it to the logger whose number it carries, and returns. It raises nothing
but Ctrl-C's `KeyboardInterrupt`, and calls nothing of JAX's but, where a program runs on several
devices, what `np.array` calls to read the array that `io_callback` gives.
"""

from __future__ import annotations

import itertools
import weakref
import zlib
from typing import Any, Protocol

import jax
import numpy as np

from jaxlog._format.schema import Delivery
from jaxlog._say import log as _log


class Receiver(Protocol):
    """What takes deliveries: a logger."""

    def _receive(self, delivery: Delivery) -> None:
        """Takes one delivery, on a thread of XLA's."""
        ...


_receivers: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_used: set[int] = set()
_unclaimed = itertools.count()
_failed = itertools.count()


def attach(name: str, receiver: Receiver) -> int:
    """Makes `receiver` reachable from compiled programs; no strong reference to it is kept.

    Returns:
      Its handle, made from `name` and the number of receivers of that name before it: the same in
      every process that makes the same ones. None is used twice, so that a program that was traced
      with a receiver that is gone finds nobody, and not another.
    """
    handle = zlib.crc32(name.encode("utf-8", "replace"))
    while handle in _used:
        handle = (handle + 1) % 2**32
    _used.add(handle)
    _receivers[handle] = receiver
    return handle


def receive(words: Any, *, may_stop: bool = True) -> None:
    """The callback. An exception here would end the user's program, so none leaves it.

    Args:
      words: one delivery.
      may_stop: whether Ctrl-C may: to end the program is then what is wanted. With several devices
        it would not end, since the others wait for the one that makes the call.
    """
    try:
        # A copy: the words belong to XLA, and are gone when this returns.
        delivery = Delivery(np.array(words))
        receiver = _receivers.get(delivery.handle)
        if receiver is None:
            if next(_unclaimed) == 0:
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
        if next(_failed) == 0:
            _log.exception(
                "jaxlog: a record could not be taken in; training goes on without it. Said once."
            )


def devices() -> list[str]:
    """What JAX runs on."""
    kinds = [f"{device.platform}: {device.device_kind}" for device in jax.devices()]
    return [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]


def is_first_process() -> bool:
    """Whether this process writes: of several that train together, the first does."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def barrier() -> None:
    """Waits until the callbacks of all that this thread has dispatched have run."""
    jax.effects_barrier()
