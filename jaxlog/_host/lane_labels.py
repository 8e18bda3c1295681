"""The labels of `Logger.open(lanes=)`, as columns that records of a program are joined to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from jaxlog._format.events import NOTHING, Labels, Lane, ReadOnlyDict


class RecordLabels:
    """The labels of some records of a program, one mapping for each.

    Args:
      given: those of `Logger.open(lanes=)`, one mapping for each lane; empty for none.
      own: those of the program by name, with an entry for each record, lane by lane.
    """

    def __init__(self, given: Sequence[Labels], own: Mapping[str, np.ndarray]) -> None:
        self._given = given
        self._own = own

    def __getitem__(self, row: int) -> Labels:
        """The labels of a record, by its number."""
        given = self._given[row % len(self._given)] if self._given else NOTHING
        return ReadOnlyDict({**given, **{key: own[row] for key, own in self._own.items()}})

    def part(self, begin: int, end: int) -> RecordLabels:
        """The labels of the records of one delivery, as copies that keep nothing else alive."""
        own = {key: column[begin:end].copy() for key, column in self._own.items()}
        return RecordLabels(self._given, own)

    def equals(self, other: RecordLabels) -> bool:
        """True if both have the same names, and the same values bit for bit."""
        return self._bits() == other._bits()

    def _bits(self) -> dict[str, tuple[np.dtype, bytes]]:
        return {key: (column.dtype, column.tobytes()) for key, column in self._own.items()}


class LaneLabels:
    """The labels that were given for each lane, together with those of one call.

    Labels of the call come after these, except that a label of the same name takes its place.

    Args:
      given: one mapping for each lane; empty for none.
      names: the names of the labels of the call.

    Attributes:
      given: as given.
      finite: False if a number among them is not finite.
    """

    def __init__(self, given: Sequence[Labels], names: Sequence[str]) -> None:
        self.given = given
        self.finite = all(
            math.isfinite(value)
            for labels in given
            for value in labels.values()
            if isinstance(value, float)
        )
        self._columns: dict[str, np.ndarray] = {}
        for name in dict.fromkeys(name for labels in given for name in labels):
            column = np.empty(len(given), object)
            column[:] = [labels.get(name) for labels in given]
            self._columns[name] = column
        every = tuple(dict.fromkeys([*self._columns, *names]))
        orders = [tuple(dict.fromkeys([*labels, *names])) for labels in given]
        same = all(order == tuple(name for name in every if name in order) for order in orders)
        self._orders = () if same else orders

    def merged(
        self, own: Mapping[str, np.ndarray], rows: np.ndarray, places: np.ndarray
    ) -> ReadOnlyDict:
        """The labels of some records as columns.

        Args:
          own: the labels of the program for each record of some deliveries.
          rows: the numbers of the records.
          places: the places of their lanes in the program.
        """
        merged = {name: column[places] for name, column in self._columns.items()}
        for name, column in own.items():
            merged[name] = np.ascontiguousarray(
                column if len(rows) == len(column) else column[rows]
            )
        return ReadOnlyDict(merged)

    @property
    def has_orders(self) -> bool:
        """True if the lanes got their labels in different orders, and columns have only one."""
        return bool(self._orders)

    def ordered(self, lanes: Sequence[Lane], places: np.ndarray) -> tuple[Lane, ...]:
        """Rows whose labels are in the order of their lane, as lines and names of lanes show them.

        Args:
          lanes: the rows.
          places: the places of the lanes in the program.
        """
        return tuple(
            replace(lane, labels=ReadOnlyDict({k: lane.labels[k] for k in self._orders[place]}))
            for lane, place in zip(lanes, places.tolist(), strict=True)
        )
