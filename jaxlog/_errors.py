"""What jaxlog raises by itself, beside errors of its settings."""

from __future__ import annotations


class LoggingError(RuntimeError):
    """What went wrong with logging, raised at the end of a run with `strict: true`.

    Its `__cause__` is an `ExceptionGroup` of what the sinks raised.
    """
