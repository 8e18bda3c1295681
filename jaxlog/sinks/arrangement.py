"""Arranges the lanes of a program as runs or columns, for tools that have no lanes."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np

from jaxlog._format.across_lanes import EXTREMES, values_across_lanes
from jaxlog._format.columns import Columns
from jaxlog._format.events import Histogram, Key, Labels, Lane, MetricsEvent, Scalar
from jaxlog._format.media import Image, Table
from jaxlog._format.numbers import as_written

Lanes = Literal["runs", "columns", "aggregate"]
"""`runs`: each lane is a run in the tool. `columns`: one run, with a column for each metric and
lane. `aggregate`: one run, with one value for all lanes."""

MOST_RUNS = 256
"""The most lanes that have a run each; more lanes are aggregated."""

Values = dict[str, Scalar | Histogram]

_Value = TypeVar("_Value")

_NAME_BYTES = 120
"""The maximum length of a name; a file name may have 255, and the tools show few."""


def arranged(event: MetricsEvent, lanes: Lanes) -> list[tuple[Lane | None, Values]]:
    """Arranges an event as pairs of a lane, or None for the whole run, and values to write.

    Without `vmap` there is one pair, for None, whatever the setting `lanes` says, until a second
    lane appears (`Lane.alone`). Otherwise:

    - `runs`: one pair for each lane that logged.
    - `columns`: one pair for None, with keys `{key}/{name of the lane}`.
    - `aggregate`: one pair for None. `{key}` is the mean over the lanes with a finite value, and
      `{key}_lanes_std` their standard deviation (divided by n, not n - 1). Minima become the
      smallest, maxima the largest, without a standard deviation; histograms are added up. Counts
      and sums are averaged, too, so that they describe a typical lane like the other keys. A lane
      without a value is left out; if no lane has a finite value, the result is not finite. Programs
      that run one after another are aggregated separately: the keys of the later ones are
      `{key}/{labels that they share}`.

    The values of the setting `over_lanes` have the keys `{key}_lanes_{statistic}` in a pair for
    None; their number of lanes, if it is not all, has the key `{key}_lanes`.
    """
    if event.num_lanes == 1:
        return [(None, dict(lane.values)) for lane in event.lanes]
    columns = event.columns
    over_lanes = _suffixed(_over_lanes(event), columns)
    if lanes == "runs":
        entries: list[tuple[Lane | None, Values]] = [
            (None if lane.alone else lane, dict(lane.values)) for lane in event.lanes
        ]
        return [*entries, (None, over_lanes)] if over_lanes else entries
    if lanes == "columns":
        return [(None, _columns(event) | over_lanes)]
    values: Values = {}
    for own in _by_series(columns):
        values |= _suffixed(_aggregate(own, event.keys), own)
    return [(None, values | over_lanes)]


def arranged_arrays(
    event: MetricsEvent, lanes: Lanes
) -> list[tuple[Lane | None, dict[str, np.ndarray]]]:
    """Arranges the arrays of an event that were logged whole, as `arranged` does with its values.

    Arrays are not averaged: for `aggregate`, they are those of the first lane that logged, and of
    the first lane of each program that ran after another.
    """
    return _beside(event, lanes, lambda lane: lane.arrays) if event.has_arrays else []


def arranged_media(
    event: MetricsEvent, lanes: Lanes
) -> list[tuple[Lane | None, dict[str, Image | Table]]]:
    """Arranges the images and tables of an event, as `arranged_arrays` does with arrays."""
    return _beside(event, lanes, lambda lane: lane.media) if event.has_media else []


def _beside(
    event: MetricsEvent, lanes: Lanes, of_lane: Callable[[Lane], Mapping[str, _Value]]
) -> list[tuple[Lane | None, dict[str, _Value]]]:
    with_some = [lane for lane in event.lanes if of_lane(lane)]
    if event.num_lanes == 1:
        return [(None, dict(of_lane(lane))) for lane in with_some]
    if lanes == "runs":
        return [(None if lane.alone else lane, dict(of_lane(lane))) for lane in with_some]
    found: dict[str, _Value] = {}
    if lanes == "columns":
        for lane, suffix in zip(event.lanes, _suffixes(event.lanes), strict=True):
            found |= {f"{name}{suffix}": value for name, value in of_lane(lane).items()}
    elif with_some:
        for own in _by_series(Columns.of(with_some)):
            found |= _suffixed(dict(of_lane(own.rows()[0])), own)
    return [(None, found)] if found else []


def by_keys(columns: Columns) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Yields the keys that some lanes have, and the rows of these lanes; no lane is in two."""
    keys, rows = tuple(columns.values), np.arange(len(columns))
    if not columns.present:
        yield from [(keys, rows)] if keys else ()
        return
    has = np.stack([columns.present.get(key, np.ones(len(rows), bool)) for key in keys], axis=1)
    patterns, which = np.unique(has, axis=0, return_inverse=True)
    which = which.reshape(-1)  # NumPy 2.0 gives it the axes of the lanes
    for number, pattern in enumerate(patterns.tolist()):
        own = tuple(key for key, there in zip(keys, pattern, strict=True) if there)
        if own:
            yield own, rows[which == number]


