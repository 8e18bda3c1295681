"""Downloads the files of a stored run into a directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jaxlog import _run_files
from jaxlog._store.objects import ObjectStore, StoreError
from jaxlog._store.table import StoredFile, StoredFiles, StoredPart, checksum
from jaxlog._text import counted

AT_ONCE = 8
"""The objects that are read at once."""


def download(store: ObjectStore, files: StoredFiles, directory: Path) -> None:
    """Downloads all files of a run, and checks each part.

    Raises:
      FileNotFoundError: a part is missing, since the table is older than another.
      StoreError: the store cannot be read, or has other bytes than the table says.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda item: _download(store, item[0], item[1], directory), files.items()))


def _download(store: ObjectStore, name: str, file: StoredFile, directory: Path) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with _run_files.replacing(path) as draft:
        for data in whole(store, file):
            draft.write(data)


def whole(store: ObjectStore, file: StoredFile) -> Iterator[bytes]:
    """Reads a file part by part.

    Raises:
      OSError: as `download`.
    """
    if file.text is not None:
        yield file.text.encode()
        return
    for part in file.parts:
        data = store.get(part.name)
        # A run that was copied there as a directory has no checksums.
        if len(data) != part.size or (part.check and checksum(data) != part.check):
            raise StoreError(
                f"{store.address}: an object has other bytes than were uploaded: {part.name}; "
                "delete the run, or put the object back from a backup"
            )
        yield data


def rest(store: ObjectStore, parts: Iterable[StoredPart], offset: int) -> Iterator[bytes]:
    """Reads what a file has from an offset on.

    Raises:
      OSError: as `download`.
    """
    start = 0
    for part in parts:
        end = start + part.size
        if end > offset:
            inside = max(0, offset - start)
            data = store.get(part.name, inside or None, part.size if inside else None)
            if len(data) != part.size - inside:
                raise StoreError(
                    f"{store.address}: an object is too short: {part.name}: got "
                    f"{counted(len(data), 'byte')}, expected {part.size - inside:,}"
                )
            yield data
        start = end
