"""The buffer that leaves a program: the records of all lanes of one call at one step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OWN_GATES = 1 << 16
"""Added to the number of lane axes of a delivery whose lanes have separate due bits."""
HEADER = 4
"""The number of words of a header before the sizes of the lane axes."""


@dataclass(frozen=True)
class Words:
    """The words of some records.

    Attributes:
      head: `uint32[head_words, records]`: the step, the labels and the scalars. A program has each
        of them as an array over lanes, so that this order takes no transposition.
      rest: `uint32[records, k]`: the rest, such as statistics and sampled episodes.
    """

    head: np.ndarray
    rest: np.ndarray

    def __len__(self) -> int:
        return self.head.shape[1]

    def __getitem__(self, rows: slice | np.ndarray) -> Words:
        """Returns the words of some records, by their indices or a mask."""
        return Words(self.head[:, rows], self.rest[rows])

    @staticmethod
    def joined(parts: Sequence[Words]) -> Words:
        """Joins the records of several."""
        if len(parts) == 1:
            return parts[0]
        head = np.concatenate([part.head for part in parts], axis=1)
        return Words(head, np.concatenate([part.rest for part in parts]))

    def equal(self, other: Words) -> np.ndarray:
        """Returns `bool[records]`: whether the words of each record are those of another."""
        return (self.head == other.head).all(axis=0) & (self.rest == other.rest).all(axis=1)

    def where(self, own: np.ndarray, other: Words) -> Words:
        """Returns these words of the records that `bool[records]` marks, and others of the rest."""
        head = np.where(own, self.head, other.head)
        return Words(head, np.where(own[:, None], self.rest, other.rest))

    def freeze(self) -> None:
        """Makes the words read-only, for all who got them."""
        self.head.flags.writeable = self.rest.flags.writeable = False


class Delivery:
    """The records of all lanes of one call at one step: one buffer, of which views are read.

    Args:
      buffer: `uint32[...]`: the header, the due bits of each lane, and the words.

    Attributes:
      buffer: as given.
      handle: the handle of its logger.
      call_number: the number of the schema of `words`.
      own_gates: True if each lane has its own due bits, even if they are all equal. This happens if
        `vmap` maps over the step, `when`, or a value that they are computed from.
      lanes: the sizes of the lane axes, outermost first; empty without `vmap`.
      num_records: the number of lanes that log; each has one record.
    """

    __slots__ = (
        "_head_words",
        "buffer",
        "call_number",
        "handle",
        "lanes",
        "num_records",
        "own_gates",
    )

    # The thread that receives makes one for each record: what it needs is read at once, and for a
    # delivery without lanes without a view, since each costs as much as all else here.
    def __init__(self, buffer: np.ndarray) -> None:
        self.buffer = buffer
        self.handle, self.call_number, self._head_words, axes, first = buffer[:5].tolist()
        self.own_gates = axes >= OWN_GATES
        num_axes = axes % OWN_GATES
        if num_axes:
            self.lanes = tuple(buffer[HEADER : HEADER + num_axes].tolist())
            self.num_records = int(np.count_nonzero(self.due))
        else:
            self.lanes = ()
            self.num_records = int(first != 0)

    @property
    def due(self) -> np.ndarray:
        """`uint32[lanes]`, the due bits of each lane."""
        start, num_lanes = HEADER + len(self.lanes), math.prod(self.lanes)
        return self.buffer[start : start + num_lanes]

    @property
    def words(self) -> Words:
        """The records of all lanes, also of those that do not log."""
        num_lanes = math.prod(self.lanes)
        start = HEADER + len(self.lanes) + num_lanes
        end = start + self._head_words * num_lanes
        return Words(
            self.buffer[start:end].reshape(self._head_words, num_lanes),
            self.buffer[end:].reshape(num_lanes, -1),
        )

    def without(self, lanes: np.ndarray) -> Delivery:
        """A copy in which the lanes that `bool[lanes]` marks do not log."""
        buffer = self.buffer.copy()
        start = HEADER + len(self.lanes)
        buffer[start : start + math.prod(self.lanes)][lanes] = 0
        return Delivery(buffer)

    @property
    def num_bytes(self) -> int:
        """Its size in memory, including the overhead of Python and NumPy (240 bytes, measured)."""
        return self.buffer.nbytes + 256


def header(
    handle: int,
    call_number: int,
    head_words: int,
    lanes: tuple[int, ...],
    *,
    own_gates: bool = False,
) -> np.ndarray:
    """The words before the due bits in the buffer of a `Delivery`.

    Args:
      handle: the handle of the logger.
      call_number: the number of the call's schema.
      head_words: the number of rows of `Words.head`.
      lanes: the sizes of the lane axes, outermost first.
      own_gates: whether each lane has its own due bits.
    """
    num_axes = len(lanes) + OWN_GATES * own_gates
    return np.array([handle, call_number, head_words, num_axes, *lanes], np.uint32)


def buffers_of(head: np.ndarray, due: np.ndarray, words: np.ndarray, head_words: int) -> np.ndarray:
    """The buffers of some deliveries, as rows; to make them one by one takes longer.

    Args:
      head: the header of each.
      due: `uint32[deliveries, lanes]`, the due bits.
      words: `uint32[deliveries, lanes, num_words]`.
      head_words: the number of rows of `Words.head`.
    """
    of_lanes = words[:, :, :head_words].swapaxes(1, 2), words[:, :, head_words:]
    parts = [np.broadcast_to(head, (len(due), len(head))), due, *of_lanes]
    ends = np.cumsum([part[0].size for part in parts]).tolist()
    found = np.empty((len(due), ends[-1]), np.uint32)
    for part, begin, end in zip(parts, [0, *ends], ends, strict=False):
        found[:, begin:end].reshape(part.shape)[...] = part  # each word is copied once
    return found
