"""Finds the lane of each record: its number, by its place in the program and by its labels.

The lanes of a `vmap` are numbered by their index. A program that runs again in the same run, for
the next seed of a `lax.map` or of a Python loop, has the same indices and other labels. Therefore
labels decide:

- Labels that a lane had before belong to that lane, whichever call logs them.
- Other labels at a step that the lane has logged already belong to another lane: the next seed, or
  the next layer of a scan over layers.
- Other labels at a later step belong to the same lane, whose labels have changed, as in
  population-based training. There is one warning for each label.

Numbers are decided once for all sinks, and kept in run.json for when the run is resumed.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from jaxlog._format.events import Labels, Lane, MetricsEvent
from jaxlog._host.known_lane import Axes, KnownLane, comparable
from jaxlog._host.lane_labels import RecordLabels
from jaxlog._say import Once
from jaxlog._say import log as _log

MAX_LANES = 2**16
"""The most lanes that are told apart when programs run one after another."""
MAX_KEPT = 1024
"""The most lanes that run.json keeps; of a run with more it keeps none, and they are numbered anew
when the run is resumed."""
_MAX_CACHED = 2**16
"""The most label values of a call for which the lane is cached."""


class LaneIdentity(NamedTuple):
    """The identity of the lane of one record.

    Attributes:
      number: the lane's number.
      series: how many lanes before it had the same place in the program.
      alone: as `Lane.alone`.
      first_labels: as `Lane.first_labels`.
    """

    number: int
    series: int
    alone: bool
    first_labels: Labels | None


class Identities(tuple[LaneIdentity | None, ...]):
    """The identity of each lane of a delivery; None for one that has logged nothing yet.

    Successive deliveries share one, until labels change.
    """

    @cached_property
    def numbers(self) -> np.ndarray:
        """`int64[lanes]`, their numbers; -1 for None."""
        return np.array([-1 if one is None else one.number for one in self], np.int64)

    @cached_property
    def series(self) -> np.ndarray:
        """`int64[lanes]`, as `LaneIdentity.series`."""
        return np.array([0 if one is None else one.series for one in self], np.int64)

    @cached_property
    def alone(self) -> np.ndarray:
        """`bool[lanes]`, as `LaneIdentity.alone`."""
        return np.array([one is not None and one.alone for one in self], np.bool_)

    @cached_property
    def first_labels(self) -> np.ndarray | None:
        """`object[lanes]`, as `LaneIdentity.first_labels`; None if this is None for all lanes."""
        if all(one is None or one.first_labels is None for one in self):
            return None
        array = np.empty(len(self), object)
        for i, one in enumerate(self):
            array[i] = None if one is None else one.first_labels
        return array


class _Labelled(NamedTuple):
    """The records of one delivery of a call.

    Attributes:
      block: that of the call.
      axes: the lane axes of the call.
      labels: those of each lane.
      steps: `int64[lanes]`.
    """

    block: _Block
    axes: Axes
    labels: RecordLabels
    steps: np.ndarray


class _Block:
    """The last identity of each lane of one call, and the words of its labels then.

    Attributes:
      last: `int64[lanes]`, the last step of each lane since `KnownLane.steps` was brought up to
        date; -1 for none. Most steps change nothing else, and would cost a loop over all lanes.
    """

    def __init__(self, call: str, num_lanes: int, num_words: int) -> None:
        self.call = call
        self.words = np.zeros((num_lanes, num_words), np.uint32)
        self.seen = np.zeros(num_lanes, bool)
        self.found = Identities([None] * num_lanes)
        self.known: list[KnownLane | None] = [None] * num_lanes
        self.cache: dict[tuple[int, bytes], tuple[KnownLane, LaneIdentity]] = {}
        self.last = np.full(num_lanes, -1, np.int64)
        self.is_behind = False

    def note(self, last: np.ndarray) -> None:
        """Notes the last step of each lane; -1 for a lane that logged nothing."""
        np.maximum(self.last, last, out=self.last)
        self.is_behind = True

    def catch_up(self) -> None:
        """Brings `KnownLane.steps` up to date."""
        if not self.is_behind:
            return
        for known, step in zip(self.known, self.last.tolist(), strict=True):
            if known is not None and step >= 0:
                known.steps[self.call] = max(step, known.steps.get(self.call, -1))
        self.last[:] = -1
        self.is_behind = False


class LaneTable:
    """The lanes of a run.

    Args:
      run: its name, for messages.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._lanes: list[KnownLane] = []
        self._by_number: dict[int, list[KnownLane]] = {}
        self._highest: dict[Axes, int] = {}
        # The lanes that had one place of a program, one after another.
        self._at: dict[tuple[Axes, int], list[KnownLane]] = {}
        self._blocks: dict[tuple[int, Axes], _Block] = {}
        self._firsts: list[_Labelled] = []  # their lanes are numbered, but not made
        self._labels_warned: set[str] = set()
        self._first_of_many = Once()
        self._changed = False

    def take_up(self, kept: Iterable[Mapping[str, Any]], reached: Mapping[str, int]) -> None:
        """Adds the lanes of the run that is resumed.

        Args:
          kept: as `facts` returned them.
          reached: the last step of each call at the point from which the run goes on.
        """
        for one in kept:
            known = KnownLane.from_facts(one, reached)
            self._add(known)
            for axes, place in one.get("places", [(known.axes, known.place)]):
                self._put(known, tuple(axes), place)

    def facts(self) -> list[dict[str, Any]]:
        """The lanes with labels, as plain JSON values for run.json."""
        with self._lock:
            if max(len(self._lanes), *(len(one.block.known) for one in self._firsts), 0) > MAX_KEPT:
                return []
            self._catch_up()
            places: dict[int, list[Any]] = {}
            for (axes, place), lanes in self._at.items():
                for known in lanes:
                    places.setdefault(id(known), []).append([axes, place])
            several = {key: {"places": own} for key, own in places.items() if len(own) > 1}
            return [
                known.facts() | several.get(id(known), {})
                for known in sorted(self._lanes, key=lambda known: known.number)
            ]

    def has_changed(self) -> bool:
        """True if there are new lanes or labels since the last call of this method."""
        changed, self._changed = self._changed, False
        return changed

    def num_lanes(self, axes: Axes) -> int:
        """The number of lanes of the calls with such axes, as far as it is known."""
        side_by_side = math.prod(axes)
        highest = self._highest.get(axes, side_by_side - 1)
        return -(-(highest + 1) // side_by_side) * side_by_side

    def of_records(
        self,
        call: str,
        call_number: int,
        axes: Axes,
        found: Sequence[list[Any]],
        steps: np.ndarray,
        due: np.ndarray,
        words: np.ndarray,
        labels: RecordLabels,
        order: Sequence[int],
    ) -> list[Identities]:
        """Finds the lanes of some deliveries of one call; None for lanes that log nothing.

        Args:
          call: the call's name.
          call_number: the call's number.
          axes: the sizes of its lane axes.
          found: for each delivery a list that is empty at first and then has the result, which
            is returned whenever the delivery is decoded again.
          steps: `int64[deliveries, lanes]`.
          due: `bool[deliveries, lanes]`.
          words: `uint32[deliveries, lanes, k]`, the words of the labels.
          labels: the labels of the records, delivery by delivery.
          order: the indices of the deliveries in the order of their steps.
        """
        with self._lock:
            num_lanes, num_words = words.shape[1:]
            block = self._blocks.get((call_number, axes))
            if block is None:
                block = self._blocks[call_number, axes] = _Block(call, num_lanes, num_words)
            todo = [number for number in order if not found[number]]
            own = words[todo]
            changed = due[todo] & ~(block.seen & (own == block.words).all(axis=2))
            if not changed.any():
                block.note(np.where(due[todo], steps[todo], -1).max(axis=0, initial=-1))
                for number in todo:
                    found[number].append(block.found)
            else:
                for number in todo:
                    rows = np.flatnonzero(
                        due[number] & ~(block.seen & (words[number] == block.words).all(axis=1))
                    ).tolist()
                    if rows:
                        own_labels = labels.part(number * num_lanes, (number + 1) * num_lanes)
                        first = _Labelled(block, axes, own_labels, steps[number].copy())
                        if len(rows) == num_lanes and self._is_of_new_lanes(first):
                            self._firsts.append(first)
                            self._changed = True
                            block.found = _numbered_by_place(num_lanes)
                        else:
                            self._catch_up()
                            self._find_rows(first, rows, words[number])
                        block.words[rows] = words[number, rows]
                        block.seen[rows] = True
                    block.note(np.where(due[number], steps[number], -1))
                    found[number].append(block.found)
            return [one[0] for one in found]

    def of_event(self, event: MetricsEvent, found: list[Any]) -> MetricsEvent:
        """Gives the lanes of an event that was made on the host the numbers they have in the run.

        Args:
          event: has lanes that are numbered by their places.
          found: a list, as in `of_records`.
        """
        if not any(lane.labels for lane in event.lanes):
            return event
        axes = (event.num_lanes,) if event.num_lanes > 1 else ()
        with self._lock:
            if not found:
                self._catch_up()
                own = []
                for lane in event.lanes:
                    known = self._find(event.name, axes, lane.index, lane.labels, event.step)
                    own.append(_found(known, lane.labels))
                    known.steps[event.name] = max(event.step, known.steps.get(event.name, -1))
                found.append(own)
        lanes = tuple(numbered(lane, one) for lane, one in zip(event.lanes, found[0], strict=True))
        return replace(event, lanes=lanes, num_lanes=self.num_lanes(axes))

    def _find_rows(self, record: _Labelled, rows: Sequence[int], words: np.ndarray) -> None:
        """Finds the lanes of some rows of a delivery, whose labels are new in their block.

        Args:
          record: the delivery.
          rows: the places of these lanes.
          words: `uint32[lanes, k]`, the words of the labels.
        """
        block, axes, labels, steps = record
        found = list(block.found)
        for row in rows:
            key = row, words[row].tobytes()
            if key not in block.cache:
                own = labels[row]
                known = self._find(block.call, axes, row, own, int(steps[row]))
                if len(block.cache) >= _MAX_CACHED:
                    block.cache.clear()
                block.cache[key] = known, _found(known, own)
            block.known[row], found[row] = block.cache[key]
        block.found = Identities(found)

    def _is_of_new_lanes(self, first: _Labelled) -> bool:
        """True if the lanes have the numbers of their places, as the first ones of a run have.

        So have those of further calls with the same labels. To make a lane takes time and memory,
        and most runs have no other lanes, for which that is needed.
        """
        if not first.axes or self._lanes or first.block.seen.any():
            return False
        others = self._firsts[:1]
        return all(one.axes == first.axes and one.labels.equals(first.labels) for one in others)

    def _catch_up(self) -> None:
        """Makes the lanes of first records, and brings the steps of all lanes up to date."""
        firsts, self._firsts = self._firsts, []
        changed = self._changed
        for first in firsts:
            self._find_rows(first, range(len(first.steps)), first.block.words)
        self._changed = changed
        for block in self._blocks.values():
            block.catch_up()

    def _find(self, call: str, axes: Axes, place: int, labels: Labels, step: int) -> KnownLane:
        """The lane of a record; a new one if none of the known lanes fits."""
        own = {key: comparable(value) for key, value in labels.items()}
        here = self._at.setdefault((axes, place), [])
        known = _most(here, own)
        if known is None and not axes:
            known = self._elsewhere(own)
            if known is not None:
                self._put(known, axes, place)
        if known is None and here and not any(known.shares(own) for known in here):
            known = here[0]  # another call, which has none of the labels of the others
        if known is None:
            known = self._changes(call, here, own, step)
        if known is None:
            known = self._new(axes, place, here, own)
        if known.now | own != known.now:
            self._changed = True
        known.name(labels, own)
        return known

    def _elsewhere(self, labels: Mapping[str, Any]) -> KnownLane | None:
        """The lane of a `vmap` that a call outside of it logs for, by its labels."""
        agree = [known for known in self._lanes if known.agreement(labels)]
        return agree[0] if len(agree) == 1 else None

    def _add(self, known: KnownLane) -> None:
        self._lanes.append(known)
        self._by_number.setdefault(known.number, []).append(known)

    def _put(self, known: KnownLane, axes: Axes, place: int) -> None:
        """Notes that a place of a program has had a lane."""
        self._at.setdefault((axes, place), []).append(known)
        highest = max(known.number, math.prod(known.axes) - 1, math.prod(axes) - 1)
        self._highest[axes] = max(highest, self._highest.get(axes, 0))

    def _changes(
        self, call: str, here: Sequence[KnownLane], labels: Mapping[str, Any], step: int
    ) -> KnownLane | None:
        """The lane whose labels have changed to these, with a warning; None if there is none."""

        def changes(known: KnownLane) -> list[str]:
            return [key for key in labels if known.now.get(key) != labels[key]]

        goes_on = [known for known in here if known.shares(labels) and known.last(call) < step]
        if not goes_on and len(self._lanes) >= MAX_LANES and here:
            if self._first_of_many():
                _log.warning(
                    "jaxlog: run %s: the call %r logs more than %d lanes in turn, told apart by "
                    "their labels; the rest are logged as one. A label that differs on each line "
                    "belongs among the metrics. Said once.",
                    self._run,
                    call,
                    MAX_LANES,
                )
            return here[-1]
        if not goes_on:
            return None
        known = min(goes_on, key=lambda known: (len(changes(known)), -known.last(call)))
        changed = [key for key in changes(known) if key in known.now]
        for key in set(changed) - self._labels_warned:
            self._labels_warned.add(key)
            _log.warning(
                "jaxlog: run %s: the call %r: the label %r of lane %d changes along the lane, from "
                "%s to %s at step %d. It stays one lane. If another program begins there, count "
                "its steps from 0 again, or log it in a run of its own. Said once for each label.",
                self._run,
                call,
                key,
                known.number,
                known.now[key],
                labels[key],
                step,
            )
        return known

    def _new(
        self, axes: Axes, place: int, here: Sequence[KnownLane], labels: Mapping[str, Any]
    ) -> KnownLane:
        side_by_side = math.prod(axes)
        number = place
        taken = [known for known in self._by_number.get(place, ()) if known.shares(labels)]
        if axes and not here and taken and taken[0].agreement(labels):
            known = taken[0]  # logged by a call outside of this vmap
        else:
            # While a vmap runs once, its lanes have the numbers of their places.
            series = sum(known.axes == axes for known in here)
            if here or (taken and not axes):
                number += series * side_by_side
                while number in self._by_number:
                    number += side_by_side
            known = KnownLane(number, series, axes, place)
            self._add(known)
            self._changed = True
        self._put(known, axes, place)
        return known


@functools.lru_cache(maxsize=4)
def _numbered_by_place(num_lanes: int) -> Identities:
    return Identities(LaneIdentity(i, 0, False, None) for i in range(num_lanes))


def numbered(lane: Lane, found: LaneIdentity) -> Lane:
    """A lane of an event, with its identity."""
    made = object.__new__(Lane)
    # `dataclasses.replace` takes four times as long, and there are many lanes.
    made.__dict__.update(
        lane.__dict__,
        index=found.number,
        series=found.series,
        alone=found.alone,
        first_labels=found.first_labels,
    )
    return made


def _found(known: KnownLane, labels: Labels) -> LaneIdentity:
    return LaneIdentity(known.number, known.series, known.alone, known.first_of(labels))


def _most(lanes: Iterable[KnownLane], labels: Mapping[str, Any]) -> KnownLane | None:
    """The lane that agrees in most labels, the newest of several; None if none agrees."""
    best, most = None, 0
    for known in lanes:
        agreement = known.agreement(labels)
        if agreement and agreement >= most:
            best, most = known, agreement
    return best
