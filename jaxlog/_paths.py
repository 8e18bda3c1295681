"""Paths that users give: of this machine, from the home directory on if they say so."""

from __future__ import annotations

import os
import re
from pathlib import Path


def local_path(given: str | os.PathLike[str], name: str) -> Path:
    """The path that a user gave, with `~` expanded.

    Args:
      given: what the user gave.
      name: stands before an error.

    Raises:
      ValueError: it is empty, or an address like `gs://bucket/run`; or there is no such home
        directory.
    """
    path = os.fspath(given)
    path = os.fsdecode(path) if isinstance(path, bytes) else path
    if not path:
        raise ValueError(f"{name}: got '', expected a path; '.' is the working directory")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", path):  # a drive of Windows has one letter
        raise ValueError(
            f"{name}: got the address {path!r}, expected a local path; give the path where it is "
            "mounted, or copy what is there"
        )
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(
            f"{name}: got {path!r}, and there is no such home directory; write the path in full"
        ) from None
