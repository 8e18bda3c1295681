"""The sinks of one run together, each on the thread of its worker."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from jaxlog._errors import LoggingError
from jaxlog._format.events import Account, RunInfo
from jaxlog._host.arrival import Arrival
from jaxlog._host.decoding import SharedDecoding
from jaxlog._host.losses import logging_error
from jaxlog._host.progress import Positions
from jaxlog._host.worker import Worker
from jaxlog.sinks.sink import Sink, kind_of


class Workers:
    """The workers of a run's sinks; none before `open`, and in the child of a fork.

    Args:
      sinks: not opened yet.

    Attributes:
      sinks: as given.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = tuple(sinks)
        self._workers: list[Worker] = []
        self._numbers: list[int] = []  # how many sinks of the same kind are before each
        counts: collections.Counter[str] = collections.Counter()
        for sink in self.sinks:
            self._numbers.append(counts[kind_of(sink)])
            counts[kind_of(sink)] += 1

    def __iter__(self) -> Iterator[Worker]:
        """The workers, in the order of their sinks."""
        return iter(self._workers)

    def __len__(self) -> int:
        """The number of workers."""
        return len(self._workers)

    def infos(
        self, info: RunInfo, positions: Mapping[str, Mapping[str, int] | None]
    ) -> list[RunInfo]:
        """Returns the info for each sink, from that of the run.

        Args:
          info: of the run.
          positions: of the sinks of a run that is resumed, as `positions` returned them.
        """
        kinds = tuple(map(kind_of, self.sinks))
        return [
            dataclasses.replace(
                info, position=positions.get(key), sink_number=number, sink_kinds=kinds
            )
            for key, number in zip(self._keys, self._numbers, strict=True)
        ]

    @property
    def _keys(self) -> list[str]:
        """The sinks' names, the same when the run is resumed: `jsonl`, `jsonl.1`, ..."""
        numbered = zip(self.sinks, self._numbers, strict=True)
        return [f"{kind_of(sink)}.{n}" if n else kind_of(sink) for sink, n in numbered]

    def open(self, infos: Sequence[RunInfo], decoding: SharedDecoding) -> bool:
        """Opens the sinks, all at a time; returns whether each of them opened.

        Args:
          infos: for each sink.
          decoding: decodes arrivals, for all sinks.
        """
        given = zip(self.sinks, infos, strict=True)
        self._workers = [Worker(sink, info, decoding) for sink, info in given]
        opened = [worker.wait_until_open() for worker in self._workers]
        return all(opened)

    def put(self, arrival: Arrival) -> None:
        """Queues one arrival for each sink; waits while a queue is full."""
        for worker in self._workers:
            worker.put(arrival)

    def lose(self, num_records: int) -> None:
        """Counts records that no sink will get."""
        for worker in self._workers:
            worker.lose(num_records)

    def accounts(self) -> list[Account]:
        """The records of each sink so far."""
        return [worker.account for worker in self._workers]

    def steps(self) -> list[Mapping[str, int]]:
        """For each sink, the last step of each call that it was given."""
        return [worker.steps for worker in self._workers]

    def flush(self) -> Positions:
        """Waits until everything that is queued is written; returns the position of each sink."""
        requests = [worker.request_flush() for worker in self._workers]
        given = zip(self._keys, self._workers, requests, strict=False)  # no workers after a fork
        return {key: worker.wait_for_flush(request) for key, worker, request in given}

    def flush_until(self, end: float) -> None:
        """Writes everything that is queued; waits no longer than until a monotonic time."""
        for request in [worker.request_flush() for worker in self._workers]:
            request.done.wait(_until(end))

    def wait_for_arrivals(self, num_records: int, end: float) -> None:
        """Waits until each sink was given some records, or until a monotonic time."""
        while time.monotonic() < end and any(w.arrived < num_records for w in self._workers):
            time.sleep(0.001)

    def close(self, wait: Callable[[Worker], None] = Worker.close) -> None:
        """Closes the sinks, all at a time.

        Args:
          wait: waits for one of them.
        """
        for worker in self._workers:
            worker.begin_close()
        for worker in self._workers:
            wait(worker)

    def close_until(self, end: float) -> None:
        """Closes the sinks; waits no longer than until a monotonic time."""
        self.close(lambda worker: worker.wait(_until(end)))

    def abandon(self) -> None:
        """Forgets the workers in the child of a fork, which has none of their threads."""
        self._workers = []

    @property
    def any_is_off(self) -> bool:
        """True if a sink is switched off."""
        return any(worker.is_off for worker in self._workers)

    @property
    def have_failed(self) -> bool:
        """True if a sink failed or lost records."""
        return bool(self._failed)

    @property
    def _failed(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.lost or worker.failure]

    def error(self, run: str) -> LoggingError:
        """The error of a strict run whose sinks failed or lost records.

        Args:
          run: its name.
        """
        causes = [cause for worker in self._failed for cause in worker.errors.values()]
        return logging_error(run, [worker.account for worker in self._failed], causes)


def _until(end: float) -> float:
    return max(0.0, end - time.monotonic())
