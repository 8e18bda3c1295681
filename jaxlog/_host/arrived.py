"""The records that arrived at one run: how many, of how many lanes, and which are repeated."""

from __future__ import annotations

import math
import threading

from jaxlog._format.delivery import Delivery
from jaxlog._host.replays import Replays


class ArrivedRecords:
    """Counts the records of a run, one for each lane, and drops those that JAX repeats.

    Attributes:
      number: how many arrived, with those that were dropped or lost.
    """

    def __init__(self) -> None:
        self.number = 0
        self._lanes: set[tuple[int, ...]] = set()  # the lane axes of the deliveries
        self._replays = Replays()
        self._lock = threading.Lock()
        self._ended = False

    @property
    def replayed(self) -> int:
        """The number of records that were dropped because JAX repeated them."""
        return self._replays.count

    @property
    def lane_counts(self) -> set[int]:
        """The numbers of lanes of the deliveries so far; 1 for one without a lane axis."""
        return {math.prod(lanes) for lanes in list(self._lanes)}

    @property
    def vmapped_lane_counts(self) -> set[int]:
        """The numbers of lanes of the deliveries so far that have a lane axis."""
        return {math.prod(lanes) for lanes in list(self._lanes) if lanes}

    def receive(self, delivery: Delivery) -> tuple[bool, Delivery | None]:
        """Counts the records of a delivery.

        Returns:
          Whether the run still takes records, and the records that are not repeated, if any.
        """
        with self._lock:
            if self._ended:
                return False, None
            self.number += delivery.num_records
            self._lanes.add(delivery.lanes)
            return True, self._replays.fresh(delivery)

    def add(self, number: int) -> bool:
        """Counts records that came another way, unless the run takes no more; returns whether."""
        with self._lock:
            if not self._ended:
                self.number += number
            return not self._ended

    def add_lost(self, number: int) -> None:
        """Counts records that were lost on their way, also after the end."""
        with self._lock:
            self.number += number

    def end(self) -> None:
        """Takes no more records, since the process ends."""
        with self._lock:
            self._ended = True

    def abandon(self) -> None:
        """Forgets who holds the lock, which may be a thread that the child of a fork lacks."""
        self._lock = threading.Lock()
