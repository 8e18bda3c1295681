"""The table of the files of a stored run: which objects, one after the other, are each file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

DATA = "data"
"""The folder of a stored run with the parts of its files."""


class StoredPart(NamedTuple):
    """One object that holds a part of a file.

    Attributes:
      name: its name below the run's address.
      size: its size in bytes.
      check: the checksum of its bytes, by `checksum`.
      level: how often it was merged from smaller parts.
    """

    name: str
    size: int
    check: str
    level: int


@dataclass(frozen=True)
class StoredFile:
    """A file of a stored run.

    Attributes:
      stream: names its history: as long as it is the same, bytes were only added at its end.
      parts: its objects, in their order.
      text: the whole file, instead of parts, if it is small.
    """

    stream: str
    parts: tuple[StoredPart, ...] = ()
    text: str | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Its size in bytes."""
        if self.text is not None:
            return len(self.text.encode())
        return sum(part.size for part in self.parts)

    def with_parts(self, parts: tuple[StoredPart, ...]) -> StoredFile:
        """The same file with other parts."""
        return replace(self, parts=parts)


StoredFiles = Mapping[str, StoredFile]
"""The files of a stored run, by their paths below its directory, with `/` between folders."""
StoredChanges = Mapping[str, StoredFile | None]
"""Changes to such a table: None for a file that is no longer there."""


def checksum(data: bytes) -> str:
    """The checksum of a part: BLAKE2b of 8 bytes, in hexadecimal digits.

    >>> checksum(b"")
    'e4a6a0577479b2b4'
    """
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def changes_to(before: StoredFiles, after: StoredFiles) -> dict[str, StoredFile | None]:
    """The changes that make of one table another."""
    found: dict[str, StoredFile | None] = dict.fromkeys(before.keys() - after.keys())
    return found | {name: one for name, one in after.items() if before.get(name) != one}


def applied(before: StoredFiles, changes: StoredChanges) -> dict[str, StoredFile]:
    """A table with changes made to it."""
    return {name: one for name, one in {**before, **changes}.items() if one is not None}


def table_facts(changes: StoredChanges) -> dict[str, Any]:
    """A table, or changes to one, as plain JSON values."""
    return {name: None if one is None else _facts(one) for name, one in changes.items()}


def _facts(file: StoredFile) -> dict[str, Any]:
    if file.text is not None:
        return {"stream": file.stream, "text": file.text}
    return {"stream": file.stream, "parts": parts_facts(file.parts)}


def parts_facts(parts: Sequence[StoredPart]) -> list[list[Any]]:
    """Objects as plain JSON values."""
    return [list(part) for part in parts]


def changes_of(facts: Any) -> dict[str, StoredFile | None]:
    """Reads a table, or changes to one; what comes from a store is not trusted.

    Raises:
      ValueError: it is not a table, or a name would lead out of a directory.
    """
    if not isinstance(facts, Mapping):
        raise ValueError("got no table of files, expected a mapping")
    return {name: None if one is None else _file(name, one) for name, one in facts.items()}


def _file(name: Any, facts: Any) -> StoredFile:
    stream, text = facts["stream"], facts.get("text")
    parts = parts_of(facts.get("parts", ()))
    if not (is_inside(name) and isinstance(stream, str) and isinstance(text, str | None)):
        raise ValueError(f"got the file {name!r:.80}, expected a path below a directory")
    return StoredFile(stream, parts, text)


def parts_of(facts: Any) -> tuple[StoredPart, ...]:
    """Reads the objects of a file or of a table.

    Raises:
      ValueError: as `changes_of`.
    """
    return tuple(_part(part) for part in facts)


def _part(found: Any) -> StoredPart:
    name, size, check, level = found
    right = isinstance(name, str) and is_inside(name) and isinstance(check, str)
    if not right or type(size) is not int or size < 0 or type(level) is not int:
        raise ValueError(f"got the part {name!r:.80}, expected the name of an object and its size")
    return StoredPart(name, size, check, level)


def is_inside(name: str) -> bool:
    """True if a name is a plain path below a directory."""
    if not name or "\\" in name or "\0" in name or name.startswith("/"):
        return False
    return str(PurePosixPath(name)) == name and ".." not in name.split("/") and name != "."
