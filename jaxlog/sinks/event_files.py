"""TensorBoard's event files: their names, their records, and how a run resumes in them."""

from __future__ import annotations

import functools
import importlib
import re
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlog.sinks.growing import GrowingFile, OpenFiles

if TYPE_CHECKING:
    from google.protobuf.message import Message

_NAME = re.compile(r"events\.out\.tfevents\.(\d{10})\..*?(\.by_category)?(\.by_env_step)?\.jaxlog")
_FOLDER = re.compile(r"lane_.*|.*-lane_\d{3,}")


@dataclass(frozen=True)
class Layout:
    """The layout of the records of a run, which is in the names of its files.

    A run that is resumed keeps its layout, so that its curves go on. Files of jaxlog 0.1 have
    neither.

    Attributes:
      by_category: True if tags begin with a category and folders of lanes with their labels.
      by_env_step: True if the steps are environment steps, where they are known.
    """

    by_category: bool
    by_env_step: bool

    @classmethod
    def of(cls, files: list[Path]) -> Layout | None:
        """The layout of the newest of some files; None if all are empty."""
        named = [_NAME.fullmatch(path.name) for path in files if path.stat().st_size]
        newest = max((one for one in named if one), key=lambda one: int(one[1]), default=None)
        return None if newest is None else cls(newest[2] is not None, newest[3] is not None)


def own_files(root: Path) -> list[Path]:
    """The event files that jaxlog wrote into a folder and into its folders of lanes."""
    found = [*root.glob("*.jaxlog"), *root.glob("*/*.jaxlog")]
    return sorted(
        path
        for path in found
        if _NAME.fullmatch(path.name)
        and (path.parent == root or _FOLDER.fullmatch(path.parent.name))
        and path.is_file()
    )


def new_name(others: list[Path], layout: Layout) -> str:
    """A name for a file that TensorBoard reads after `others`.

    TensorBoard reads the files of a run in the order of their names, which begin with the time in
    seconds. If the clock is not beyond the last file, the name takes the next second.
    """
    seconds = [int(found[1]) for path in others if (found := _NAME.fullmatch(path.name))]
    begun = max([int(time.time()), *(second + 1 for second in seconds)])
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    marks = ".by_category" * layout.by_category + ".by_env_step" * layout.by_env_step
    return f"events.out.tfevents.{begun:010d}.{host}{marks}.jaxlog"


class EventFile:
    """An event file, which the first flush creates.

    tensorboardX's own writer is not used: it adds a second queue and thread, waits for the disk at
    every flush, and leaves half a record behind if the disk is full.

    Args:
      path: the path of the file.
      files: the open files of the sink.
      resumes_at: in a resumed run, the first step that is logged again; TensorBoard drops the steps
        from there on that it has already read.
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
        """The number of records that wait for a flush."""
        return self._file.pending

    def add(self, event: bytes, num_records: int = 0) -> None:
        """Buffers an event until the next flush; `num_records` is the number of its records."""
        self._file.add(_size(len(event)) + event + _checksum(event), num_records)

    def flush(self) -> None:
        """Writes all buffered events."""
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._file.close()


def encoded(summary: Message, step: int, timestamp: float) -> bytes:
    """Encodes a summary as an event for an `EventFile`."""
    return _protos().Event(wall_time=timestamp, step=step, summary=summary).SerializeToString()


def encoded_rows(summaries: Sequence[bytes], step: int, timestamp: float) -> list[bytes]:
    """Encodes summaries of the same length, which are encoded already, as `encoded` does."""
    protos = _protos()
    head = protos.Event(wall_time=timestamp, step=step).SerializeToString()
    # A message is the bytes of its fields; those of a message in it follow its number and length.
    head += bytes([protos.Event.SUMMARY_FIELD_NUMBER << 3 | 2]) + _varint(len(summaries[0]))
    return [head + one for one in summaries]


@functools.lru_cache(maxsize=1024)
def _size(num_bytes: int) -> bytes:
    """The length of an event, which comes before it, with the checksum of the length."""
    size = struct.pack("<Q", num_bytes)
    return size + _checksum(size)


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", _masked_crc32c()(data))


@functools.cache
def _masked_crc32c() -> Callable[[bytes], int]:
    """The checksum of event files. It is imported when a file is first written."""
    return importlib.import_module("tensorboardX.record_writer").masked_crc32c


def _varint(number: int) -> bytes:
    """Protobuf's encoding of a length."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


@functools.cache
def _protos() -> Any:
    return importlib.import_module("tensorboardX.proto.event_pb2")
