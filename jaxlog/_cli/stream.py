"""What a command says as text, on standard output and standard error, as a terminal may get it."""

from __future__ import annotations

import sys

from jaxlog._terminal import clean


def out(text: str) -> None:
    """Some lines on standard output."""
    print(clean(text))


def flush() -> None:
    """Hands on what was said: where nobody listens, there is no `sys.stdout`."""
    print(end="", flush=True)


def tell(text: str) -> None:
    """Tells the user something on standard error, where no program reads it."""
    print(f"jaxlog: {clean(text)}", file=sys.stderr)
