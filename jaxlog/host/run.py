"""One run: its directory, its sinks, and what became of its records."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from jaxlog.host.decode import Decoder, Event
from jaxlog.host.events import RunInfo
from jaxlog.host.worker import Arrival, Worker
from jaxlog.schema import Delivery
from jaxlog.sinks.sink import Sink

_log = logging.getLogger("jaxlog")

RUN_FILE = "run.json"
"""The file that makes a directory a run's."""


class Run:
    """An open run. `Logger.open` makes it, and closes it.

    Args:
      info: what sinks are told.
      sinks: by kind, not opened yet.
      decoder: the decoder for a site's number; raises KeyError for a site nobody traced.

    Attributes:
      info: as given.
      arrived: how many records came, all lanes of one step being one.
    """

    def __init__(
        self, info: RunInfo, sinks: Sequence[tuple[str, Sink]], decoder: Callable[[int], Decoder]
    ) -> None:
        self.info = info
        self.arrived = 0
        self._decoder = decoder
        self._started = time.time()
        if info.directory is not None:
            _claim(info.directory)
        self._save()
        opened: list[tuple[str, Sink]] = []
        try:
            for kind, sink in sinks:
                sink.open(info)
                opened.append((kind, sink))
        except BaseException:
            for _, sink in opened:
                with contextlib.suppress(Exception):
                    sink.close()
            if info.directory is not None:
                (info.directory / RUN_FILE).unlink(missing_ok=True)
            raise
        self._workers = [Worker(kind, sink, self._decode) for kind, sink in opened]

    @property
    def directory(self) -> Path | None:
        """Where its files are; None for a run without files."""
        return self.info.directory

    def sink(self, kind: str) -> Any:
        """The sink of a kind, to read what it holds: `run.sink("memory").metrics`.

        Raises:
          LookupError: the run has no such sink.
        """
        for worker in self._workers:
            if worker.kind == kind:
                return worker.sink
        raise LookupError(
            f"got {kind!r}, but this run's sinks are: "
            f"{', '.join(worker.kind for worker in self._workers) or 'none'}"
        )

    def receive(self, delivery: Delivery) -> None:
        """Takes one delivery in, on XLA's thread."""
        self.arrived += 1
        arrival = (time.time(), delivery)
        for worker in self._workers:
            worker.put(arrival)

    def close(self) -> None:
        """Writes all that arrived and closes the sinks; says what was lost, if anything was."""
        for worker in self._workers:
            worker.close()
        self._save(ended=True)
        for worker in self._workers:
            if worker.lost:
                _log.warning(
                    "jaxlog: run %s: the sink %s lost %d of its events or records: %s",
                    self.info.name,
                    worker.kind,
                    worker.lost,
                    worker.failure,
                )

    def _decode(self, arrivals: Sequence[Arrival]) -> Iterator[Event]:
        """The events of some arrivals; those alike that follow each other are read together."""

        def alike(arrival: Arrival) -> tuple[int, int]:
            return arrival[1].site, arrival[1].buffer.size

        for (site, _), group in itertools.groupby(arrivals, key=alike):
            yield from self._decoder(site).events(list(group))

    def _save(self, *, ended: bool = False) -> None:
        if self.info.directory is None:
            return
        facts: dict[str, Any] = {
            "name": self.info.name,
            "tags": self.info.tags,
            "config": self.info.config,
            "total_steps": self.info.total_steps,
            "started": _iso(self._started),
            "pid": os.getpid(),
        }
        if ended:
            facts |= {
                "ended": _iso(time.time()),
                "arrived": self.arrived,
                "sinks": {
                    worker.kind: {
                        "written": worker.written,
                        "lost": worker.lost,
                        "failure": worker.failure,
                    }
                    for worker in self._workers
                },
            }
        text = orjson.dumps(facts, str, orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
        try:
            (self.info.directory / RUN_FILE).write_bytes(text)
        except OSError as error:
            if not ended:
                raise
            _log.warning("jaxlog: %s could not be written: %s", RUN_FILE, error)


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