def lane_name(index: int, labels: Labels, between: str = ",") -> str:
    """The name of a lane: its labels, or its number if it has none.

    >>> lane_name(3, {"seed": 3, "lr": np.float32(0.001)})
    'seed=3,lr=0.001'
    >>> lane_name(3, {})
    'lane_3'
    """
    if not labels:
        return f"lane_{index}"
    name = between.join(f"{_word(key)}={_word(value)}" for key, value in labels.items())
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")


def folder_name(index: int, labels: Labels, *, number_first: bool = False) -> str:
    """The name of a lane's folder, unique for any labels.

    It begins with the labels, because TensorBoard cuts long names, and has hyphens between them,
    where it can begin a new line. Names of jaxlog 0.1 began with the number of the lane.

    >>> folder_name(3, {"seed": 3, "lr": 0.1})
    'seed=3-lr=0.1-lane_003'
    >>> folder_name(3, {"seed": 3, "lr": 0.1}, number_first=True)
    'lane_003-seed=3,lr=0.1'
    """
    number = f"lane_{index:03d}"
    if not labels:
        return number
    if number_first:
        return f"{number}-{lane_name(index, labels)}".rstrip(".")
    return f"{lane_name(index, labels, between='-')}-{number}"


def _word(value: Scalar | str) -> str:
    """The text of a label without the characters that have a meaning in names and paths."""
    text = str(as_written(value) if isinstance(value, np.floating) else value)
    return re.sub(r"[^\w.+-]", "_", text)


def _over_lanes(event: MetricsEvent) -> Values:
    return {
        f"{key}_lanes_{statistic}" if key in event.keys else key: value
        for statistic, metrics in event.over_lanes.items()
        for key, value in metrics.items()
    }


def _columns(event: MetricsEvent) -> Values:
    return {
        f"{key}{suffix}": value
        for lane, suffix in zip(event.lanes, _suffixes(event.lanes), strict=True)
        for key, value in lane.values.items()
    }


def _suffixes(lanes: Sequence[Lane]) -> list[str]:
    """The suffix of the keys of each lane's columns: empty, or a slash and the lane's name."""
    names = [lane_name(lane.index, lane.named_by) for lane in lanes]
    times = collections.Counter(names)
    return [
        "" if lane.alone else f"/{name if times[name] == 1 else f'lane_{lane.index}-{name}'}"
        for lane, name in zip(lanes, names, strict=True)
    ]


def _by_series(columns: Columns) -> Iterator[Columns]:
    """The lanes of each program, of those that run one after another."""
    series = np.unique(columns.series).tolist()
    if len(series) == 1:
        yield columns
    else:
        yield from (columns.part(np.flatnonzero(columns.series == one)) for one in series)


def _suffixed(values: dict[str, _Value], columns: Columns) -> dict[str, _Value]:
    """Adds a suffix to the keys of programs that run after others, to keep them separate."""
    if not values or not columns.series.any():
        return values
    first, *others = (lane.named_by for lane in columns.rows())
    common = {
        key: value
        for key, value in first.items()
        if all(str(other.get(key)) == str(value) for other in others)
    }
    name = lane_name(0, common) if common else f"series_{columns.series.max()}"
    return {f"{key}/{name}": value for key, value in values.items()}


def _aggregate(columns: Columns, keys: Mapping[str, Key]) -> Values:
    """One value of each key for all lanes, and its standard deviation over them."""
    of_lanes = values_across_lanes(columns, keys)
    found: Values = {}
    for key in keys:
        if key in of_lanes:
            value = of_lanes[key]
            found[key] = value.middle
            if value.alive and keys[key].statistic not in EXTREMES:
                found[f"{key}_lanes_std"] = value.spread or 0.0
        elif key in columns.edges:
            counts = columns.values[key]
            counts = counts[columns.present[key]] if key in columns.present else counts
            if len(counts):
                below, *inside, above = counts.sum(axis=0, dtype=np.int64).tolist()
                found[key] = Histogram(columns.edges[key], tuple(inside), below, above)
    return found
