"""One run: its directory, its sinks, and what became of its records."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import orjson

from jaxlog.events import Event, RunInfo
from jaxlog.host.decode import Decoder
from jaxlog.host.replays import Replays
from jaxlog.host.worker import Arrival, Worker
from jaxlog.schema import Delivery
from jaxlog.sinks.sink import Sink

if TYPE_CHECKING:
    from jaxlog.sinks.memory import MemorySink

_log = logging.getLogger("jaxlog")

RUN_FILE = "run.json"
"""The file that makes a directory a run's."""


class Run:
    """An open run. `Logger.open` makes it, and closes it.

    Args:
      info: what sinks are told.
      sinks: not opened yet.
      decoder: the decoder for a site's number; raises LookupError for a site that the logger was
        not traced with.

      writes: False for a run that leaves no trace: its sinks are not opened.

    Attributes:
      info: as given.
      writes: as given.
      arrived: how many records came, all lanes of one step being one.
    """

    def __init__(
        self,
        info: RunInfo,
        sinks: Sequence[Sink],
        decoder: Callable[[int], Decoder],
        *,
        writes: bool = True,
    ) -> None:
        self.info = info
        self.writes = writes
        self.arrived = 0
        self._sinks = tuple(sinks)
        self._workers: list[Worker] = []
        self._decoder = decoder
        self._lock = threading.Lock()
        self._replays = Replays()
        self._said_lanes = False
        self._facts = _facts(info)
        if not writes:
            return
        if info.directory is not None:
            _claim(info.directory)
        self._save()
        opened: list[Sink] = []
        try:
            for sink in sinks:
                sink.open(info)
                opened.append(sink)
        except BaseException:
            for sink in opened:
                with contextlib.suppress(Exception):
                    sink.close()
            self._release()
            raise
        self._workers = [Worker(sink, self._decode) for sink in opened]

    @property
    def replayed(self) -> int:
        """How many records came twice, each lane's for one; the second was dropped.

        Only what repeats, bit for bit, the record before it of the same call and lane: JAX may run
        a part of a program twice. A step that is logged anew, with other values, is kept.
        """
        return self._replays.count

    @property
    def directory(self) -> Path | None:
        """Where its files are; None for a run without files."""
        return self.info.directory

    @overload
    def sink(self, kind: Literal["memory"]) -> MemorySink: ...
    @overload
    def sink(self, kind: str) -> Sink: ...
    def sink(self, kind: str) -> Sink:
        """The sink of a kind, to read what it holds: `run.sink("memory").metrics`.

        Raises:
          LookupError: the run has no such sink.
        """
        for sink in self._sinks:
            if sink.settings.kind == kind:
                return sink
        raise LookupError(
            f"got {kind!r}, but this run's sinks are: "
            f"{', '.join(sink.settings.kind for sink in self._sinks) or 'none'}"
        )

    def receive(self, delivery: Delivery) -> None:
        """Takes one delivery in, on XLA's thread."""
        with self._lock:
            if not self._replays.take_out(delivery):
                return
            self.arrived += 1
        arrival = (time.time(), delivery)
        for worker in self._workers:
            worker.put(arrival)

    def close(self, error: BaseException | None = None) -> None:
        """Writes all that arrived and closes the sinks; says what was lost, if anything was.

        A run that ended with an error before anything arrived gives its directory free again.

        Args:
          error: what ended the run, if not its end.
        """
        if not self.writes:
            return
        for worker in self._workers:
            worker.begin_close()
        try:
            for worker in self._workers:
                worker.close()
        finally:
            self._conclude(error)

    def _conclude(self, error: BaseException | None) -> None:
        """Writes what became of the run."""
        if error is not None and not self.arrived:
            self._release()
            return
        self._facts["ended"] = _iso(time.time())
        if error is not None:
            self._facts["error"] = _text(f"{type(error).__name__}: {error}")
        self._facts["arrived"] = self.arrived
        self._facts["replayed"] = self.replayed
        self._facts["sinks"] = [
            {
                "kind": worker.kind,
                "written": worker.written,
                "lost": worker.lost,
                "failure": None if worker.failure is None else _text(worker.failure),
            }
            for worker in self._workers
        ]
        try:
            self._save()
        except OSError as failed:
            _log.warning("jaxlog: %s could not be written: %s", RUN_FILE, failed)
        for worker in self._workers:
            if worker.lost:
                _log.warning(
                    "jaxlog: run %s: the sink %s lost %d of %d records: %s",
                    self.info.name,
                    worker.kind,
                    worker.lost,
                    worker.arrived,
                    worker.failure,
                )

    def _decode(self, arrivals: Sequence[Arrival]) -> list[list[Event]]:
        decoder, labels = self._decoder(arrivals[0][1].site), self.info.lanes
        lanes = arrivals[0][1].lanes
        if labels and math.prod(lanes) != len(labels):
            if lanes and not self._said_lanes:  # a call outside of the vmap has no lanes
                self._said_lanes = True
                _log.warning(
                    "jaxlog: run %s: the call %r logs %d lanes, but open(lanes=...) got labels for "
                    "%d; its lines go without these. Said once.",
                    self.info.name,
                    decoder.schema.name,
                    math.prod(lanes),
                    len(labels),
                )
            labels = ()
        return decoder.events(arrivals, labels)

    def _save(self) -> None:
        if self.info.directory is not None:
            text = orjson.dumps(self._facts, option=orjson.OPT_INDENT_2)
            (self.info.directory / RUN_FILE).write_bytes(text)

    def _release(self) -> None:
        if self.info.directory is not None:
            with contextlib.suppress(OSError):
                (self.info.directory / RUN_FILE).unlink()


def _facts(info: RunInfo) -> dict[str, Any]:
    """What run.json says from the beginning: a copy, in plain JSON values.

    Raises:
      TypeError: the user's `config` has something that JSON cannot keep.
    """
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    try:
        config = orjson.loads(orjson.dumps(info.config, str, options))
    except TypeError as error:
        raise TypeError(
            f"config: cannot be kept in {RUN_FILE}: {error}; give a dict of numbers, texts, lists "
            "and dicts"
        ) from None
    return {
        "name": _text(info.name),
        "tags": [_text(tag) for tag in info.tags],
        "config": config,
        "total_steps": info.total_steps,
        "started": _iso(time.time()),
        "pid": os.getpid(),
    }


def _text(text: str) -> str:
    """Text that UTF-8 can hold: a file's name may have bytes that are not."""
    return text.encode("utf-8", "replace").decode()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _claim(directory: Path) -> None:
    """Makes the directory of a new run.

    Raises:
      FileExistsError: it is a run's already.
      OSError: it cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(
            f"{directory}: is a file, and a run needs a directory; choose another path"
        ) from None
    except OSError as error:
        raise type(error)(
            f"{directory}: this directory cannot be made: {error.strerror}; choose one that can be "
            "written"
        ) from None
    if (directory / RUN_FILE).exists():
        raise FileExistsError(
            f"{directory}: holds a run already ({RUN_FILE}); choose another directory, or delete "
            "this one"
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(f"{directory}: cannot be written; choose a directory that can be")
