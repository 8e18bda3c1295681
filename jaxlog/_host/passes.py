"""Tells the passes of a call through its loop apart, by the steps that it logs."""

from __future__ import annotations

import math
from collections.abc import Sequence

REMEMBERED = 1024
"""At least this many of the last steps are remembered one by one."""


class Passes:
    """Numbers the passes of one call: a step that is logged again starts a new pass.

    XLA runs emissions that do not wait for each other in any order, so steps go down within a pass,
    too. Of a pass, the last steps are remembered one by one, and of those before only their range:
    a step in that range is taken for a repeated one, because no emission is that late.
    """

    def __init__(self) -> None:
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._last: set[int] = set()
        self._before: set[int] = set()
        self._lowest, self._highest = math.inf, -math.inf

    def number(self, step: int) -> int:
        """Returns the number of the pass that the next record, at this step, belongs to."""
        passed = self._lowest <= step <= self._highest
        if passed or step in self._last or step in self._before:
            self._number += 1
            self._begin()
        self._last.add(step)
        if len(self._last) == REMEMBERED:
            if self._before:
                self._lowest = min(self._lowest, *self._before)
                self._highest = max(self._highest, *self._before)
            self._last, self._before = set(), self._last
        return self._number


def in_order(steps: Sequence[int]) -> list[int]:
    """The indices of some records of one call, by their passes and in these by their steps."""
    passes = Passes()
    places = [(passes.number(step), step) for step in steps]
    return sorted(range(len(steps)), key=places.__getitem__)
