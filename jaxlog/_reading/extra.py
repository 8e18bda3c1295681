"""Says how to install the extra `explore` if one of its packages is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needs_extra(what: str) -> Iterator[None]:
    """Wraps imports of packages that the extra `explore` installs.

    Args:
      what: the feature that needs them, in the plural: `plots`.

    Raises:
      ModuleNotFoundError: a package is missing; the text says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} need {error.name}, which is not installed; pip install 'jaxlog[explore]'",
            name=error.name,
        ) from error
