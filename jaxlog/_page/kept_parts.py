"""Keeps parts of runs that were read, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

SHRINK = 500
"""After so many uses, what was not used for longest is forgotten if there is too much."""


class Growing(Protocol):
    """A part of a run that was read, to which new rows are added."""

    def update(self) -> bool: ...

    @property
    def num_bytes(self) -> int: ...


T = TypeVar("T", bound=Growing)


class KeptParts(Generic[T]):
    """Keeps what was read, the last used the longest.

    Args:
      most: the bytes.

    Attributes:
      is_full: True if something was forgotten the last time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[int, T]] = OrderedDict()
        self._since = 0
        self._has_grown = False
        self.is_full = False

    def get(self, name: Hashable, stamp: int, new: T) -> T:
        """Returns the part that is kept under a name, with all that is new; or `new`.

        Args:
          name: the name.
          stamp: the version of the run.
          new: is read if nothing is kept, or if it cannot be continued.
        """
        known, found = self._kept.pop(name, (-1, None))
        self._has_grown = self._has_grown or known != stamp
        if found is None or (known != stamp and not found.update()):
            new.update()
            found = new
        self._kept[name] = stamp, found
        self._since += 1
        if self._since >= SHRINK:  # of an answer that reads very many
            self.shrink()
        return found

    def has(self, name: Hashable) -> bool:
        """True if something is kept under a name."""
        return name in self._kept

    def shrink(self) -> None:
        """Forgets what was not used for longest, if there is too much."""
        if not self._has_grown:
            return
        self._since, self._has_grown = 0, False
        sizes = {name: one.num_bytes for name, (_, one) in self._kept.items()}
        total = sum(sizes.values())
        self.is_full = total > self._most
        while total > self._most and self._kept:
            name, _ = self._kept.popitem(last=False)
            total -= sizes[name]
