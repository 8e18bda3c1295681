"""The error that jaxlog raises at the end of a run; errors of settings are in `_settings`."""

from __future__ import annotations


class LoggingError(RuntimeError):
    """Logging failed. Raised at the end of a run with `strict: true`.

    Its `__cause__` is an `ExceptionGroup` of the exceptions that the sinks raised.
    """
