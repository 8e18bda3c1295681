"""Sink objects in use: an object that settings hold belongs to one open run at a time.

A run has a thread for each of its sinks, so two open runs must not share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxlog.sinks.sink import Sink, kind_of


@dataclass(frozen=True, eq=False)
class Claim:
    """Reserves sink objects for one run.

    Attributes:
      sinks: the sink objects.
      run: the name of the run.
    """

    sinks: Sequence[Sink]
    run: str

    def acquire(self) -> None:
        """Reserves all of the objects, or none.

        Raises:
          RuntimeError: an open run has one of them.
        """
        for sink in self.sinks:
            owner = _owners.setdefault(id(sink), self)  # atomic, so that no lock is needed
            if owner is not self:
                self.release()
                raise RuntimeError(
                    f"sinks: the object of {kind_of(sink)!r} is in use by the run {owner.run!r}, "
                    "which is open; close that run first, or make an object for each run"
                )

    def release(self) -> None:
        """Gives the objects back; does nothing for those that another run has."""
        for sink in self.sinks:
            if _owners.get(id(sink)) is self:
                del _owners[id(sink)]


_owners: dict[int, Claim] = {}  # by the `id` of a sink, which the claim keeps alive
