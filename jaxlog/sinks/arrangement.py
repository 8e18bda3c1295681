"""How the lanes of a program become the runs or columns of a tool that has no lanes."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from jaxlog._format.across_lanes import EXTREMES, values_across_lanes
from jaxlog._format.events import Histogram, Key, Labels, Lane, MetricsEvent, Scalar
from jaxlog._format.numbers import as_written

Lanes = Literal["runs", "columns", "aggregate"]
"""`runs`: a run of the tool's for each lane. `columns`: one run, in which each metric has a column
for each lane. `aggregate`: one run, with one value for all lanes."""

Values = dict[str, Scalar | Histogram]

_NAME_BYTES = 120
"""How long a name may be: a file's may have 255, and the tools show few."""


def arranged(event: MetricsEvent, lanes: Lanes) -> list[tuple[Lane | None, Values]]:
    """What to write of an event: entries of a lane, or of None for the run as a whole.

    Without `vmap` it is one entry, of None, whatever `lanes` says, as long as no other lane comes
    after it (`Lane.alone`). Otherwise:

    - `runs`: one entry for each lane that logged.
    - `columns`: one of None, with keys `{key}/{name of the lane}`.
    - `aggregate`: one of None. Under a metric's key is its mean over the lanes that have a finite
      value, and under `{key}_lanes_std` how these spread (not divided by n - 1). Of minima it is
      the smallest and of maxima the largest, without a spread; histograms are added up. Counts and
      sums are means, too: they tell of a typical lane, as all else does. A lane without a value
      counts for nothing; where no lane has a finite value, what is not finite is kept. Lanes that
      run one after another are not aggregated with each other: the later ones have keys with what
      they are called, `{key}/{labels that they share}`.

    What the settings' `over_lanes` asked for has the keys `{key}_lanes_{statistic}` in an entry of
    None. Where `over_lanes` says of how many lanes that is, the key is `{key}_lanes`.
    """
    if event.num_lanes == 1:
        return [(None, dict(lane.values)) for lane in event.lanes]
    over_lanes = _suffixed(_over_lanes(event), event.lanes)
    if lanes == "runs":
        entries: list[tuple[Lane | None, Values]] = [
            (None if lane.alone else lane, dict(lane.values)) for lane in event.lanes
        ]
        return [*entries, (None, over_lanes)] if over_lanes else entries
    if lanes == "columns":
        return [(None, _columns(event) | over_lanes)]
    values: Values = {}
    for series in sorted({lane.series for lane in event.lanes}):
        own = [lane for lane in event.lanes if lane.series == series]
        values |= _suffixed(_aggregate(own, event.keys), own)
    return [(None, values | over_lanes)]


def lane_name(index: int, labels: Labels) -> str:
    """What to call a lane: by its labels, or by its number where it has none.

    >>> lane_name(3, {"seed": 3, "lr": np.float32(0.001)})
    'seed=3,lr=0.001'
    >>> lane_name(3, {})
    'lane_3'
    """
    if not labels:
        return f"lane_{index}"
    name = ",".join(f"{_word(key)}={_word(value)}" for key, value in labels.items())
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")


def folder_name(index: int, labels: Labels) -> str:
    """The name of a lane's folder, its own whatever the labels are; in order of the lanes.

    >>> folder_name(3, {"seed": 3})
    'lane_003-seed=3'
    """
    number = f"lane_{index:03d}"
    return f"{number}-{lane_name(index, labels)}".rstrip(".") if labels else number


def _word(value: Scalar | str) -> str:
    """A label's text without what means something in names and paths."""
    text = str(as_written(value) if isinstance(value, np.floating) else value)
    return re.sub(r"[^\w.+-]", "_", text)


def _over_lanes(event: MetricsEvent) -> Values:
    return {
        f"{key}_lanes_{statistic}" if key in event.keys else key: value
        for statistic, metrics in event.over_lanes.items()
        for key, value in metrics.items()
    }


def _columns(event: MetricsEvent) -> Values:
    names = [lane_name(lane.index, lane.named_by) for lane in event.lanes]
    times = collections.Counter(names)
    return {
        key
        if lane.alone
        else f"{key}/{name if times[name] == 1 else f'lane_{lane.index}-{name}'}": value
        for lane, name in zip(event.lanes, names, strict=True)
        for key, value in lane.values.items()
    }


def _suffixed(values: Values, lanes: Sequence[Lane]) -> Values:
    """Values of some lanes that are logged together, apart from those of lanes before them."""
    series = {lane.series for lane in lanes}
    if not any(series) or not values:
        return values
    first, *others = (lane.named_by for lane in lanes)
    common = {
        key: value
        for key, value in first.items()
        if all(str(other.get(key)) == str(value) for other in others)
    }
    name = lane_name(0, common) if common else f"series_{max(series)}"
    return {f"{key}/{name}": value for key, value in values.items()}


def _aggregate(lanes: Sequence[Lane], keys: Mapping[str, Key]) -> Values:
    """One value of each key for all lanes, and how it spreads over them."""
    of_lanes = values_across_lanes(lanes, keys)
    found: Values = {}
    for key in keys:
        if key in of_lanes:
            value = of_lanes[key]
            found[key] = value.middle
            if value.alive and keys[key].statistic not in EXTREMES:
                found[f"{key}_lanes_std"] = value.spread or 0.0
            continue
        if histograms := [lane.histograms[key] for lane in lanes if key in lane.histograms]:
            found[key] = _added_up(histograms)
    return found


def _added_up(histograms: list[Histogram]) -> Histogram:
    """One histogram of the values of all: they are of one call, and have the same edges."""
    return Histogram(
        histograms[0].edges,
        tuple(map(sum, zip(*(histogram.counts for histogram in histograms), strict=True))),
        sum(histogram.below for histogram in histograms),
        sum(histogram.above for histogram in histograms),
    )
