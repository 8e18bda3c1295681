"""Reads the arrays that calls logged whole, each in its dtype and shape."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from jaxlog._caller import warn_caller
from jaxlog._format.from_lines import array_event
from jaxlog._run_files import is_whole, lines_from, loads, open_file

_SHOWN = 12
"""The number of pictures that a notebook shows."""
_DAMAGED = (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError)
"""The errors of a line that is not one of arrays."""
_OTHERS = (
    rb'(?:"(?!(?:step|name|lane)")\w+":'
    rb'(?:[^,"\[\]{}]+|"(?:[^"\\]|\\.)*"|\[[^\]]*\]),)*+'
)
"""Fields that are passed over, whatever they are: a newer jaxlog may write more of them."""
_HEAD = re.compile(
    rb'\{%b"step":(\d{1,19}),%b"name":"([\w.-]+)",%b"lane":(\d{1,19}),' % ((_OTHERS,) * 3)
)
"""The first fields of a line, as the sink writes them."""


@dataclass(frozen=True, eq=False)
class LoggedArray:
    """An array that a call logged whole.

    Attributes:
      call: the name of the call.
      name: the name of the array.
      step: the index of the update.
      env_step: the environment steps taken by then; None if they are not known.
      timestamp: the time of arrival, in seconds since 1970 (UTC).
      lane: the number of the lane.
      labels: the labels of the lane.
      value: the array, in the dtype and shape in which it was logged.
    """

    call: str
    name: str
    step: int
    env_step: int | None
    timestamp: float
    lane: int
    labels: Mapping[str, Any]
    value: np.ndarray

    def __repr__(self) -> str:
        of = f"{self.value.dtype.name}{list(self.value.shape)}"
        return f"LoggedArray({self.call}/{self.name}, step {self.step}, lane {self.lane}: {of})"


class LoggedArrays(Sequence[LoggedArray]):
    """Arrays of a run, ordered by step and lane; from `RunData.logged_arrays`.

    A notebook shows pictures of the last ones.
    """

    def __init__(self, found: Sequence[LoggedArray]) -> None:
        self._found = tuple(found)

    @overload
    def __getitem__(self, index: int) -> LoggedArray: ...
    @overload
    def __getitem__(self, index: slice) -> LoggedArrays: ...
    def __getitem__(self, index: int | slice) -> LoggedArray | LoggedArrays:
        found = self._found[index]
        return LoggedArrays(found) if isinstance(found, tuple) else found

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(f"{one.call}/{one.name}" for one in self))
        return f"LoggedArrays({len(self)} of {names})" if self else "LoggedArrays(none)"

    def _repr_html_(self) -> str:
        from jaxlog._render.arrays import array_pictures

        shown = [(_title(one), one.value) for one in self[-_SHOWN:]]
        return array_pictures(shown, left_out=len(self) - len(shown))


def _title(one: LoggedArray) -> str:
    labels = [f"{key} {value}" for key, value in one.labels.items()]
    lane = labels or ([f"lane {one.lane}"] if one.lane else [])
    return " · ".join([f"{one.call}/{one.name}", f"step {one.step:,}", *lane])


def logged_arrays(
    path: Path | None,
    calls: Any,
    name: str | None,
    call: str | None,
    lane: int | None,
    where: str,
) -> LoggedArrays:
    """Reads the arrays of a file.

    Args:
      path: the file; None if the run has none.
      calls: the entry `calls` of run.json.
      name: only arrays of this name; None for all.
      call: only those of this call; None for all.
      lane: only those of this lane; None for all.
      where: the first words of an error.

    Raises:
      LookupError: there is no such array.
    """
    found: list[LoggedArray] = []
    names: dict[str, None] = {}
    for one in _read(path, calls) if path is not None else ():
        names[f"{one.call}/{one.name}"] = None
        chosen = (name in (None, one.name), call in (None, one.call), lane in (None, one.lane))
        if all(chosen):
            found.append(one)
    if not found and (name, call, lane) != (None, None, None):
        wanted = [f"{word} {value!r}" for word, value in _named(name, call, lane)]
        known = f"the arrays are {', '.join(names)}" if names else "no call has logged any"
        raise LookupError(f"{where}: has no arrays of {', '.join(wanted)}; {known}")
    return LoggedArrays(sorted(found, key=lambda one: (one.step, one.lane)))


def _named(name: str | None, call: str | None, lane: int | None) -> Iterator[tuple[str, Any]]:
    for word, value in (("the name", name), ("the call", call), ("lane", lane)):
        if value is not None:
            yield word, value


class ArrayLine(NamedTuple):
    """A line of arrays that is not parsed.

    Attributes:
      start: the offset of its first byte.
      call: the name of the call.
      step: the index of the update.
      lane: the number of the lane.
    """

    start: int
    call: str
    step: int
    lane: int


def array_lines(path: Path) -> list[ArrayLine]:
    """Lists the lines of a file of arrays, without parsing the arrays; skips damaged ones."""
    found: list[ArrayLine] = []
    with open_file(path) as file:
        for start, text in lines_from(file, 0):
            if text.endswith(b"\n") and (head := _HEAD.match(text)):
                step, call, lane = head.groups()
                found.append(ArrayLine(start, call.decode(), int(step), int(lane)))
    return found


def arrays_of_lines(path: Path, lines: Iterable[ArrayLine], calls: Any) -> Iterator[LoggedArray]:
    """Yields the arrays of some lines of a file; those that cannot be parsed are skipped.

    Args:
      path: the file.
      lines: some of `array_lines`.
      calls: the entry `calls` of run.json.
    """
    with open_file(path) as file:
        for line in lines:
            for _, text in islice(lines_from(file, line.start), 1):
                with contextlib.suppress(*_DAMAGED):
                    yield from _arrays_of(text, calls)


def _read(path: Path, calls: Any) -> Iterator[LoggedArray]:
    broken = 0
    with open_file(path) as file:
        for _, text in lines_from(file, 0):
            if text.isspace() or not (text.endswith(b"\n") or is_whole(text)):
                continue  # the last line is still being written
            try:
                found = _arrays_of(text, calls)
            except _DAMAGED:
                broken += 1
                continue
            yield from found
    if broken:
        warn_caller(f"{path}: {broken} lines are not those of arrays; left out")


def _arrays_of(text: bytes, calls: Any) -> list[LoggedArray]:
    event = array_event(loads(text), calls)
    return [
        LoggedArray(
            event.name,
            name,
            event.step,
            event.env_step,
            event.timestamp,
            lane.index,
            lane.labels,
            value,
        )
        for lane in event.lanes
        for name, value in lane.arrays.items()
    ]
