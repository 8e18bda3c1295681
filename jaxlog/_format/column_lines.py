"""Converts the columns of a metrics event to its lines: each column to texts at once.

The lines are those of `lines`, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
import orjson

from jaxlog._format.columns import Columns
from jaxlog._format.numbers import LARGE

AT_ONCE = 1024
"""The most lanes that are converted at once, which bounds the memory of their texts."""

FEW = 4
"""Rows are faster for fewer lanes that arrived together."""

_Texts = Sequence[bytes]


def can_convert(columns: Columns) -> bool:
    """True if all values have a dtype that is converted here, and if rows would not be faster."""
    whole = columns.whole
    return len(whole) >= FEW and whole.has_dtypes


def lane_lines(columns: Columns, head: bytes, *, exact: bool) -> bytes:
    """The lines of the lanes of an event.

    Args:
      columns: those of the event, of which `can_convert` is true.
      head: the beginning of each line, up to the number of the lane.
      exact: that of the event.
    """
    tails = columns.for_each_lane(_exact_tails if exact else _tails)
    return head.join([b"", *tails])


def _exact_tails(columns: Columns) -> list[bytes]:
    return _tails(columns, exact=True)


def _tails(columns: Columns, *, exact: bool = False) -> list[bytes]:
    """The rest of the line of each lane, from its number."""
    if len(columns) > AT_ONCE:
        parts = (columns.part(slice(i, i + AT_ONCE)) for i in range(0, len(columns), AT_ONCE))
        return [tail for part in parts for tail in _tails(part, exact=exact)]
    line = _Line(exact=exact)
    line.add(b',"lane":')
    line.add(_texts(columns.lanes, exact=True))
    if columns.positions is not None:
        line.add(b',"lane_position":')
        line.add(_nested(columns.positions))
    line.begin(b',"labels":{')
    for name, column in columns.labels.items():
        present = None
        if column.dtype == object and None in (listed := column.tolist()):
            present = [value is not None for value in listed]
        line.member(name, column, _texts(column, exact=exact), present)
    line.begin(b'},"metrics":{')
    for key, column in columns.values.items():
        mask = columns.present.get(key)
        present = None if mask is None else mask.tolist()
        if key in columns.edges:
            line.member(key, None, _histograms(column, columns.edges[key]), present)
        else:
            line.member(key, column, _texts(column, exact=exact), present)
    return line.end(len(columns))


class _Line:
    """The parts of some lines: a text that all have, or one for each."""

    def __init__(self, *, exact: bool) -> None:
        self._same: list[bytes] = []  # the texts since the last part that differs
        self._parts: list[Iterable[bytes]] = []
        self._exact = exact
        self._odd: dict[int, dict[str, str]] = {}
        self._begun: list[bool] | bool = False

    def add(self, part: bytes | _Texts) -> None:
        """Adds a part."""
        if isinstance(part, bytes):
            self._same.append(part)
            return
        if self._same:
            self._parts.append(repeat(b"".join(self._same)))
            self._same = []
        self._parts.append(part)

    def begin(self, text: bytes) -> None:
        """Begins an object, which has no member yet."""
        self.add(text)
        self._begun = False

    def member(
        self, name: str, column: np.ndarray | None, texts: _Texts, present: list[bool] | None
    ) -> None:
        """Adds a member to the object that was begun last.

        Args:
          name: its name.
          column: its values; None if they are no numbers.
          texts: the texts of its values.
          present: which lines have it; None for all.
        """
        key = orjson.dumps(name) + b":"
        if present is None and isinstance(self._begun, bool):
            self.add(b"," + key if self._begun else key)
            self.add(texts)
            self._begun = True
        else:
            begun = [self._begun] * len(texts) if isinstance(self._begun, bool) else self._begun
            present = [True] * len(texts) if present is None else present
            start = {False: key, True: b"," + key}
            parts = zip(texts, present, begun, strict=True)
            self.add([start[b] + text if has else b"" for text, has, b in parts])
            either = [b or has for has, b in zip(present, begun, strict=True)]
            self._begun = True if all(either) else either
        if column is not None and not self._exact:
            for row, text in _not_finite(column):
                if present is None or present[row]:
                    self._odd.setdefault(row, {})[name] = text

    def end(self, num_lanes: int) -> list[bytes]:
        """The lines."""
        self.add(b"}")
        if self._odd:
            odd = (self._odd.get(row) for row in range(num_lanes))
            self.add([b',"nonfinite":' + orjson.dumps(one) if one else b"" for one in odd])
        parts = [*self._parts, [b"".join([*self._same, b"}\n"])] * num_lanes]
        return list(map(b"".join, zip(*parts, strict=False)))


def _texts(column: np.ndarray, *, exact: bool) -> list[bytes]:
    """The text of each value of a column."""
    if column.dtype == object:
        return [orjson.dumps(value) for value in column.tolist()]
    if column.dtype.kind == "V":  # of ml_dtypes; as the float that it is converted to
        column = column.astype(np.float32).astype(np.float64)
    texts = _split(column)
    if not exact and column.dtype == np.float32:
        large = np.flatnonzero(np.abs(column) >= LARGE)
        if large.size:
            whole = _split(column[large].astype(np.float64))
            for row, text in zip(large.tolist(), whole, strict=True):
                texts[row] = text
    return texts


def _split(column: np.ndarray) -> list[bytes]:
    return _dumped(column)[1:-1].split(b",")


def _nested(column: np.ndarray) -> list[bytes]:
    """The text of each row of a column, as a list."""
    return [b"[" + text + b"]" for text in _dumped(column)[2:-2].split(b"],[")]


def _dumped(column: np.ndarray) -> bytes:
    return orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)


def _histograms(counts: np.ndarray, edges: tuple[float, ...]) -> list[bytes]:
    start = b'{"edges":' + orjson.dumps(edges) + b',"counts":'
    parts = zip(_nested(counts[:, 1:-1]), _split(counts[:, 0]), _split(counts[:, -1]), strict=True)
    return [start + c + b',"below":' + low + b',"above":' + high + b"}" for c, low, high in parts]


def _not_finite(column: np.ndarray) -> Iterator[tuple[int, str]]:
    """The rows whose value is not finite, each with its text."""
    if column.dtype == object:
        column = np.array([v if isinstance(v, float) else 0.0 for v in column], np.float64)
    elif column.dtype.kind in "fV":
        column = column.astype(np.float64)
    else:
        return
    odd = np.flatnonzero(~np.isfinite(column))
    yield from zip(odd.tolist(), map(str, column[odd].tolist()), strict=True)
