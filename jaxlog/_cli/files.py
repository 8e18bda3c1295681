"""Files that a command writes: all of one, or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxlog._cli.errors import CommandError
from jaxlog._run_files import replacement


@contextlib.contextmanager
def whole(file: Path) -> Iterator[BinaryIO]:
    """What to write to, so that the file is whole or stays as it was.

    Raises:
      CommandError: it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     file = Path(directory, "page.html")
    ...     with whole(file) as draft:
    ...         _ = draft.write(b"all of it")
    ...     file.read_text()
    'all of it'
    """
    draft: Path | None = None
    try:
        draft, opened = replacement(file)
        with opened:
            yield opened
        draft.replace(file)
    except OSError as error:  # of polars, too, which gives it no strerror
        raise CommandError(f"{file}: cannot be written: {error.strerror or error}") from None
    finally:
        if draft is not None:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
