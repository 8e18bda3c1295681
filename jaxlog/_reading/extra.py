"""What the extra `explore` installs, asked for where it is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needs_extra(what: str) -> Iterator[None]:
    """Around imports that may find a package missing.

    Args:
      what: needs it, in the plural: `plots`.

    Raises:
      ModuleNotFoundError: one is missing; the text says how it is installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} need {error.name}, which is not installed; pip install 'jaxlog[explore]'",
            name=error.name,
        ) from error
