"""The table of a run with many files, in objects that are written once.

Without them, a session would have the whole table each time that it is written. With them, it names
the objects, of which each has changes to those before, and has itself only what changed since.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import orjson

from jaxlog import _run_files
from jaxlog._store.objects import ObjectStore, StoreError
from jaxlog._store.table import (
    DATA,
    StoredChanges,
    StoredFiles,
    StoredPart,
    applied,
    changes_of,
    changes_to,
    checksum,
    table_facts,
)

LEAST = 32
"""The changes that a session has at most, before they become an object. In a table of n files, the
square root of n if that is more, so that the whole table is not written too often."""
MOST = 8
"""The objects of a table at most: instead of another, the whole table is written."""


@dataclass(frozen=True)
class TableObjects:
    """The objects of a table, and what they say together.

    Attributes:
      parts: the objects, in their order.
      files: the files that have parts; texts are only in sessions.
    """

    parts: tuple[StoredPart, ...] = ()
    files: StoredFiles = field(default_factory=dict, repr=False)

    def changes(self, files: StoredFiles) -> StoredChanges:
        """The changes that make of these files a whole table."""
        return changes_to(self.files, files)


NONE = TableObjects()


def read_objects(
    store: ObjectStore, parts: tuple[StoredPart, ...], before: TableObjects = NONE
) -> TableObjects:
    """Reads the objects of a table, but those that were read before.

    Raises:
      FileNotFoundError: one is missing, since a newer session names others.
      StoreError: the store cannot be read, or has other bytes than were written.
      ValueError: one has no changes of a table.
    """
    start = len(before.parts)
    if parts[:start] != before.parts:
        start, before = 0, NONE
    files = before.files
    for part in parts[start:]:
        data = store.get(part.name)
        if checksum(data) != part.check:
            raise StoreError(
                f"{store.address}: an object has other bytes than were uploaded: {part.name}"
            )
        files = applied(files, changes_of(_run_files.loads(data)))
    return TableObjects(parts, files)


def extended(
    store: ObjectStore, objects: TableObjects, files: StoredFiles, unique: str
) -> TableObjects:
    """Writes another object if a table has many changes since the last one.

    Args:
      store: the objects of the run.
      objects: those that there are; they are left in the store, since readers may need them.
      files: the table.
      unique: a name below the folder of parts, that is used once.

    Raises:
      StoreError: it cannot be written.
    """
    large = {name: one for name, one in files.items() if one.text is None}
    changes = objects.changes(large)
    if len(changes) <= max(LEAST, math.isqrt(len(large))):
        return objects
    is_whole = len(objects.parts) == MOST or len(changes) >= len(large)
    data = orjson.dumps(table_facts(large if is_whole else changes))
    part = StoredPart(f"{DATA}/{unique}", len(data), checksum(data), 0)
    store.put(part.name, data)
    return TableObjects((part,) if is_whole else (*objects.parts, part), large)
