"""Reads values that are beside the metrics: the lines of arrays, and those of images and tables."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar, overload

from jaxlog._caller import warn_caller
from jaxlog._format.events import Lane, MetricsEvent
from jaxlog._run_files import is_whole, lines_from, loads, open_file
from jaxlog._text import counted

SHOWN = 12
"""The number of values that a notebook shows."""
_DAMAGED = (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError)
"""The errors of a line that is not one of such values."""
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
class LoggedValue:
    """A value of one name that a call logged at one step and lane.

    Attributes:
      call: the name of the call.
      name: the name of the value.
      step: the index of the update.
      env_step: the environment steps taken by then; None if they are not known.
      timestamp: the time of arrival, in seconds since 1970 (UTC).
      lane: the number of the lane.
      labels: the labels of the lane.
    """

    call: str
    name: str
    step: int
    env_step: int | None
    timestamp: float
    lane: int
    labels: Mapping[str, Any]


def place_of(event: MetricsEvent, lane: Lane, name: str) -> dict[str, Any]:
    """The fields of `LoggedValue` for a value of one lane of an event."""
    return {
        "call": event.name,
        "name": name,
        "step": event.step,
        "env_step": event.env_step,
        "timestamp": event.timestamp,
        "lane": lane.index,
        "labels": lane.labels,
    }


Value = TypeVar("Value", bound=LoggedValue)


class LoggedValues(Sequence[Value]):
    """Values of a run, ordered by step and lane."""

    def __init__(self, found: Sequence[Value]) -> None:
        self._found = tuple(found)

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Value | Self:
        if isinstance(index, slice):
            return type(self)(self._found[index])
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(f"{one.call}/{one.name}" for one in self))
        own = type(self).__name__
        return f"{own}({len(self)} of {names})" if self else f"{own}(none)"


def title_of_value(one: LoggedValue) -> str:
    """Names a value by its call, name, step and lane."""
    labels = [f"{key} {value}" for key, value in one.labels.items()]
    lane = labels or ([f"lane {one.lane}"] if one.lane else [])
    return " · ".join([f"{one.call}/{one.name}", f"step {one.step:,}", *lane])


def logged_values(
    path: Path | None,
    parse: Callable[[Any], Iterable[Value]],
    what: str,
    name: str | None,
    call: str | None,
    lane: int | None,
    where: str,
) -> list[Value]:
    """Reads the values of a file, by step and lane.

    Args:
      path: the file; None if the run has none.
      parse: returns the values of a parsed line, or raises an error.
      what: the plural of what they are, for errors.
      name: only values of this name; None for all.
      call: only those of this call; None for all.
      lane: only those of this lane; None for all.
      where: the first words of an error.

    Raises:
      LookupError: there is no such value.
    """
    found: list[Value] = []
    names: dict[str, None] = {}
    for one in _read(path, parse, what) if path is not None else ():
        names[f"{one.call}/{one.name}"] = None
        chosen = (name in (None, one.name), call in (None, one.call), lane in (None, one.lane))
        if all(chosen):
            found.append(one)
    if not found and (name, call, lane) != (None, None, None):
        wanted = [f"{word} {value!r}" for word, value in _named(name, call, lane)]
        known = f"the {what} are {', '.join(names)}" if names else "no call has logged any"
        raise LookupError(f"{where}: has logged no {what} of {', '.join(wanted)}; {known}")
    return sorted(found, key=lambda one: (one.step, one.lane))


def _named(name: str | None, call: str | None, lane: int | None) -> Iterator[tuple[str, Any]]:
    for word, value in (("the name", name), ("the call", call), ("lane", lane)):
        if value is not None:
            yield word, value


class ValueLine(NamedTuple):
    """A line of values that is not parsed.

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


def value_lines(path: Path) -> list[ValueLine]:
    """Lists the lines of a file of values, without parsing the values; skips damaged ones."""
    found: list[ValueLine] = []
    with open_file(path) as file:
        for start, text in lines_from(file, 0):
            if text.endswith(b"\n") and (head := _HEAD.match(text)):
                step, call, lane = head.groups()
                found.append(ValueLine(start, call.decode(), int(step), int(lane)))
    return found


def values_of_lines(
    path: Path, lines: Iterable[ValueLine], parse: Callable[[Any], Iterable[Value]]
) -> Iterator[Value]:
    """Yields the values of some lines of a file; lines that cannot be parsed are skipped.

    Args:
      path: the file.
      lines: some of `value_lines`.
      parse: as for `logged_values`.
    """
    with open_file(path) as file:
        for line in lines:
            for _, text in islice(lines_from(file, line.start), 1):
                with contextlib.suppress(*_DAMAGED):
                    yield from list(parse(loads(text)))


def _read(path: Path, parse: Callable[[Any], Iterable[Value]], what: str) -> Iterator[Value]:
    broken = 0
    with open_file(path) as file:
        for _, text in lines_from(file, 0):
            if text.isspace() or not (text.endswith(b"\n") or is_whole(text)):
                continue  # the last line is still being written
            try:
                found = list(parse(loads(text)))
            except _DAMAGED:
                broken += 1
                continue
            yield from found
    if broken:
        lines = counted(broken, "line is not one", "lines are not those")
        warn_caller(f"{path}: {lines} of {what}; left out")
