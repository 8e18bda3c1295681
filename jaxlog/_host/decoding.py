"""Decodes each arrival once for all sinks of a run."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxlog._format.events import Event, Labels, MetricsEvent
from jaxlog._format.timing import Stopwatch
from jaxlog._host.arrival import Arrival
from jaxlog._host.decode import Decoder
from jaxlog._host.lane_identity import LaneTable
from jaxlog._host.passes import Passes
from jaxlog._host.watch import Watch
from jaxlog._say import Once
from jaxlog._say import log as _log
from jaxlog._text import counted

DECODED_BYTES = 2**20
"""The packed size of the arrivals whose events are kept for sinks that have not taken them yet.

Their rows, if a sink asks for them, take about sixteen times the memory of packed records.
"""

Records = list[tuple[int, list[Event]]]
"""The events of some arrivals, each with the number of records they were made from."""


class SharedDecoding:
    """Decodes the arrivals of a run for its sinks, each of which takes them on its own thread.

    Queues hold packed arrivals. The first sink that reaches an arrival decodes it, together with
    the other arrivals of its batch; the others take the same events. They are kept until every sink
    has taken them, but only those decoded last (`DECODED_BYTES`, or one batch if that is larger): a
    sink that is further behind decodes again, by itself, so that a slow sink neither holds up the
    others nor fills the memory. Arrivals are decoded by one thread at a time, never by the thread
    that brings them.

    Args:
      run: the run's name, for messages.
      decoders: the decoder of each call that the logger was traced with, by the call's number.
      lane_labels: the labels that `open` was given, one mapping per lane; empty for none.
      lanes: the lanes of the run.
      watch: warns of calls that log something that is hardly meant.
      on_new: called with the events of each arrival that is decoded for the first time, in order.
        It must not wait for anything.
      before_write: called on the thread of the sink that has decoded new events, before that sink
        writes them.
      stopwatch: times the events of the run; None leaves their timing out.
    """

    def __init__(
        self,
        run: str,
        decoders: Mapping[int, Decoder],
        lane_labels: Sequence[Labels],
        lanes: LaneTable,
        watch: Watch,
        on_new: Callable[[Sequence[Event]], None] = lambda _: None,
        before_write: Callable[[], None] = lambda: None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._run = run
        self._decoders = decoders
        self._lane_labels = lane_labels
        self._lanes = lanes
        self._watch = watch
        self._on_new = on_new
        self._before_write = before_write
        self._stopwatch = stopwatch
        self._first_of_lanes = Once()
        self._passes: dict[Any, Passes] = {}  # by call and lanes
        self._decoding = _Turns()  # held while arrivals are decoded
        self._lock = threading.Lock()  # held for moments; guards what follows, and `waiting`
        self._kept: dict[Arrival, None] = {}  # in the order they were decoded
        self._kept_bytes = 0

    def take(self, batch: Sequence[Arrival]) -> tuple[Records, list[Exception]]:
        """Returns the events of a batch for one sink, which then counts as having taken it.

        Args:
          batch: some arrivals in the order they came.

        Returns:
          The events of each arrival that can be decoded, those of one call in the order of their
          steps, and why others cannot be decoded.
        """
        with self._decoding:
            missing = [arrival for arrival in batch if arrival.events is None]
            decoded, errors = self._decode(missing)
            new = [arrival for arrival in decoded if arrival.is_new]
            for arrival in new:
                arrival.is_new = False
            if new:
                self._on_new([event for arrival in new for event in decoded[arrival]])
            events = decoded | {a: a.events for a in batch if a.events is not None}
            self._keep(decoded)
            self.release(batch)
        if new:
            self._before_write()
        return _in_order(batch, events), errors

    def release(self, arrivals: Iterable[Arrival]) -> None:
        """Notes that one sink needs these arrivals no more."""
        with self._lock:
            for arrival in arrivals:
                arrival.waiting -= 1
                if arrival.waiting <= 0:
                    self._forget(arrival)

    def _keep(self, decoded: Mapping[Arrival, list[Event]]) -> None:
        """Keeps events for the sinks that have not taken them, and drops the oldest beyond that."""
        with self._lock:
            for arrival, events in decoded.items():
                if arrival.waiting > 1:
                    arrival.events = events
                    self._kept[arrival] = None
                    self._kept_bytes += arrival.num_bytes
            while self._kept_bytes > DECODED_BYTES:
                oldest = next(iter(self._kept))
                if oldest in decoded:
                    return
                self._forget(oldest)

    def _forget(self, arrival: Arrival) -> None:
        if arrival.events is not None:
            arrival.events = None
            del self._kept[arrival]
            self._kept_bytes -= arrival.num_bytes

    def _decode(
        self, arrivals: Sequence[Arrival]
    ) -> tuple[dict[Arrival, list[Event]], list[Exception]]:
        """The events of some arrivals, in the order in which sinks write those of one call."""
        decoded: dict[Arrival, list[Event]] = {}
        errors: list[Exception] = []
        for call, group in _by_call(arrivals).items():
            try:
                found = dict(zip(group, self._decode_group(group), strict=True))
            except Exception as error:
                errors.append(error)
                continue
            passes = self._passes.setdefault(call, Passes())
            for arrival in group:
                if arrival.is_new and found[arrival]:  # each is decoded first in its turn
                    step = found[arrival][0].step
                    arrival.place = passes.number(step), step
            decoded |= {arrival: found[arrival] for arrival in sorted(group, key=_place)}
        # After the records of programs, so that their lanes are known.
        for arrival in arrivals:
            if arrival.event is not None:
                decoded[arrival] = [self._with_lane_numbers(arrival, arrival.event)]
        return decoded, errors

    def _decode_group(self, arrivals: Sequence[Arrival]) -> list[list[Event]]:
        """Decodes arrivals of one call, with the same lanes, together."""
        first = arrivals[0].delivery
        assert first is not None
        if first.call_number not in self._decoders:
            raise LookupError(
                "a program sent a record that this Logger was not traced with; trace the program "
                "anew, as jax.jit of a new function"
            )
        decoder = self._decoders[first.call_number]
        lanes, labels = first.lanes, self._lane_labels
        if labels and math.prod(lanes) != len(labels):
            if lanes and self._first_of_lanes():  # a call outside of the vmap has no lanes
                _log.warning(
                    "jaxlog: run %s: the call %r logs %s, but open(lanes=...) got labels for "
                    "%d; its lines go without these. Said once.",
                    self._run,
                    decoder.schema.name,
                    counted(math.prod(lanes), "lane"),
                    len(labels),
                )
            labels = ()
        if first.own_gates:
            self._watch.own_gates(decoder.schema.name, math.prod(lanes))
        return decoder.events(arrivals, labels, self._lanes, self._stopwatch)

    def _with_lane_numbers(self, arrival: Arrival, event: Event) -> Event:
        if not isinstance(event, MetricsEvent):
            return event
        numbered = self._lanes.of_event(event, arrival.lane_identities)
        return arrival.timed(numbered, 0, numbered.lanes[0].index, self._stopwatch)


class _Turns:
    """A lock that threads get in the order in which they ask for it.

    With an ordinary lock, the sink that has decoded a batch often gets it again for the next batch
    before the others have taken the first, so that they would have to decode it again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._last = 0
        self._current = 1

    def __enter__(self) -> None:
        with self._changed:
            self._last += 1
            turn = self._last
            self._changed.wait_for(lambda: self._current == turn)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._current += 1
            self._changed.notify_all()


def _by_call(arrivals: Sequence[Arrival]) -> dict[Any, list[Arrival]]:
    """The deliveries among some arrivals, by call and lanes: these are decoded together."""
    groups: dict[Any, list[Arrival]] = {}
    for arrival in arrivals:
        if arrival.call is not None:
            groups.setdefault(arrival.call, []).append(arrival)
    return groups


def _in_order(batch: Sequence[Arrival], events: Mapping[Arrival, list[Event]]) -> Records:
    """The events of a batch, those of one call by their passes and in these by their steps.

    Arrivals of different calls keep their places in the batch.
    """
    found = {arrival: arrival for arrival in batch if arrival in events}
    for group in _by_call(list(found)).values():
        found |= dict(zip(group, sorted(group, key=_place), strict=True))
    return [(arrival.num_records, events[arrival]) for arrival in found.values()]


def _place(arrival: Arrival) -> tuple[int, int]:
    return arrival.place
