"""Records that come twice, because JAX ran a part of the program twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxlog.schema import Delivery


@dataclass
class _Last:
    """The last record of each lane of a call site: `uint32[lanes]` and `uint32[lanes, num_words]`.

    A lane that has had none is not due.
    """

    lanes: tuple[int, ...]
    due: np.ndarray
    words: np.ndarray


class Replays:
    """Takes out what repeats, bit for bit, the record before it of the same call site and lane.

    A `while_loop` under `vmap` goes on running lanes that have ended. A step that is logged anew
    with other values is no replay.

    Attributes:
      count: how many records were taken out, each lane's for one.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[int, _Last] = {}

    def take_out(self, delivery: Delivery) -> bool:
        """Clears the due bits of the lanes that are replays; whether any lane is left."""
        due, words = delivery.due, delivery.words
        site, lanes = delivery.site, delivery.lanes
        last = self._last.get(site)
        if last is None or last.lanes != lanes:
            self._last[site] = _Last(lanes, due.copy(), words)
            return True
        # The first word is of the step: where it differs, nothing else has to be compared.
        replays = (words[:, 0] == last.words[:, 0]) & (due == last.due) & (due != 0)
        if replays.any():
            replays &= (words == last.words).all(axis=1)
        fresh = (due != 0) & ~replays
        if fresh.all():
            self._last[site] = _Last(lanes, due.copy(), words)
            return True
        last.due = np.where(fresh, due, last.due)
        last.words = np.where(fresh[:, None], words, last.words)
        self.count += int(replays.sum())
        due[replays] = 0
        return bool(fresh.any())
