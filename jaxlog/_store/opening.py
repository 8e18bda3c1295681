"""Opens a run at an address: takes its session, and gets its files onto this machine."""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jaxlog._host.directory import RUN_FILE, IfExists
from jaxlog._store.address import StoreAddress
from jaxlog._store.downloads import download
from jaxlog._store.mirror import RunMirror
from jaxlog._store.objects import ObjectStore, StoreError
from jaxlog._store.sessions import (
    HeldSession,
    SessionRecord,
    lease_seconds,
    newest,
    read_session,
)
from jaxlog._store.waiting import refuse_if_live

_TRIES = 3


class StoredRunOpening:
    """A run at an address, held by this process, with its files in a local directory.

    Args:
      address: of the run.
      if_exists: as for `Logger.open`.
      seconds: between two uploads.

    Attributes:
      address: of the run; with `next`, that with the number that is free.
      directory: the local directory, a temporary one. It is removed when the process ends, if all
        of it is in the store.
      mirror: uploads it while the run is open.

    Raises:
      FileExistsError: the address has a run, and `if_exists` is `error`; or that run is open.
      StoreError: the store cannot be used.
    """

    def __init__(self, address: StoreAddress, if_exists: IfExists, seconds: float) -> None:
        self.address = address
        if if_exists == "next":
            session = self._next(lease_seconds(seconds))
        else:
            session = _taken(ObjectStore(address), if_exists, lease_seconds(seconds))
        self._session = session
        self._root = Path(tempfile.mkdtemp(prefix="jaxlog-")).resolve()
        self.directory = self._root / self.address.name
        try:
            self.directory.mkdir()
            if if_exists == "resume":
                _get(session, self.directory)
        except BaseException:
            self.leave()
            raise
        self.mirror = RunMirror(
            session,
            self.directory,
            seconds,
            replaces=if_exists == "replace",
            uploaded=self._remove_at_exit,
        )

    def leave(self) -> None:
        """Gives the run up before it is open: the store has what it had."""
        session = self._session
        shutil.rmtree(self._root, ignore_errors=True)
        session.leave()
        if session.number == 1 and not session.files:
            with contextlib.suppress(OSError):
                session.withdraw()

    def _remove_at_exit(self) -> None:
        # Until then, the program may read its own files.
        atexit.register(shutil.rmtree, self._root, ignore_errors=True)

    def _next(self, seconds: float) -> HeldSession:
        for candidate in _numbered(self.address):
            store = ObjectStore(candidate)
            if store.entries():
                continue
            session = HeldSession(store, 1, seconds, {})
            if session.take():
                self.address = candidate
                return session
        raise AssertionError


def upload(directory: Path, address: StoreAddress) -> RunMirror:
    """Uploads the run in a directory, which is not open.

    If the address has a run already, the files of this one take their place.

    Returns:
      The mirror, which has done its work.

    Raises:
      FileExistsError: the run at the address is open, or is another one.
      OSError: the directory cannot be read, or the store cannot be written.
    """
    store = ObjectStore(address)
    session = _taken(store, "resume", lease_seconds(0.0))
    try:
        known = session.files.get(RUN_FILE)
        own = _id_of((directory / RUN_FILE).read_text(errors="replace"))
        if known is not None and known.text is not None and _id_of(known.text) != own:
            raise FileExistsError(
                f"{address}: has another run, expected that of {directory} or none; choose another "
                "address"
            )
        mirror = RunMirror(session, directory, 0.0)
        mirror.upload()
    except BaseException:
        session.leave()
        raise
    return mirror


def _taken(store: ObjectStore, if_exists: IfExists, seconds: float) -> HeldSession:
    """Takes the next session of a run.

    Raises:
      FileExistsError: it has a run, and `if_exists` is `error`; or that run is open.
      StoreError: the store cannot be used.
    """
    entries = store.entries()
    number, tag = newest(entries)
    before: SessionRecord | None = None
    has_run = any(entry.name == RUN_FILE for entry in entries)
    if number:
        before = read_session(store, number, tag)
        has_run = has_run or RUN_FILE in before.files
    if has_run and if_exists == "error":
        raise FileExistsError(
            f"{store.address}: holds a run already; choose another address, delete this one, or "
            "give open if_exists='resume' to go on with that run, 'replace' to write over it, or "
            "'next' for an address with the next number"
        )
    if before is not None:
        refuse_if_live(store, before)
        before = read_session(store, number, tag, before.objects)  # it may have been written since
    session = HeldSession(store, number + 1, seconds, {})
    if before is not None:
        session = HeldSession(store, number + 1, seconds, before.files, before.objects)
    if not session.take():
        raise FileExistsError(
            f"{store.address}: was opened by another machine just now; choose another address, or "
            "end that run first"
        )
    return session


def _get(session: HeldSession, directory: Path) -> None:
    """Gets the files of a run that is resumed."""
    store = session.store
    if not session.files:  # a run that was copied there as a directory
        for name in store.find("") if store.exists(RUN_FILE) else ():
            if "/session-" in f"/{name}":
                continue
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(store.get(name))
        return
    for number in range(_TRIES):
        try:
            download(store, session.files, directory)
            return
        except FileNotFoundError as error:
            if number + 1 == _TRIES:
                raise StoreError(
                    f"{store.address}: a part of the run is missing, so that it cannot be resumed "
                    f"({error}); give open if_exists='replace', or put the object back"
                ) from None


def _id_of(text: str) -> str | None:
    found = re.search(r'"id":\s*"([0-9a-f]{1,16})"', text)
    return found[1] if found else None


def _numbered(address: StoreAddress) -> Iterator[StoreAddress]:
    """Yields an address, and then those with numbers that no entry beside it has."""
    yield address
    name = re.compile(re.escape(address.name) + r"-([1-9][0-9]{0,8})")
    beside = ObjectStore(address.parent).entries() if "/" in address.path else []
    used = [int(found[1]) for one in beside if (found := name.fullmatch(one.name))]
    number = max(used, default=1)
    while True:
        number += 1
        yield address.sibling(f"{address.name}-{number}")
