"""What a command tells its user in place of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """A command cannot do what it was asked to. Its text says what to do."""
