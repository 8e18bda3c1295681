"""Uploads the files of a run in parts, each byte a bounded number of times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxlog import _run_files
from jaxlog._host.annotations import ANNOTATIONS_FILE
from jaxlog._host.directory import RUN_FILE
from jaxlog._store.objects import ObjectStore
from jaxlog._store.snapshot import LocalFile
from jaxlog._store.table import DATA, StoredFile, StoredPart, checksum

LARGEST_PART = 2**25
"""The most bytes of a part; one is in memory at a time."""
MERGED = 8
"""As many parts of one level become one of the next: a file of n parts has about
`MERGED * log(n)`, and each of its bytes is uploaded as many times as there are levels."""
_IN_TABLE = (RUN_FILE, ANNOTATIONS_FILE)
"""Files that are in the table itself, so that a list of runs needs one object of each."""
_LARGEST_IN_TABLE = 2**16
_TAIL = 2**12
"""The last bytes that were uploaded of a file; if they changed, it was cut or replaced."""


@dataclass(frozen=True)
class _Uploaded:
    """The end of what was uploaded of a file in this session, and the state of the file then."""

    seen: LocalFile
    tail: bytes


class Uploads:
    """The uploads of one session of a run.

    Args:
      store: the objects of the run.
      directory: with the files.
      session: the number of the session.
      token: of the session, which makes the names of streams unique.
      files: the table of files that the store has.
      between: called after each object.

    Attributes:
      files: the table with what was uploaded since.
      obsolete: the parts that files no longer have, and when that was found.
      num_bytes: the bytes that were uploaded.
      num_objects: the objects that were written.
    """

    def __init__(
        self,
        store: ObjectStore,
        directory: Path,
        session: int,
        token: str,
        files: Mapping[str, StoredFile],
        between: Callable[[], None],
    ) -> None:
        self._store = store
        self._directory = directory
        self._session = session
        self._token = token
        self._between = between
        self.files = dict(files)
        self.obsolete: dict[str, float] = {}
        self.num_bytes = 0
        self.num_objects = 0
        self._uploaded: dict[str, _Uploaded] = {}
        self._streams = 0
        self._gone: set[str] = set()

    def update(self, local: Mapping[str, LocalFile], *, final: bool = False) -> None:
        """Uploads what is new, and drops files that are gone.

        A file is dropped at the second look that does not find it, so that a directory which is
        being deleted leaves the store as it is: the second look no longer finds run.json.

        Args:
          local: the files, as `snapshot` lists them.
          final: whether an incomplete last line is uploaded, too.

        Raises:
          OSError: a file cannot be read, or the store cannot be written.
        """
        gone = self.files.keys() - local.keys()
        for name in gone if final else gone & self._gone:
            self._drop(self.files.pop(name).parts)
            self._uploaded.pop(name, None)
        self._gone = gone
        for name, seen in local.items():
            if (known := self._uploaded.get(name)) is not None and known.seen == seen:
                continue
            try:
                self._update(name, seen, final=final)
            except FileNotFoundError:  # it was removed since; the next look finds it so
                if (self._directory / name).exists():
                    raise

    def forget_lost(self) -> bool:
        """Forgets files of which the store has lost a part; True if there are any.

        Raises:
          StoreError: the store cannot be listed.
        """
        there = self._store.find(DATA)
        lost = [
            name
            for name, one in self.files.items()
            if any(p.name not in there or there[p.name].size != p.size for p in one.parts)
        ]
        for name in lost:
            self._drop(self.files.pop(name).parts)
            self._uploaded.pop(name, None)
        return bool(lost)

    def missing(self, local: Mapping[str, LocalFile]) -> dict[str, int]:
        """The bytes of each file that are not uploaded."""
        found = {}
        for name, seen in local.items():
            known, stored = self._uploaded.get(name), self.files.get(name)
            if known is None or known.seen != seen:
                done = stored.size if stored is not None and stored.text is None else 0
                found[name] = max(seen.size - done, 0) or seen.size
        return found

    def _update(self, name: str, seen: LocalFile, *, final: bool) -> None:
        path = self._directory / name
        if name in _IN_TABLE and seen.size <= _LARGEST_IN_TABLE:
            text = _run_files.read_small(path).decode("utf-8", "replace")
            before = self.files.get(name)
            if before is None or before.text != text:
                self._drop(before.parts if before is not None else ())
                self.files[name] = StoredFile(self._new_stream(), text=text)
            self._uploaded[name] = _Uploaded(seen, b"")
            return
        with _run_files.open_file(path) as file:
            descriptor = file.fileno()
            stored = self._kept(name, seen, descriptor)
            offset = stored.size
            while offset < seen.size:
                data = _read(descriptor, offset, min(LARGEST_PART, seen.size - offset))
                if not final and offset + len(data) >= seen.size and name.endswith(".jsonl"):
                    data = data[: data.rfind(b"\n") + 1]  # a line that is being written waits
                if not data:
                    break
                stored = self._added(name, stored, offset, data)
                offset += len(data)
            stored = self._merged(name, stored, descriptor)
            tail = _read(descriptor, max(0, stored.size - _TAIL), min(_TAIL, stored.size))
        self.files[name] = stored
        if stored.size == seen.size:
            self._uploaded[name] = _Uploaded(seen, tail)
        else:  # looked at again the next time
            self._uploaded[name] = _Uploaded(seen._replace(size=stored.size), tail)

    def _kept(self, name: str, seen: LocalFile, descriptor: int) -> StoredFile:
        """The part of a stored file that is still the beginning of the local one."""
        stored = self.files.get(name)
        if stored is None or stored.text is not None:
            return StoredFile(self._new_stream())
        known = self._uploaded.get(name)
        if known is not None and known.seen.number == seen.number and stored.size <= seen.size:
            start = max(0, stored.size - _TAIL)
            if _read(descriptor, start, stored.size - start) == known.tail:
                return stored
        parts: list[StoredPart] = []
        offset = 0
        for part in stored.parts:
            if offset + part.size > seen.size:
                break
            if checksum(_read(descriptor, offset, part.size)) != part.check:
                break
            parts.append(part)
            offset += part.size
        if len(parts) == len(stored.parts):
            return stored
        self._drop(stored.parts[len(parts) :])
        return StoredFile(self._new_stream(), tuple(parts))

    def _added(self, name: str, stored: StoredFile, offset: int, data: bytes) -> StoredFile:
        part = self._put(name, offset, data, 0)
        stored = stored.with_parts((*stored.parts, part))
        self.files[name] = stored
        return stored

    def _merged(self, name: str, stored: StoredFile, descriptor: int) -> StoredFile:
        """Makes one part of the last ones while there are many of one level."""
        while len(stored.parts) >= MERGED:
            last = stored.parts[-MERGED:]
            size = sum(part.size for part in last)
            if len({part.level for part in last}) > 1 or size > LARGEST_PART:
                break
            offset = stored.size - size
            data = _read(descriptor, offset, size)
            if len(data) < size:  # it was cut since; the next look finds it so
                break
            part = self._put(name, offset, data, last[0].level + 1)
            stored = stored.with_parts((*stored.parts[:-MERGED], part))
            self.files[name] = stored
            self._drop(last)
        return stored

    def _put(self, name: str, offset: int, data: bytes, level: int) -> StoredPart:
        self.num_objects += 1
        # A name is used once: a reader never finds other bytes than those that it was told of.
        unique = f"{offset:016d}-{self._token}-{self.num_objects:x}"
        part = StoredPart(
            f"{DATA}/{self._session:04d}/{name}/{unique}", len(data), checksum(data), level
        )
        self._store.put(part.name, data)
        self.num_bytes += len(data)
        self._between()
        return part

    def _drop(self, parts: tuple[StoredPart, ...]) -> None:
        now = time.monotonic()
        self.obsolete |= {part.name: now for part in parts}

    def _new_stream(self) -> str:
        self._streams += 1
        return f"{self._token}.{self._streams}"


def _read(descriptor: int, offset: int, size: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0 and (piece := os.pread(descriptor, size, offset)):
        pieces.append(piece)
        offset += len(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
