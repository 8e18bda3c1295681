"""Makes the handlers in C known to XLA, where they are built and were tested with this jaxlib."""

from __future__ import annotations

import functools
from importlib.metadata import version

import jax

from jaxlog._crossing.queue import native_queue
from jaxlog._say import log as _log

ONE_DEVICE, SEVERAL_DEVICES = "jaxlog_record", "jaxlog_record_of_several_devices"
"""By which compiled programs call the handlers: the same in every process, for programs that are
stored in JAX's persistent cache."""
TESTED = (0, 9), (0, 12)
"""The oldest and the newest jaxlib that the handlers were tested with."""


@functools.cache
def is_registered() -> bool:
    """Registers the handlers at the first call; True if programs can call them."""
    native = native_queue()
    if native is None:
        return False
    oldest, newest = TESTED
    try:
        installed = version("jaxlib")
        tested = oldest <= tuple(int(part) for part in installed.split(".")[:2]) <= newest
    except (ImportError, ValueError):  # a jaxlib of somebody's own
        installed, tested = "of an unknown version", False
    if not tested:
        _log.info(
            "jaxlog: records leave programs by a Python callback: got jaxlib %s, and the native "
            "crossing was tested with %d.%d to %d.%d. Said once.",
            installed,
            *oldest,
            *newest,
        )
        return False
    try:
        # After the backend is there: a handler that it refuses would keep it from starting.
        jax.local_devices(backend="cpu")
        for name, handler in zip((ONE_DEVICE, SEVERAL_DEVICES), native.handlers(), strict=True):
            jax.ffi.register_ffi_target(name, handler, platform="cpu")
    except Exception as error:  # another copy of jaxlog in this process, say
        _log.info(
            "jaxlog: records leave programs by a Python callback: the native crossing could not "
            "be registered: %s. Said once.",
            error,
        )
        return False
    return True
