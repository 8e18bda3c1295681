"""One record on its way to the sinks: packed while it waits, as events while they are written."""

from __future__ import annotations

from typing import Any

from jaxlog._format.events import Event, MetricsEvent
from jaxlog._format.schema import Delivery

_EVENT_BYTES = 512
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
    """

    __slots__ = (
        "_call",
        "delivery",
        "event",
        "events",
        "is_new",
        "lane_identities",
        "num_bytes",
        "num_records",
        "timestamp",
        "waiting",
    )

    def __init__(
        self,
        timestamp: float,
        delivery: Delivery | None,
        event: Event | None = None,
        num_bytes: int | None = None,
        waiting: int = 1,
    ) -> None:
        self.timestamp = timestamp
        self.delivery = delivery
        self.event = event
        if delivery is not None:
            self.num_records = delivery.num_records
            self.num_bytes = delivery.num_bytes
        else:
            self.num_records = len(event.lanes) if isinstance(event, MetricsEvent) else 1
            self.num_bytes = _EVENT_BYTES if num_bytes is None else num_bytes
        self.lane_identities: list[Any] = []
        self.waiting = waiting
        self.events: list[Event] | None = None
        self.is_new = True
        self._call: tuple[int, tuple[int, ...]] | None = None

    @property
    def call(self) -> tuple[int, tuple[int, ...]] | None:
        """The number of the call and the sizes of its lane axes; None for an event of the host."""
        if self._call is None and self.delivery is not None:
            self._call = self.delivery.call_number, self.delivery.lanes
        return self._call
