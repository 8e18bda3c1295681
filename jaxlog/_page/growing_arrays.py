"""Arrays that grow at their ends."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST_PIECES = 64


class GrowingArrays:
    """Arrays of the same length, by name.

    Args:
      **types: the type of each array.

    Attributes:
      num_bytes: the memory that they take.
    """

    def __init__(self, **types: Any) -> None:
        self._pieces = {name: [np.empty(0, kind)] for name, kind in types.items()}
        self._length = self.num_bytes = 0

    def copy(self) -> GrowingArrays:
        """Others that grow by themselves."""
        found = GrowingArrays()
        found._pieces = {name: [*own] for name, own in self._pieces.items()}
        found._length, found.num_bytes = self._length, self.num_bytes
        return found

    def __len__(self) -> int:
        return self._length

    def append(self, **pieces: np.ndarray) -> None:
        """Adds a piece to each array."""
        for name, own in self._pieces.items():
            own.append(pieces[name].astype(own[0].dtype, copy=False))
            self.num_bytes += own[-1].nbytes
            if len(own) > _MOST_PIECES:
                self[name]
        self._length += len(next(iter(pieces.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns an array; it must not be changed."""
        own = self._pieces[name]
        if len(own) > 1:
            own[:] = [np.concatenate(own)]
        return own[0]
