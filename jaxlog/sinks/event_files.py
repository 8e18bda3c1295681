"""TensorBoard's event files: their names, their records, and where a run goes on in them."""

from __future__ import annotations

import importlib
import re
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlog.sinks.growing import GrowingFile, OpenFiles

if TYPE_CHECKING:
    from google.protobuf.message import Message

_NAME = re.compile(r"events\.out\.tfevents\.(\d{10})\..*\.jaxlog")


def own_files(root: Path) -> list[Path]:
    """The event files that jaxlog has written in a folder and in those of its lanes."""
    found = [*root.glob("*.jaxlog"), *root.glob("lane_*/*.jaxlog")]
    return sorted(path for path in found if _NAME.fullmatch(path.name) and path.is_file())


def new_name(others: list[Path]) -> str:
    """A name for a file to be read after some others.

    TensorBoard reads a run's files in order of their names. These begin with the time; a second is
    added where a clock has not got further than the last file.
    """
    seconds = [int(found[1]) for path in others if (found := _NAME.fullmatch(path.name))]
    begun = max([int(time.time()), *(second + 1 for second in seconds)])
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    return f"events.out.tfevents.{begun:010d}.{host}.jaxlog"


class EventFile:
    """One event file. It is there from the first flush of something on.

    It is not tensorboardX's own: that one has a queue and a thread beside the sink's, waits for the
    disk at every flush, and leaves half a record behind where the disk is full.

    Args:
      path: of the file.
      files: those of the sink.
      resumes_at: the first step that comes again, where the run goes on. A TensorBoard that has
        read later ones forgets them.
    """

    def __init__(self, path: Path, files: OpenFiles, resumes_at: int | None) -> None:
        protos = _protos()
        self._file = GrowingFile(path, files)
        now = time.time()
        first = protos.Event(wall_time=now, file_version="brain.Event:2")
        self.add(first.SerializeToString())
        if resumes_at is not None:
            start = protos.SessionLog(status=protos.SessionLog.START)
            again = protos.Event(wall_time=now, step=resumes_at, session_log=start)
            self.add(again.SerializeToString())

    @property
    def pending(self) -> int:
        """How many records wait for a flush."""
        return self._file.pending

    def add(self, event: bytes, num_records: int = 0) -> None:
        """Keeps an event, which has some records, until the next flush."""
        from tensorboardX.record_writer import masked_crc32c

        size = struct.pack("<Q", len(event))
        size_sum, event_sum = (struct.pack("<I", masked_crc32c(part)) for part in (size, event))
        self._file.add(size + size_sum + event + event_sum, num_records)

    def flush(self) -> None:
        """Writes what was added."""
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes it."""
        self._file.close()


def encoded(summary: Message, step: int, timestamp: float) -> bytes:
    """An event for an `EventFile`."""
    return _protos().Event(wall_time=timestamp, step=step, summary=summary).SerializeToString()


def _protos() -> Any:
    return importlib.import_module("tensorboardX.proto.event_pb2")
