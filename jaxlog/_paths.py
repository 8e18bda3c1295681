"""Checks paths from users: a path is local, and `~` is the home directory; or it is an address."""

from __future__ import annotations

import os
import re
from pathlib import Path


def is_address(value: str | os.PathLike[str]) -> bool:
    """True for the address of something in a store, like `gs://bucket/run`.

    >>> is_address("s3://bucket/run"), is_address("runs/first"), is_address("C:/runs")
    (True, False, False)
    """
    path = os.fspath(value)
    path = os.fsdecode(path) if isinstance(path, bytes) else path
    # A drive of Windows has one letter. A Path has lost one of the slashes.
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(/|:[A-Za-z])", path) is not None


def local_path(value: str | os.PathLike[str], name: str) -> Path:
    """Returns a path from a user, with `~` expanded.

    Args:
      value: the path.
      name: the first word of an error, such as the name of the argument.

    Raises:
      ValueError: it is empty, or an address like `gs://bucket/run`, or there is no such home
        directory.
    """
    path = os.fspath(value)
    path = os.fsdecode(path) if isinstance(path, bytes) else path
    if not path:
        raise ValueError(f"{name}: got '', expected a path; '.' is the working directory")
    if is_address(path):
        raise ValueError(
            f"{name}: got the address {path!r}, expected a local path; give the path where it is "
            "mounted, or copy the files to this machine"
        )
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(
            f"{name}: got {path!r}, and there is no such home directory; write the path in full"
        ) from None
