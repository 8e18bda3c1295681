"""Makes deliveries of the records that a program returned, as if they had left it by themselves."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator

import numpy as np

from jaxlog._format.delivery import Delivery, buffers_of, header
from jaxlog._format.schema import Schema

Step = tuple[int, Delivery]

AT_ONCE = 2**18
"""The most words of records that are made deliveries at a time, unless one has more."""


def deliveries(
    handle: int, schema: Schema, due: np.ndarray, words: np.ndarray, lane: np.ndarray
) -> Iterator[Step]:
    """The deliveries of one call, in the order in which the program made them.

    Args:
      handle: the logger's handle.
      schema: of the call.
      due: `uint32[...]`; the axes are those of loops and of lanes, in any order.
      words: `uint32[..., num_words]`.
      lane: `uint32[..., k]`, as `_crossing.primitive.lane` returns it.

    Returns:
      The deliveries, each with its step. Those in which no lane is due are left out.

    Raises:
      ValueError: the arrays do not belong together.
    """
    shape = due.shape
    if words.shape != (*shape, schema.num_words) or lane.shape[:-1] != shape:
        raise ValueError(
            f"records: got due {shape}, words {words.shape} and lane {lane.shape}, expected "
            f"{shape}, {(*shape, schema.num_words)} and {(*shape, lane.shape[-1])}; give whole "
            "records, as the program returned them"
        )
    if not due.size:
        return
    due, words, lane = _without_copies(due, words, lane)
    due, words = due.reshape(-1), words.reshape(-1, schema.num_words)
    lane = lane.reshape(due.size, -1)
    numbers, of_lanes = lane[:, 0], lane[:, 1:]
    if all((column == column[0]).all() for column in of_lanes.T):  # by rows it takes far longer
        yield from _of_lanes(handle, schema, due, words, numbers, _lanes(of_lanes[0]))
        return
    # A `lax.map` whose batch_size leaves a remainder has records with two numbers of lanes.
    different, first = np.unique(of_lanes, axis=0, return_index=True)
    for axes in different[np.argsort(first)]:
        own = (of_lanes == axes).all(axis=1)
        yield from _of_lanes(handle, schema, due[own], words[own], numbers[own], _lanes(axes))


def _lanes(axes: np.ndarray) -> tuple[int, ...]:
    """The sizes of the lane axes, from their number and their sizes."""
    return tuple(axes[1 : 1 + axes[0]].tolist())


def _of_lanes(
    handle: int,
    schema: Schema,
    due: np.ndarray,
    words: np.ndarray,
    numbers: np.ndarray,
    lanes: tuple[int, ...],
) -> Iterator[Step]:
    """Yields the deliveries of records with the same lane axes, each with its step.

    Args:
      handle: as in `deliveries`.
      schema: as in `deliveries`.
      due: `uint32[records]`.
      words: `uint32[records, num_words]`.
      numbers: `uint32[records]`, the lane of each record.
      lanes: the sizes of the lane axes.
    """
    num_lanes = math.prod(lanes)
    if numbers.max() >= num_lanes:
        raise ValueError(
            f"records: got the lane {numbers.max()} of {num_lanes}; give whole records, as the "
            "program returned them"
        )
    due_by_turn, words_by_turn = _by_turn(due, words, numbers, num_lanes)
    head = header(handle, schema.call_number, schema.head_words, lanes)
    turns = np.flatnonzero(due_by_turn.any(axis=1))
    at_once = max(1, AT_ONCE // max(1, num_lanes * schema.num_words))
    for begin in range(0, len(turns), at_once):
        own = turns[begin : begin + at_once]
        if own[-1] - own[0] < len(own):  # no turn is left out: a slice of them is no copy
            own = slice(own[0], own[-1] + 1)
        bits, words_of_turns = due_by_turn[own], words_by_turn[own]
        first = words_of_turns[np.arange(len(bits)), (bits != 0).argmax(axis=1)]
        steps = schema.read(schema.words(first), "step").tolist()
        buffers = buffers_of(head, bits, words_of_turns, schema.head_words)
        for step, buffer in zip(steps, buffers, strict=True):
            yield step, Delivery(buffer)


def _by_turn(
    due: np.ndarray, words: np.ndarray, numbers: np.ndarray, num_lanes: int
) -> tuple[np.ndarray, np.ndarray]:
    """`due` and `words` as `[turns, lanes]` and `[turns, lanes, num_words]`.

    The first record of each lane makes up the first turn, the second one the second, ... A lane
    without a record is not due.
    """
    turns, rest = divmod(len(numbers), num_lanes)
    if not rest:
        every = np.arange(num_lanes)
        if (numbers.reshape(turns, num_lanes) == every).all():  # a scan of lanes
            shape = turns, num_lanes
            return due.reshape(shape), words.reshape(*shape, -1)
        if (numbers.reshape(num_lanes, turns) == every[:, None]).all():  # lanes of scans
            shape = num_lanes, turns
            return due.reshape(shape).T, words.reshape(*shape, -1).swapaxes(0, 1)
    numbers = numbers.astype(np.int64)
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers, minlength=num_lanes)
    begins = np.cumsum(counts) - counts
    turn = np.empty_like(order)
    turn[order] = np.arange(order.size) - np.repeat(begins, counts)
    due_by_turn = np.zeros((counts.max(), num_lanes), np.uint32)
    words_by_turn = np.zeros((*due_by_turn.shape, words.shape[1]), np.uint32)
    due_by_turn[turn, numbers] = due
    words_by_turn[turn, numbers] = words
    return due_by_turn, words_by_turn


def _without_copies(
    due: np.ndarray, words: np.ndarray, lane: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Removes the copies that `vmap` returns of a record which is the same in all lanes."""
    for axis in range(due.ndim):
        arrays = [np.moveaxis(array, axis, 0) for array in (due, words, lane)]
        if all((array[1:2] == array[:1]).all() and (array == array[:1]).all() for array in arrays):
            due, words, lane = (np.moveaxis(array[:1], 0, axis) for array in arrays)
    return due, words, lane


def merged(calls: Iterable[Iterable[Step]]) -> Iterator[Delivery]:
    """Merges the deliveries of several calls by their steps, as one program makes them."""
    for _, delivery in heapq.merge(*calls, key=lambda step: step[0]):
        yield delivery
