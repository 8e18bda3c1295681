"""Drops records that JAX repeats because a `while_loop` goes on running lanes that have ended."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jaxlog._format.delivery import Delivery, Words


@dataclass
class _Last:
    """The last records of one call.

    Attributes:
      lanes: the sizes of the call's lane axes.
      due: `uint32[lanes]`, the due bits of each lane's last record; 0 for a lane without one.
      words: the words of each lane's last record.
      steps: `uint32[lanes]`, each lane's step in the last delivery, whether it logged or not.
    """

    lanes: tuple[int, ...]
    due: np.ndarray
    words: Words
    steps: np.ndarray


class Replays:
    """Drops the records of lanes that have ended while others go on.

    Under `vmap`, a `while_loop` runs its body for all lanes until the last lane has ended. A lane
    that has ended logs its last record again, bit for bit, each time while another lane is at a
    later step than before: such a record is dropped. If no lane has advanced, an equal record comes
    from another execution of the program and is kept.

    Two cases are not told apart. If the running lanes do not count their steps upwards, replays
    are kept. If another execution logs the same record for a lane while other lanes advance, that
    record is dropped.

    Attributes:
      count: how many records were dropped, one for each lane.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[int, _Last] = {}

    def fresh(self, delivery: Delivery) -> Delivery | None:
        """Returns the delivery without the records that are replays; None if none is left."""
        lanes, call_number = delivery.lanes, delivery.call_number
        if math.prod(lanes) == 1:  # no other lane could go on
            self._last.pop(call_number, None)
            return delivery if delivery.num_records else None
        due, words = delivery.due, delivery.words
        steps = words.head[0]  # the first word is the step, also in lanes that do not log
        last = self._last.get(call_number)
        if last is None or last.lanes != lanes:
            self._last[call_number] = _Last(lanes, due, words, steps)
            return delivery
        advanced, last.steps = steps > last.steps, steps
        # Where the step differs, nothing else has to be compared.
        replays = (steps == last.words.head[0]) & (due == last.due) & (due != 0) & ~advanced
        if advanced.any() and replays.any():
            replays &= words.equal(last.words)
        else:
            replays[:] = False
        fresh = (due != 0) & ~replays
        if fresh.all():
            last.due, last.words = due, words
            return delivery
        last.due = np.where(fresh, due, last.due)
        last.words = words.where(fresh, last.words)
        if not replays.any():
            return delivery if fresh.any() else None
        self.count += int(replays.sum())
        return delivery.without(replays) if fresh.any() else None
