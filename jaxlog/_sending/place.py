"""The place up to which a run has been sent to a tracker: a file in the run's folder `sent`.

Readers and sinks of the run do not use the folder, so that it may be written beside a live run.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from jaxlog import _run_files
from jaxlog._errors import SendingError
from jaxlog._reading.columnar_lines import ROWS, is_columnar

try:
    import fcntl
except ImportError:  # no POSIX, and no locks
    fcntl = None

FOLDER = "sent"
"""The folder in a run's directory with a file for each tracker."""
_BEFORE = 64
"""The number of bytes before an offset by which it is recognized that a file is still the same."""
_MOST_CHECKPOINTS = 64


@dataclass(frozen=True)
class SyncProgress:
    """The place up to which a run has been sent to one tracker.

    Attributes:
      run: the id of the run.
      settings: a digest of the sink's settings.
      number: how often the run has been sent anew before, as another run of the tracker.
      session: how often it was continued.
      position: the position of the sink, as `Sink.position` returned it.
      checkpoints: for each file by name, offsets up to which it had been sent at some time, with a
        checksum of the bytes before; the last one is where it goes on.
      timed: as for `MomentReader`.
      num_events: the number of events that were sent.
      closed: False while they are sent, and if the process was killed.
    """

    run: str
    settings: str
    number: int = 0
    session: int = 0
    position: Mapping[str, int] = field(default_factory=dict)
    checkpoints: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    timed: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    num_events: int = 0
    closed: bool = True

    def moved(
        self,
        directory: Path,
        offsets: Mapping[str, int],
        position: Mapping[str, int],
        timed: Mapping[str, Sequence[Any]],
        num_events: int,
    ) -> SyncProgress:
        """The place after more was sent."""
        checkpoints = dict(self.checkpoints)
        for name, offset in offsets.items():
            known = [one for one in checkpoints.get(name, ()) if one[0] < offset]
            if len(known) >= _MOST_CHECKPOINTS:
                known = known[::2]  # closer to each other near the end
            with contextlib.suppress(OSError):  # removed meanwhile
                checkpoints[name] = [*known, [offset, _checksum(directory / name, offset)]]
        sent = {"position": dict(position), "timed": dict(timed), "num_events": num_events}
        return replace(self, checkpoints=checkpoints, **sent)

    def offsets(self, directory: Path) -> tuple[dict[str, int], list[str]]:
        """The offsets up to which the files are still those that were sent.

        Returns:
          The offsets by name, and the names of files that have been cut back since, because the
          run was resumed from an earlier state.
        """
        found: dict[str, int] = {}
        cut: list[str] = []
        for name, checkpoints in self.checkpoints.items():
            for number, (offset, checksum) in enumerate(reversed(checkpoints)):
                with contextlib.suppress(OSError):
                    if _checksum(directory / name, offset) == checksum:
                        found[name] = offset
                        break
                if not number:
                    cut.append(name)
        return found, cut


def _checksum(path: Path, offset: int) -> int:
    """A checksum of the bytes of a file before an offset.

    Raises:
      OSError: the file cannot be read, or is shorter.
    """
    end = offset // ROWS if is_columnar(path) else offset
    with _run_files.open_file(path) as file:
        if file.seek(0, 2) < end:
            raise OSError
        start = max(0, end - _BEFORE)
        file.seek(start)
        return zlib.crc32(file.read(end - start))


def load(directory: Path, kind: str) -> SyncProgress | None:
    """Reads how far a run was sent to a tracker; None if it never was, or the file is damaged."""
    try:
        found = _run_files.loads(_run_files.read_small_below(directory, f"{FOLDER}/{kind}.json"))
        del found["format"]
        return SyncProgress(**found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(directory: Path, kind: str, place: SyncProgress) -> None:
    """Writes how far a run was sent; the file is replaced as a whole.

    Raises:
      OSError: it cannot be written.
    """
    with _run_files.replacing(directory / FOLDER / f"{kind}.json") as file:
        file.write(orjson.dumps({"format": 1, **vars(place)}, option=orjson.OPT_INDENT_2))


@contextlib.contextmanager
def locked(directory: Path, kind: str) -> Generator[None]:
    """Makes the folder, and lets only one process at a time send a run to a tracker.

    Raises:
      SendingError: another process sends it.
      OSError: the folder cannot be made.
    """
    folder = directory / FOLDER
    if folder.is_symlink():
        raise SendingError(
            f"{folder}: is a symbolic link, which may lead out of the run; remove it"
        )
    folder.mkdir(exist_ok=True)
    if fcntl is None:
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    opened = os.open(folder / f"{kind}.lock", flags, 0o666)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SendingError(
                f"{directory}: another process sends this run to {kind}; wait for it"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(opened)
