"""A consistent look at the files of a run that is being written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxlog import _run_files
from jaxlog._format.named_files import named_files
from jaxlog._host.directory import MARKS_FILE, RUN_FILE

_TRIES = 5


class LocalFile(NamedTuple):
    """A file of a run at the time of a look.

    Attributes:
      size: its size in bytes.
      changed: when it was written, in nanoseconds since 1970.
      number: the number of its inode: another one is another file of that name.
    """

    size: int
    changed: int
    number: int


def snapshot(directory: Path) -> dict[str, LocalFile]:
    """Lists the files of a run so that together they are a run that was there at some time.

    run.json describes lanes and keys before their lines are written, a mark follows the lines that
    it counts, and pictures may be written before or after their lines. So marks are looked at
    before lines, lines before pictures, and run.json must be the same before and after.

    Returns:
      The files, by their paths below the directory. Links, pipes and drafts are left out.

    Raises:
      OSError: the directory cannot be read.
    """
    found: dict[str, LocalFile] = {}
    for _ in range(_TRIES):
        before = seen(directory / RUN_FILE)
        found = {}
        _, lines, columns = named_files(directory)
        for name in (MARKS_FILE, *(path.name for path in (*lines, *columns))):
            if (one := seen(directory / name)) is not None:
                found[name] = one
        for name in _names(directory):
            if name not in found and (one := seen(directory / name)) is not None:
                found[name] = one
        after = seen(directory / RUN_FILE)
        if before == after:
            break
    return found


def seen(path: Path) -> LocalFile | None:
    """Looks at one file; None if there is no regular file of this name."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return LocalFile(found.st_size, found.st_mtime_ns, found.st_ino)


def _names(directory: Path) -> Iterator[str]:
    for above, folders, names in os.walk(directory):
        folders.sort()
        inside = Path(above).relative_to(directory)
        for name in sorted(names):
            if not name.endswith(_run_files.DRAFT):
                yield (inside / name).as_posix()
