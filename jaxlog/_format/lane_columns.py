"""The values of a metrics event as columns: an array over its lanes for each label and key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlog._format.events import Histogram, Lane, MetricsEvent


@dataclass(frozen=True)
class LaneColumns:
    """The lanes of an event as columns; `n` is the number of lanes.

    Attributes:
      lanes: int64 `[n]`, the numbers of the lanes.
      labels: `[n]` by name; texts have dtype object.
      values: `[n]` by key, in the dtypes of the program; a histogram is `[n, bins + 2]`: the number
        of values below the first edge, the counts, the number above the last edge.
      edges: the edges of each histogram, by key.
      present: bool `[n]`, which lanes have a value, for each key of which some lanes lack one.
      labelled: bool `[n]`, the same for labels.
      positions: int64 `[n, axes]`, the indices of the lanes along several lane axes; None without.
    """

    lanes: np.ndarray
    labels: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray]
    edges: Mapping[str, tuple[float, ...]]
    present: Mapping[str, np.ndarray]
    labelled: Mapping[str, np.ndarray]
    positions: np.ndarray | None


def lane_columns(event: MetricsEvent) -> LaneColumns:
    """The columns of an event: those that it has, or, if it has none, made of its lanes."""
    own: Any = getattr(event, "columns", None)
    if own is not None:
        return LaneColumns(
            own.lanes, own.labels, own.values, own.edges, own.present, {}, own.positions
        )
    lanes = event.lanes
    values, present = _by_name(lanes, lambda lane: lane.values, event.keys)
    labels, labelled = _by_name(lanes, lambda lane: lane.labels)
    edges: dict[str, tuple[float, ...]] = {}
    for key, column in values.items():
        histograms = [value for value in column if isinstance(value, Histogram)]
        if histograms:
            edges[key] = histograms[0].edges
            none = (0,) * (len(edges[key]) + 1)
            values[key] = np.array(
                [(v.below, *v.counts, v.above) if v is not None else none for v in column], np.int64
            )
    positions = [lane.position for lane in lanes]
    return LaneColumns(
        np.array([lane.index for lane in lanes], np.int64),
        {key: _array(column) for key, column in labels.items()},
        {k: column if k in edges else _array(column) for k, column in values.items()},
        edges,
        present,
        labelled,
        np.array(positions, np.int64) if all(positions) else None,
    )


def _by_name(
    lanes: tuple[Lane, ...], of: Callable[[Lane], Mapping[str, Any]], first: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    found: dict[str, Any] = {}
    present: dict[str, np.ndarray] = {}
    names = {key for lane in lanes for key in of(lane)}
    order = dict.fromkeys(key for key in first if key in names)
    for key in order | dict.fromkeys(key for lane in lanes for key in of(lane)):
        found[key] = [of(lane).get(key) for lane in lanes]
        has = np.array([value is not None for value in found[key]])
        if not has.all():
            present[key] = has
    return found, present


def _array(values: list[Any]) -> np.ndarray:
    """The values of one key over lanes; 0 for those that are missing, if all are of one type."""
    types = {type(value) for value in values if value is not None}
    if len(types) == 1 and not types & {str, np.str_}:
        one = next(value for value in values if value is not None)
        dtype = np.asarray(one).dtype
        if dtype.kind != "O":
            return np.array([0 if value is None else value for value in values], dtype)
    found = np.empty(len(values), object)
    found[:] = values
    return found
