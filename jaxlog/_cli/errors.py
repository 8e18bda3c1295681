"""The error whose text a command prints in place of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """A command failed. Its text says why, and what to do."""
