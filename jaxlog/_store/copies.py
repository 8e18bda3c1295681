"""Local copies of stored runs, for readers: run.json at first, and other files when they are read.

A copy holds, like the directory of a live run, what the store had at the last look. Files that only
grew get what is new.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from jaxlog import _run_files
from jaxlog._host.annotations import ANNOTATIONS_FILE
from jaxlog._host.directory import RUN_FILE
from jaxlog._say import log as _log
from jaxlog._store import known
from jaxlog._store.address import StoreAddress, parsed
from jaxlog._store.downloads import rest, whole
from jaxlog._store.objects import ObjectStore, StoredEntry, StoreError
from jaxlog._store.sessions import NoSessionError, newest, read_session
from jaxlog._store.table import StoredFile, StoredPart
from jaxlog._store.table_objects import NONE

try:
    import fcntl
except ImportError:  # no POSIX, and no locks
    fcntl = None

LIVE_SECONDS = 2.0
"""The seconds between two looks at a run that is live."""
ENDED_SECONDS = 30.0
"""The seconds between two looks at a run that has ended, and between two listings."""
SLACK = 30.0
"""The seconds by which the clocks of two machines may differ before a live run seems to be gone."""
DEPTH = 2
"""The depth to which runs are searched for, as in a directory."""
UNUSED_DAYS = 14
"""The days after which a copy that nobody reads is removed."""
_AT_ONCE = 16
_TRIES = 3
_STATE = ".copy.json"
_LOCK = ".copy.lock"
_FACTS = (RUN_FILE, ANNOTATIONS_FILE)


class RunCopy:
    """The copy of one stored run.

    Args:
      store: the objects of the run.
      directory: of the copy.

    Attributes:
      address: of the run.
    """

    def __init__(self, store: ObjectStore, directory: Path) -> None:
        self.address = str(store.address)
        self._store = store
        self._directory = directory
        self._files: dict[str, StoredFile] = {}
        self._objects = NONE
        self._looked = -1e9
        self._tag: tuple[int, str] | None = None
        self._live_until = 0.0
        self._wanted: set[str] = set()  # the files that were asked for
        self._brings = False  # all files that are not in folders were asked for
        self._lock = threading.RLock()

    @property
    def _is_live(self) -> bool:
        return time.time() < self._live_until

    def look(self) -> bool:
        seconds = LIVE_SECONDS if self._is_live else ENDED_SECONDS
        if time.monotonic() - self._looked >= seconds:
            with contextlib.suppress(FileNotFoundError):  # deleted: the copy stays as it is
                self.refresh()
        return self._is_live

    def bring(self) -> None:
        self.look()
        with self._lock:
            if not self._brings:
                self._brings = True
                self._bring()

    def bring_file(self, inside: str) -> None:
        with self._lock:
            if inside not in self._wanted:
                self._wanted.add(inside)
                self._bring()

    def refresh(self, entries: list[StoredEntry] | None = None) -> None:
        """Looks at the store, and brings run.json and the files that were asked for up to date.

        If the store is away, the copy stays as it is, once it has been there.

        Raises:
          FileNotFoundError: the store has no such run.
          StoreError: the store cannot be read.
        """
        with self._lock:
            self._looked = time.monotonic()
            try:
                self._read_table(self._store.entries() if entries is None else entries)
                self._bring()
            except StoreError:
                if self._tag is None:
                    raise

    def _read_table(self, entries: list[StoredEntry]) -> None:
        number, tag = newest(entries)
        if number and (number, tag) != self._tag:
            found = read_session(self._store, number, tag, self._objects)
            self._files, self._objects = dict(found.files), found.objects
            self._live_until = 0.0 if found.ended else found.written + found.seconds + SLACK
        elif not number and any(entry.name == RUN_FILE for entry in entries):
            self._files = _plain_files(self._store)
        if RUN_FILE not in self._files:
            raise FileNotFoundError(f"{self.address}: has no {RUN_FILE}, expected a run")
        self._tag = number, tag

    def _bring(self) -> None:
        """Brings the files that were asked for up to date, run.json first."""
        for number in range(_TRIES):
            try:
                self._bring_once()
                return
            except FileNotFoundError as error:  # replaced since the table was read
                if number + 1 == _TRIES:
                    raise StoreError(f"{self.address}: an object is missing: {error}") from None
                self._tag = None
                self._read_table(self._store.entries())

    def _bring_once(self) -> None:
        names = [name for name in self._files if self._is_wanted(name)]
        self._directory.mkdir(parents=True, exist_ok=True)
        with _locked(self._directory / _LOCK):
            before = _read_state(self._directory / _STATE)
            state = {name: one for name, one in before.items() if name in self._files}
            for name in before.keys() - state.keys():
                with contextlib.suppress(OSError):
                    (self._directory / name).unlink()
            for name in sorted(names, key=lambda name: name != RUN_FILE):
                file = self._files[name]
                wanted = [file.stream, file.size]
                if state.get(name) != wanted:
                    self._bring_one(name, file, state.get(name))
                    state[name] = wanted
            if state != before:
                with _run_files.replacing(self._directory / _STATE) as draft:
                    draft.write(orjson.dumps(state))

    def _is_wanted(self, name: str) -> bool:
        return name in _FACTS or name in self._wanted or (self._brings and "/" not in name)

    def _bring_one(self, name: str, file: StoredFile, before: Any) -> None:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if before is not None and before[0] == file.stream and file.text is None:
            size = int(before[1])
            if _run_files.is_regular(path) and path.stat().st_size >= size:
                with path.open("r+b") as opened:
                    opened.truncate(size)
                    opened.seek(size)
                    for data in rest(self._store, file.parts, size):
                        opened.write(data)
                return
        with _run_files.replacing(path) as draft:
            for data in whole(self._store, file):
                draft.write(data)


class CopiedRuns:
    """The copies of the runs below an address.

    Args:
      address: of a run, or of a directory of runs.
      depth: to which runs are searched for.

    Attributes:
      address: as given.
      directory: the directory of the copies.
      runs: the directories of the runs that were found.
    """

    def __init__(self, address: StoreAddress, depth: int) -> None:
        self.address = str(address)
        self._depth = depth
        self._store = ObjectStore(address)
        self.directory = _root() / address.protocol / address.path
        self.runs: dict[Path, RunCopy] = {}
        self._looked = -1e9
        self._said: set[Path] = set()
        self._lock = threading.Lock()

    def look(self) -> None:
        if time.monotonic() - self._looked >= ENDED_SECONDS:
            with contextlib.suppress(StoreError):  # the copies stay as they are
                self.find()

    def find(self) -> None:
        """Finds the runs, and brings run.json of each.

        Raises:
          StoreError: the store cannot be read.
        """
        with self._lock:
            self._looked = time.monotonic()
            self.directory.mkdir(parents=True, exist_ok=True)
            found = self._found()
        for directory in self.runs.keys() - found.keys():
            known.remove_run(directory)
        for directory in _copies_in(self.directory, self._depth):
            if directory not in found:
                shutil.rmtree(directory, ignore_errors=True)
        self.runs = found
        for directory, run in found.items():
            known.add_run(directory, run)

    def _found(self) -> dict[Path, RunCopy]:
        found: dict[Path, RunCopy] = {}
        level = [(self._store, self.directory)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in range(self._depth + 1):
                listed = list(pool.map(lambda one: one[0].entries(), level))
                inner: list[tuple[ObjectStore, Path]] = []
                runs: list[tuple[Path, RunCopy, list[StoredEntry]]] = []
                for (store, directory), entries in zip(level, listed, strict=True):
                    if newest(entries)[0] or any(entry.name == RUN_FILE for entry in entries):
                        run = self.runs.get(directory) or RunCopy(store, directory)
                        runs.append((directory, run, entries))
                        continue
                    inner += [
                        (store.below(entry.name), directory / entry.name)
                        for entry in entries
                        if entry.is_folder and not entry.name.startswith(".")
                    ]
                there = pool.map(lambda one: self._refreshed(*one), runs)
                found |= {
                    one[0]: one[1] for one, is_there in zip(runs, there, strict=True) if is_there
                }
                level = inner
        return found

    def _refreshed(self, directory: Path, run: RunCopy, entries: list[StoredEntry]) -> bool:
        """Looks at a run that was listed; False if it has no run.json yet, or is no run."""
        try:
            run.refresh(entries)
        except FileNotFoundError:
            return False
        except NoSessionError as error:
            if directory == self.directory:  # the address of this one was given
                raise
            if directory not in self._said:
                self._said.add(directory)
                _log.warning("jaxlog: a run was left out: %s", error)
            return False
        return True


def copied(text: str, name: str = "path") -> Path:
    """The directory with the local copies of what an address has.

    Args:
      text: the address of a run or of a directory of runs; it may have a pattern, `s3://b/ppo-*`.
      name: the first word of an error.

    Returns:
      The directory of the run, or of the runs, with the pattern.

    Raises:
      FileNotFoundError: there is no run.
      StoreError: the store cannot be read.
      ValueError: it is no address of a store, or has credentials in it.
    """
    address, pattern = parsed(text, name).split()
    if not address.path:
        raise ValueError(f"{name}: got {text!r}, expected an address whose bucket has no pattern")
    depth = max(DEPTH, len(pattern.split("/")))
    tree = _trees.get((address, depth)) or CopiedRuns(address, depth)
    tree.find()
    if not tree.runs:
        raise FileNotFoundError(
            f"{address}: has no run, expected the address of a run or of a directory of runs"
        )
    _trees[address, depth] = tree
    known.add_tree(tree.directory, tree)
    return tree.directory / pattern if pattern else tree.directory


_trees: dict[tuple[StoreAddress, int], CopiedRuns] = {}


def _plain_files(store: ObjectStore) -> dict[str, StoredFile]:
    """The table of a run that was copied into a store as a directory."""
    found: dict[str, StoredFile] = {}
    for name, entry in store.find("").items():
        stream = f"{entry.size} {entry.tag}"
        found[name] = StoredFile(stream, (StoredPart(name, entry.size, "", 0),))
    return found


def _copies_in(directory: Path, depth: float = math.inf) -> Iterator[Path]:
    """The directories of copies below one, at most some folders below it."""
    for above, folders, names in os.walk(directory):
        if _STATE in names:
            folders.clear()
            yield Path(above)
        elif len(Path(above).relative_to(directory).parts) >= depth:
            folders.clear()


def _read_state(path: Path) -> dict[str, list[Any]]:
    with contextlib.suppress(OSError, ValueError):
        found = _run_files.loads(_run_files.read_small(path))
        if isinstance(found, dict) and all(isinstance(one, list) for one in found.values()):
            return found
    return {}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Locks a copy against other processes that bring it up to date."""
    if fcntl is None:
        yield
        return
    opened = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(opened, fcntl.LOCK_EX)
        os.utime(opened)
        yield
    finally:
        os.close(opened)


_found_root: list[Path] = []


def _root() -> Path:
    """The directory of all copies, which nobody else may write."""
    if not _found_root:
        try:
            root = Path("~/.cache/jaxlog/stores").expanduser()
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            mine = root.stat().st_uid == os.getuid() and os.access(root, os.W_OK)
        except (OSError, RuntimeError):
            mine, root = False, Path()
        if not mine:
            root = Path(tempfile.mkdtemp(prefix="jaxlog-copies-"))
            atexit.register(shutil.rmtree, root, ignore_errors=True)
        _found_root.append(root.resolve())
        _remove_unused(_copies_in(root))
    return _found_root[0]


def _remove_unused(directories: Iterable[Path]) -> None:
    oldest = time.time() - UNUSED_DAYS * 86400
    for directory in directories:
        with contextlib.suppress(OSError):
            if (directory / _LOCK).stat().st_mtime < oldest:
                shutil.rmtree(directory, ignore_errors=True)
