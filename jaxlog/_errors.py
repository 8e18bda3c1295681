"""The errors that jaxlog raises about settings, at the end of a run, and about other trackers."""

from __future__ import annotations


class LoggingError(RuntimeError):
    """Logging failed. Raised at the end of a run with `strict: true`.

    Its `__cause__` is an `ExceptionGroup` of the exceptions that the sinks raised.
    """


class ConfigError(ValueError):
    """Settings that cannot be used. Its text has a line for each problem."""


class ConfigWarning(UserWarning):
    """Settings that can be used but contradict each other. Its text says where they are."""


class SendingError(LoggingError):
    """A run could not be sent to a tracker, or not all of it. Its text says what was sent."""


class ImportingError(ValueError):
    """A file of another tracker cannot be brought in. Its text says which, where, and why."""
