"""Prints text that is safe for a terminal, to standard output and to standard error."""

from __future__ import annotations

import sys

from jaxlog._terminal import clean


def out(text: str) -> None:
    """Prints lines to standard output."""
    print(clean(text))


def flush() -> None:
    """Flushes standard output, even if it is closed: then `sys.stdout` is None."""
    print(end="", flush=True)


def ask(question: str) -> bool:
    """Asks a question on standard output, and returns True if the answer is yes."""
    print(f"{clean(question)} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def note(text: str) -> None:
    """Prints a message to the user, on standard error: programs read standard output."""
    print(f"jaxlog: {clean(text)}", file=sys.stderr)
