"""Parses lines of metrics that are all alike, which is much faster than a data-frame library is.

Most lines are: each has the same metrics, which are finite numbers, and the same labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl

from jaxlog._format.lines import LANES

MOST_BYTES = 2**20
"""The bytes up to which lines are parsed here: of more, a data-frame library takes less memory."""
_UNUSUAL = (b'nonfinite"', b'"over_lanes"', b"\0")
"""Parts of lines that need more than what is done here."""
_HEADS = (
    ("timestamp", "step", "lane", "labels", "metrics"),
    ("timestamp", "step", "env_step", "lane", "labels", "metrics"),
)
_OF_LABELS = {str: pl.String(), int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean()}
_LARGEST = 2**63


class PlainLines(NamedTuple):
    """Lines of metrics, by columns. All columns have a value for each line.

    Attributes:
      fields: float64, the fields `timestamp`, `step`, `lane` and perhaps `env_step`.
      labels: the labels, each with the values of all lines, which have one type.
      metrics: the metrics, each with the values of all lines.
    """

    fields: dict[str, np.ndarray]
    labels: dict[str, Sequence[Any]]
    metrics: dict[str, Sequence[float]]

    def type_of(self, name: str) -> pl.DataType:
        """The type that the column of a label or a metric has in a frame."""
        if name in self.labels:
            return _OF_LABELS[type(self.labels[name][0])]
        return pl.Int64() if all(type(one) is int for one in self.metrics[name]) else pl.Float64()

    def last_of_lanes(self) -> PlainLines | None:
        """The last line of each lane; None if lanes have repeated steps, or labels that change."""
        lane, step = self.fields["lane"], self.fields["step"]
        order = np.argsort(lane, kind="stable")
        same = np.diff(lane[order]) == 0
        if (np.diff(step[order])[same] <= 0).any():
            return None
        (before,) = np.nonzero(same)
        for values in self.labels.values():
            own = [values[place] for place in order.tolist()]
            if any(own[place] != own[place + 1] for place in before.tolist()):
                return None
        kept = np.sort(order[np.append(~same, np.ones(len(order[:1]), np.bool_))])
        rows = kept.tolist()
        return PlainLines(
            {name: values[kept] for name, values in self.fields.items()},
            {name: [values[row] for row in rows] for name, values in self.labels.items()},
            {name: [values[row] for row in rows] for name, values in self.metrics.items()},
        )

    def frame(self, wanted: Sequence[str]) -> pl.DataFrame:
        """Some of the columns, as other readers return them."""
        columns = []
        for name, values in self.fields.items():
            kind = pl.Float64() if name == "timestamp" else pl.Int64()
            columns.append(pl.Series(name, values).cast(kind))
        for name, values in (self.labels | self.metrics).items():
            if name in wanted:
                columns.append(pl.Series(name, values, dtype=self.type_of(name), strict=False))
        order = {name: place for place, name in enumerate(LANES.own)}
        columns.sort(key=lambda column: order.get(column.name, len(order)))
        return pl.DataFrame(columns)


def plain_lines(data: bytes) -> PlainLines | None:
    """Parses lines; None if they are not all alike, so that another reader has to.

    Args:
      data: whole lines, each with its line end.
    """
    if len(data) > MOST_BYTES or any(part in data for part in _UNUSUAL):
        return None
    try:
        rows = orjson.loads(b"[" + data[:-1].replace(b"\n", b",") + b"]")
    except ValueError:
        return None
    if not rows or len(rows) != data.count(b"\n") or not all(type(row) is dict for row in rows):
        return None
    head = tuple(rows[0])
    if head not in _HEADS or any(tuple(row) != head for row in rows):
        return None
    *fields, labels, metrics = zip(*map(dict.values, rows), strict=True)
    of_fields = _fields(dict(zip(head, fields, strict=False)))
    of_labels, of_metrics = _columns(labels), _columns(metrics)
    if of_fields is None or of_labels is None or of_metrics is None or not of_metrics:
        return None
    names = [*of_labels, *of_metrics]
    if len({*names, *LANES.own}) < len(names) + len(LANES.own):  # one of them has to be renamed
        return None
    if not all(_is_of_numbers(values) for values in of_metrics.values()):
        return None
    for values in of_labels.values():
        kinds = set(map(type, values))
        if len(kinds) > 1 or not kinds <= _OF_LABELS.keys():
            return None
        if kinds == {int} and not all(-_LARGEST <= value < _LARGEST for value in values):
            return None
    return PlainLines(of_fields, of_labels, of_metrics)


def _columns(parts: Sequence[Any]) -> dict[str, Sequence[Any]] | None:
    """The values by their names; None if not all have the same names."""
    if not all(type(part) is dict for part in parts):
        return None
    names = tuple(parts[0])
    if any(tuple(part) != names for part in parts):
        return None
    return dict(zip(names, zip(*map(dict.values, parts), strict=True), strict=True))


def _fields(values: dict[str, Sequence[Any]]) -> dict[str, np.ndarray] | None:
    found: dict[str, np.ndarray] = {}
    for name, own in values.items():
        kinds = set(map(type, own))
        if not kinds <= ({int, float} if name == "timestamp" else {int}):
            return None
        found[name] = np.array(own, np.float64)
        if not (np.abs(found[name]) < 2**53).all():  # float64 does not have each such integer
            return None
    return found


def _is_of_numbers(values: Sequence[Any]) -> bool:
    kinds = set(map(type, values))
    if kinds == {float}:
        return True
    return kinds <= {int, float} and all(abs(one) < _LARGEST for one in values)
