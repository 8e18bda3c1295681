"""Short outages of a disk, of descriptors or of a network: recognises them, and waits for them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from time import sleep

ERRORS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM,
        errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ENETUNREACH,
        errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ECONNRESET,
    }
)  # fmt: skip
"""The error numbers of the system during an outage."""
DELAYS = (0.05, 0.5, 1.0, 2.0)
"""Seconds to wait before a call that failed is made again, while the program waits, too."""


def is_outage(error: BaseException | None) -> bool:
    """True if an error, or one that it was raised from, is that of an outage."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, OSError) and error.errno in ERRORS:
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def waited_out(function: Callable[[], None], delays: Sequence[float] | None = None) -> None:
    """Calls a function, and calls it again if it fails in an outage.

    Raises:
      Exception: the function's last error.
    """
    for delay in DELAYS if delays is None else delays:
        try:
            return function()
        except Exception as error:
            if not is_outage(error):
                raise
        sleep(delay)
    return function()
