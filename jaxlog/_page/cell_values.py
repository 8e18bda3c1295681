"""The statistics of one metric in cells: over the lanes of a series at one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxlog._page.growing_arrays import GrowingArrays


class CellValues(NamedTuple):
    """The statistics of one metric in each cell.

    Attributes:
      finite: int64, the number of finite values.
      mean: float64, their mean.
      squares: float64, the sum of the squares of their distances from it.
      least: float64, the least of them; infinity if there are none.
      greatest: float64, the greatest.
      died: int64, how many more lanes have a last value that is not finite than before.
    """

    finite: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    died: np.ndarray


class CellsOfMetric:
    """The cells of one metric, which grow. While each has one row, only its value is kept.

    Args:
      empty: the number of cells without a value that it begins with.
    """

    def __init__(self, empty: int) -> None:
        self._single: GrowingArrays | None = GrowingArrays(value=np.float64, died=np.int8)
        self._several: GrowingArrays | None = None
        if empty:
            self.append_nothing(empty)

    @property
    def num_bytes(self) -> int:
        """The memory that they take."""
        return sum(own.num_bytes for own in (self._single, self._several) if own is not None)

    def append_nothing(self, cells: int) -> None:
        """Adds cells without a value."""
        self.append_single(np.full(cells, np.nan), np.zeros(cells, np.int8))

    def append_single(self, value: np.ndarray, died: np.ndarray) -> None:
        """Adds cells of one row each.

        Args:
          value: float64, the values; NaN for none, and for one that is not finite.
          died: as in `CellValues`.
        """
        if self._single is not None:
            self._single.append(value=value, died=died)
        elif self._several is not None:
            self._several.append(**_of_single(value, died)._asdict())

    def append(self, values: CellValues) -> None:
        """Adds cells."""
        if self._several is None:
            self._several = GrowingArrays(
                finite=np.int32,
                mean=np.float64,
                squares=np.float64,
                least=np.float64,
                greatest=np.float64,
                died=np.int32,
            )
            self._several.append(**self.values()._asdict())
            self._single = None
        self._several.append(**values._asdict())

    def values(self) -> CellValues:
        """All cells."""
        if self._single is not None:
            return _of_single(self._single["value"], self._single["died"])
        assert self._several is not None
        own: Mapping[str, np.ndarray] = {name: self._several[name] for name in CellValues._fields}
        return CellValues(**own)


def _of_single(value: np.ndarray, died: np.ndarray) -> CellValues:
    has = np.isfinite(value)
    return CellValues(
        has.astype(np.int32),
        value,
        np.zeros(len(value)),
        np.where(has, value, np.inf),
        np.where(has, value, -np.inf),
        died.astype(np.int32),
    )


def no_values(cells: int) -> CellValues:
    """Cells without a value."""
    return _of_single(np.full(cells, np.nan), np.zeros(cells, np.int8))
