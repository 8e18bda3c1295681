"""The errors that jaxlog raises about settings, at the end of a run, and about other trackers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

_Outcome = TypeVar("_Outcome")


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


def without_errors(outcomes: Iterable[_Outcome | Exception]) -> list[_Outcome]:
    """Returns outcomes, of which some may be errors instead.

    Raises:
      Exception: the first of the errors; the texts of the others are its notes.
    """
    found = list(outcomes)
    errors = [one for one in found if isinstance(one, Exception)]
    for other in errors[1:]:
        errors[0].add_note(str(other))
    if errors:
        raise errors[0]
    return [one for one in found if not isinstance(one, Exception)]
