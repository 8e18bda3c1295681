"""Writes the files of a command, whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxlog._cli.errors import CommandError
from jaxlog._run_files import replacing


@contextlib.contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that replaces `file` only when all of it is written.

    Raises:
      CommandError: the file cannot be written; an older one is left as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     file = Path(directory, "page.html")
    ...     with whole_file(file) as draft:
    ...         _ = draft.write(b"all of it")
    ...     file.read_text()
    'all of it'
    """
    try:
        with replacing(file) as draft:
            yield draft
    except OSError as error:  # one from polars has no strerror
        raise CommandError(f"{file}: cannot be written: {error.strerror or error}") from None
