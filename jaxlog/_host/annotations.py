"""The tags, the note and the name that a user gives a run after it began, beside its run.json.

They are in a file of their own, which only the commands write: a live run replaces its run.json
again and again, and would undo changes in there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from jaxlog import _run_files
from jaxlog._limits import is_utf8

try:
    import fcntl
except ImportError:  # no POSIX, and no locks
    fcntl = None

ANNOTATIONS_FILE = "annotations.json"
"""The file with the user's annotations of a run."""
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class Annotations:
    """A user's annotations of a run.

    Attributes:
      tags: the tags that were added to those in run.json.
      removed_tags: the tags in run.json that were removed.
      note: a text; empty for none.
      name: the name; empty for the one in run.json.
    """

    tags: tuple[str, ...] = ()
    removed_tags: tuple[str, ...] = ()
    note: str = ""
    name: str = ""

    def tags_with(self, given: Sequence[Any]) -> tuple[str, ...]:
        """The tags of a run: those that it was given when it began, and those added since.

        Args:
          given: the tags in run.json.

        >>> Annotations(("best",), ("draft",)).tags_with(["draft", "ppo"])
        ('ppo', 'best')
        """
        kept = [str(tag) for tag in given if str(tag) not in self.removed_tags]
        return tuple(dict.fromkeys((*kept, *self.tags)))

    def with_tags(self, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Annotations:
        """Adds and removes tags.

        >>> Annotations(("a", "b")).with_tags(["c"], remove=["a"])
        Annotations(tags=('b', 'c'), removed_tags=('a',), note='', name='')
        """
        tags = [tag for tag in dict.fromkeys((*self.tags, *add)) if tag not in remove]
        removed = [tag for tag in dict.fromkeys((*self.removed_tags, *remove)) if tag not in add]
        return replace(self, tags=tuple(tags), removed_tags=tuple(removed))

    def with_note(self, note: str) -> Annotations:
        """Replaces the note."""
        return replace(self, note=note)

    def with_name(self, name: str) -> Annotations:
        """Replaces the name."""
        return replace(self, name=name)


NONE = Annotations()
"""No annotations."""


def annotations_of(directory: Path, run_id: Any) -> Annotations:
    """Reads the annotations of a run; none if the file is missing or cannot be read.

    Args:
      directory: the directory of the run.
      run_id: the id in its run.json. Annotations of a run that another has replaced do not count.
    """
    # A text and no exception, since an index does this for thousands of runs.
    path = f"{directory}/{ANNOTATIONS_FILE}"
    if not os.access(path, os.R_OK):
        return NONE
    try:
        found = _run_files.read_small(path, _MOST_BYTES)
    except OSError:
        return NONE
    return _parsed(found, run_id)


def annotate(
    directory: Path, run_id: Any, changed: Callable[[Annotations], Annotations]
) -> Annotations:
    """Changes the annotations of a run, and returns them.

    The file is replaced as a whole. Of several processes that change it at once, one waits for the
    other, and no change is lost.

    Args:
      directory: the directory of the run.
      run_id: the id in its run.json.
      changed: returns the new annotations for the present ones.

    Raises:
      OSError: the file cannot be written, or UTF-8 cannot hold a text.
    """
    path = directory / ANNOTATIONS_FILE
    with locked(path):
        before = annotations_of(directory, run_id)
        after = changed(before)
        for text in (*after.tags, *after.removed_tags, after.note, after.name):
            if not is_utf8(text):
                raise OSError(f"{path}: got {text!r:.60}, expected text that is valid Unicode")
        fields = {
            "run": run_id,
            "tags": after.tags,
            "removed_tags": after.removed_tags,
            "note": after.note,
            "name": after.name,
        }
        data = orjson.dumps(fields, option=orjson.OPT_INDENT_2)
        with _run_files.replacing(path) as file:
            file.write(data)
    return after


def _parsed(data: bytes, run_id: Any) -> Annotations:
    try:
        found = _run_files.loads(data)
    except ValueError:
        return NONE
    if not isinstance(found, dict) or found.get("run") != run_id:
        return NONE

    def texts(key: str) -> tuple[str, ...]:
        value = found.get(key)
        return tuple(filter(_is_text, value)) if isinstance(value, list) else ()

    def text(key: str) -> str:
        value = found.get(key)
        return value if isinstance(value, str) else ""

    return Annotations(texts("tags"), texts("removed_tags"), text("note"), text("name"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


@contextlib.contextmanager
def locked(path: Path) -> Generator[None]:
    """Locks a file until the block ends; makes an empty one if it is missing."""
    if fcntl is None:
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    while True:
        opened = os.open(path, flags, 0o666)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(opened, fcntl.LOCK_EX)
            held = os.fstat(opened)
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino):
                continue  # replaced by the process that had the lock
            yield
            return
        finally:
            os.close(opened)
