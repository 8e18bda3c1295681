"""Converts the lines of an event with many lanes to columns, without an object for each lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from jaxlog._format.columns import Columns
from jaxlog._format.events import MetricsEvent
from jaxlog._format.from_lines import Line, env_step_of, numbers_of_line, time_of
from jaxlog._format.keys import Keys
from jaxlog._format.lane import ReadOnlyDict
from jaxlog._format.names import EPISODE_COUNT
from jaxlog._format.run_file import own_total
from jaxlog._run_files import DEEPEST, loads

_CHUNK = 2048
"""The lines that are parsed at a time: their objects need far more memory than the columns."""
_DTYPES = {bool: np.bool_, int: np.int64, float: np.float64}


class UnlikeError(Exception):
    """The lanes differ in their types, and only rows can hold their values."""


def event_of_many(call: str, lines: Sequence[bytes], calls: Any = None) -> MetricsEvent | None:
    """Converts the lines of one event, as `events_from` does, but to columns.

    Args:
      call: the name of the call.
      lines: all lines of the event, not parsed.
      calls: as for `events_from`.

    Returns:
      The event; None if a line is damaged, or if a key has values of several types.
    """
    try:
        chunks = [lines[start : start + _CHUNK] for start in range(0, len(lines), _CHUNK)]
        columns = joined([_columns_of(chunk) for chunk in chunks])
        return event_of_columns(call, loads(lines[0]), columns, calls)
    except (UnlikeError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return None


def event_of_columns(
    call: str, first: Line, columns: Columns, calls: Any = None
) -> MetricsEvent | None:
    """Makes an event of its columns; None if it has no lane.

    Args:
      call: the name of the call.
      first: the first line of the event.
      columns: the values of the lanes.
      calls: as for `events_from`.
    """
    if not len(columns):
        return None
    described = calls.get(call) if isinstance(calls, Mapping) else None
    meaning = Keys(described, of_episodes=EPISODE_COUNT in columns.values)
    return MetricsEvent.of_columns(
        columns,
        slice(None),
        name=call,
        step=int(first["step"]),
        env_step=env_step_of(first),
        timestamp=time_of(first),
        keys={key: meaning[key] for key in columns.values},
        over_lanes={},
        num_lanes=int(columns.lanes.max()) + 1,
        finite=False,
        exact=False,
        total_updates=own_total({"calls": calls}, call),
        timing=None,
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """Joins the columns of several groups of lanes.

    Raises:
      UnlikeError: they differ in their types.
    """
    if len(parts) == 1:
        return parts[0]
    values, present = _joined([(p.values, p.present, len(p)) for p in parts])
    labels, known = _joined([(p.labels, {}, len(p)) for p in parts])
    for name, has in known.items():
        labels[name][~has] = None
    positions = [part.positions for part in parts if part.positions is not None]
    if len({len(one[0]) for one in positions}) > 1 or len(positions) not in (0, len(parts)):
        raise UnlikeError
    return Columns(
        np.concatenate([part.lanes for part in parts]),
        ReadOnlyDict(labels),
        ReadOnlyDict(values),
        ReadOnlyDict(present),
        positions=np.concatenate(positions) if positions else None,
    )


def _joined(
    parts: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], int]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Joins the columns of each key, and which of its entries are present if some are not."""
    joined: dict[str, np.ndarray] = {}
    present: dict[str, np.ndarray] = {}
    for key in dict.fromkeys(chain.from_iterable(columns for columns, _, _ in parts)):
        (dtype, *others) = {columns[key].dtype for columns, _, _ in parts if key in columns}
        if others:
            raise UnlikeError
        nothing = np.zeros(1, dtype)
        own = [columns.get(key, np.repeat(nothing, n)) for columns, _, n in parts]
        joined[key] = np.concatenate(own)
        has = [of.get(key, np.full(n, key in columns)) for columns, of, n in parts]
        if not all(part.all() for part in has):
            present[key] = np.concatenate(has)
    return joined, present


def _columns_of(lines: Sequence[bytes]) -> Columns:
    if sum(max(line.count(bracket) for line in lines) for bracket in (b"[", b"{")) > DEEPEST:
        raise UnlikeError  # one may be nested too deeply
    data = b"[" + b",".join(lines) + b"]"
    rows = orjson.loads(data)
    if len(rows) != len(lines):  # a damaged line with several objects
        raise UnlikeError
    rows = [row for row in rows if "lane" in row]
    metrics: list[Mapping[str, Any]] = [*map(itemgetter("metrics"), rows)]
    if b'"nonfinite"' in data:
        metrics = [numbers_of_line(row) if "nonfinite" in row else row["metrics"] for row in rows]
    values, present = _values(metrics)
    return Columns(
        np.array([int(row["lane"]) for row in rows], np.int64),
        ReadOnlyDict(_labels([*map(itemgetter("labels"), rows)])),
        ReadOnlyDict(values),
        ReadOnlyDict(present),
        positions=_positions([row.get("lane_position", ()) for row in rows]),
    )


def _values(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns the numbers of each key, and which of them are present if some are not."""
    layouts = dict.fromkeys(map(tuple, rows))
    keys = dict.fromkeys(chain.from_iterable(layouts))
    if len(layouts) == 1:
        every = [*chain.from_iterable(row.values() for row in rows)]
        if {*map(type, every)} == {float}:  # the most common case, and the fastest
            return dict(zip(keys, np.array(every).reshape(len(rows), -1).T.copy(), strict=True)), {}
    values: dict[str, np.ndarray] = {}
    present: dict[str, np.ndarray] = {}
    for key in keys:
        column = [row.get(key) for row in rows]
        kinds = {*map(type, column)}
        has = None
        if type(None) in kinds:
            has = np.array([value is not None for value in column], np.bool_)
            kinds.remove(type(None))
            column = [0 if value is None else value for value in column]
        if kinds.isdisjoint(_DTYPES):  # a histogram, or a text: not a number
            continue
        (kind, *others) = kinds
        if others:
            raise UnlikeError
        values[key] = np.array(column, _DTYPES[kind])
        if has is not None:
            present[key] = has
    return values, present


def _labels(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns arrays of objects, with None for a lane that lacks the label."""
    found: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(chain.from_iterable(rows)):
        found[name] = np.empty(len(rows), object)
        found[name][:] = [row.get(name) for row in rows]
    return found


def _positions(rows: Sequence[Sequence[int]]) -> np.ndarray | None:
    axes = {*map(len, rows)}
    if axes in (set(), {0}):
        return None
    if len(axes) > 1:
        raise UnlikeError
    return np.array(rows, np.int64)
