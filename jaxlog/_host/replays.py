"""Records that come twice, because JAX goes on running lanes of a `while_loop` that have ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxlog._format.schema import Delivery


@dataclass
class _Last:
    """What a call's last delivery left behind.

    Attributes:
      lanes: the sizes of its lane axes.
      due: `uint32[lanes]`, of the last record of each lane; 0 for a lane that has had none.
      words: `uint32[lanes, num_words]`, of the last record of each lane.
      steps: `uint32[lanes]`, where each lane was in the last delivery, whether it logged or not.
    """

    lanes: tuple[int, ...]
    due: np.ndarray
    words: np.ndarray
    steps: np.ndarray


class Replays:
    """Drops the records of lanes that have ended while others go on.

    Under `vmap`, a `while_loop` runs the body for all lanes until the last has ended. A lane that
    has ended logs its last record again, bit for bit, and each time another lane is at a later step
    than before: that is what is dropped. A record that is equal to the one before it, where no lane
    has advanced, is of another execution, and is kept.

    Not recognized, and kept: a loop whose running lanes do not count their steps upwards. Dropped,
    too: what another execution logs for a lane that stays at its step while others advance.

    Attributes:
      count: how many records were dropped, each lane's for one.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[int, _Last] = {}

    def take_out(self, delivery: Delivery) -> bool:
        """Clears the due bits of the lanes that are replays; whether any lane is left."""
        due, words, call_number, lanes = (
            delivery.due,
            delivery.words,
            delivery.call_number,
            delivery.lanes,
        )
        if not lanes:
            return True  # there are no others that could go on
        steps = words[:, 0]  # the first word is of the step, in lanes that do not log, too
        last = self._last.get(call_number)
        if last is None or last.lanes != lanes:
            self._last[call_number] = _Last(lanes, due.copy(), words, steps)
            return True
        advanced, last.steps = steps > last.steps, steps
        # Where the step differs, nothing else has to be compared.
        replays = (steps == last.words[:, 0]) & (due == last.due) & (due != 0) & ~advanced
        if advanced.any() and replays.any():
            replays &= (words == last.words).all(axis=1)
        else:
            replays[:] = False
        fresh = (due != 0) & ~replays
        if fresh.all():
            last.due, last.words = due.copy(), words
            return True
        last.due = np.where(fresh, due, last.due)
        last.words = np.where(fresh[:, None], words, last.words)
        self.count += int(replays.sum())
        due[replays] = 0
        return bool(fresh.any())
