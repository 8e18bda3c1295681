"""The logger for jaxlog's messages. Errors raised by logging handlers do not reach the caller."""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import threading
from typing import Any


class _Guarded(logging.LoggerAdapter[logging.Logger]):
    """The logger `jaxlog`, with methods that never raise, except for Ctrl-C.

    They are called on the threads of sinks and of XLA and inside the user's program, where an
    exception from a handler or a filter would end a sink or the training.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the line of the caller
        try:
            super().log(level, msg, *args, **kwargs)
        except BaseException as error:
            on_main = threading.current_thread() is threading.main_thread()
            if isinstance(error, KeyboardInterrupt) and on_main:
                raise
            with contextlib.suppress(Exception):  # stderr may be closed
                text = str(msg) % args if args else str(msg)
                print(
                    f"jaxlog: a handler of Python's logging raised {error!r} at this message: "
                    f"{text}",
                    file=sys.stderr,
                )


log = _Guarded(logging.getLogger("jaxlog"))


class Once:
    """True at the first call only, on whichever thread: `if once(): log.warning(...)`."""

    def __init__(self) -> None:
        self._calls = itertools.count()

    def __call__(self) -> bool:
        """True for the first caller."""
        return next(self._calls) == 0
