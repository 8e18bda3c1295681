"""One record on its way to the sinks: packed while it waits, as events while they are written."""

from __future__ import annotations

from typing import Any

from jaxlog._format.delivery import Delivery
from jaxlog._format.events import Event, MetricsEvent
from jaxlog._format.timing import Stopwatch, Timing

EVENT_BYTES = 512
"""The memory of an event without arrays, roughly."""


class Arrival:
    """One delivery of a program, or one event that was made on the host.

    Attributes:
      timestamp: when it reached the host, in seconds since 1970 (UTC).
      delivery: the packed records; None if the event was made on the host.
      event: the event that was made on the host; None for a delivery.
      num_records: how many records it counts for, one for each lane that logged.
      num_bytes: the memory it takes while it waits, roughly.
      lane_identities: the lanes its records belong to, once they are known. They are kept, since
        decoding it a second time must find the same lanes.
      waiting: how many sinks have not taken its events yet.
      events: its decoded events, while `SharedDecoding` keeps them; else None.
      is_new: whether it was never decoded before.
      place: its place among the deliveries of its call: the number of the pass through the loop,
        and its step; known once it was decoded.
      timings: those of its metrics events, once they are known, for when it is decoded again.
      is_live: False for a record that a program returned, which was logged before it arrived.
    """

    __slots__ = (
        "_call",
        "delivery",
        "event",
        "events",
        "is_live",
        "is_new",
        "lane_identities",
        "num_bytes",
        "num_records",
        "place",
        "timestamp",
        "timings",
        "waiting",
    )

    def __init__(
        self,
        timestamp: float,
        delivery: Delivery | None,
        event: Event | None = None,
        num_bytes: int | None = None,
        waiting: int = 1,
        *,
        is_live: bool = True,
    ) -> None:
        self.timestamp = timestamp
        self.delivery = delivery
        self.event = event
        if delivery is not None:
            self.num_records = delivery.num_records
            self.num_bytes = delivery.num_bytes
        else:
            self.num_records = event.num_logged if isinstance(event, MetricsEvent) else 1
            self.num_bytes = EVENT_BYTES if num_bytes is None else num_bytes
        self.lane_identities: list[Any] = []
        self.waiting = waiting
        self.events: list[Event] | None = None
        self.is_new = True
        self.place: tuple[int, int] = (0, -1)
        self.timings: list[Timing | None] = []
        self.is_live = is_live
        self._call: tuple[int, tuple[int, ...]] | None = None

    def timed(
        self, event: MetricsEvent, number: int, lane: int, stopwatch: Stopwatch | None
    ) -> MetricsEvent:
        """Returns one of its metrics events with its timing.

        Args:
          event: the event, without a timing.
          number: the number of the event among the metrics events of this arrival.
          lane: the number of its first lane.
          stopwatch: that of the run; None to leave the event as it is.
        """
        if stopwatch is None or not self.is_live:
            return event
        if number == len(self.timings):
            self.timings.append(
                stopwatch.time(event.name, lane, event.step, event.env_step, event.timestamp)
            )
        object.__setattr__(event, "timing", self.timings[number])  # nobody else has it yet
        return event

    @property
    def call(self) -> tuple[int, tuple[int, ...]] | None:
        """The number of the call and the sizes of its lane axes; None for an event of the host."""
        if self._call is None and self.delivery is not None:
            self._call = self.delivery.call_number, self.delivery.lanes
        return self._call
