"""Reads the arrays that calls logged whole, each in its dtype and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlog._format.from_lines import array_event
from jaxlog._reading.logged_values import SHOWN, LoggedValue, LoggedValues, place_of, title_of_value


@dataclass(frozen=True, eq=False)
class LoggedArray(LoggedValue):
    """An array that a call logged whole; a `LoggedValue`.

    Attributes:
      value: the array, in the dtype and shape in which it was logged.
    """

    value: np.ndarray

    def __repr__(self) -> str:
        of = f"{self.value.dtype.name}{list(self.value.shape)}"
        return f"LoggedArray({self.call}/{self.name}, step {self.step}, lane {self.lane}: {of})"


class LoggedArrays(LoggedValues[LoggedArray]):
    """Arrays of a run, ordered by step and lane; from `RunData.logged_arrays`.

    A notebook shows pictures of the last ones.
    """

    def _repr_html_(self) -> str:
        from jaxlog._render.arrays import array_pictures

        shown = [(title_of_value(one), one.value) for one in self[-SHOWN:]]
        return array_pictures(shown, left_out=len(self) - len(shown))


def arrays_of_line(line: Mapping[str, Any], calls: Any) -> list[LoggedArray]:
    """The arrays of a parsed line.

    Args:
      line: the line.
      calls: the entry `calls` of run.json.

    Raises:
      Exception: it is no line of arrays.
    """
    event = array_event(line, calls)
    return [
        LoggedArray(**place_of(event, lane, name), value=value)
        for lane in event.lanes
        for name, value in lane.arrays.items()
    ]
