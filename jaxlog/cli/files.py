"""Files that a command writes: all of one, or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from jaxlog.cli.errors import CommandError


@contextlib.contextmanager
def whole(file: Path) -> Iterator[Path]:
    """Where to write, so that the file is whole or stays as it was.

    Raises:
      CommandError: it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     file = Path(directory, "page.html")
    ...     with whole(file) as draft:
    ...         _ = draft.write_text("all of it")
    ...     file.read_text()
    'all of it'
    """
    draft = file.with_name(f".{file.name}.draft")
    try:
        yield draft
        draft.replace(file)
    except OSError as error:  # of polars, too, which gives it no strerror
        raise CommandError(f"{file}: cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):  # its name may be too long
            draft.unlink(missing_ok=True)
