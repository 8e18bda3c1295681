"""Makes metrics events from the rows of another tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from jaxlog._format.events import (
    NOTHING,
    Histogram,
    Key,
    Labels,
    Lane,
    MetricsEvent,
    ReadOnlyDict,
)
from jaxlog._format.keys import scalar_key
from jaxlog._format.media import Image, Table
from jaxlog._format.names import look_up
from jaxlog._host.media import MediaTaker

MOST_BYTES = 2**25
"""The most bytes of the arrays of one row, and of a table; a line may have twice as many."""


class SourceRow(NamedTuple):
    """The values of one lane at one step.

    Attributes:
      values: numbers and histograms by name.
      lane: the place of the lane.
      labels: those of the lane.
      arrays: arrays by name.
      media: images and tables by name.
    """

    values: Mapping[str, Any]
    lane: int = 0
    labels: Labels = NOTHING
    arrays: Mapping[str, np.ndarray] = NOTHING
    media: Mapping[str, Image | Table] = NOTHING


class EventMaker:
    """Makes the events of one call, whose keys it collects.

    Args:
      call: the name of the call.
      num_lanes: the number of its lanes.
    """

    def __init__(self, call: str, num_lanes: int = 1) -> None:
        self._call = call
        self._num_lanes = num_lanes
        self._keys: Mapping[str, Key] = NOTHING
        self._media = MediaTaker(MOST_BYTES)

    def event(
        self, step: int, timestamp: float, rows: Sequence[SourceRow], env_step: int | None = None
    ) -> MetricsEvent:
        """The event of some lanes at one step.

        Images and tables that cannot be taken are missing in it, which is said.
        """
        lanes = tuple(self._lane(row) for row in sorted(rows, key=lambda row: row.lane))
        own = self._call, step, env_step, timestamp, lanes, self._keys, NOTHING, self._num_lanes
        return MetricsEvent(*own)

    def _lane(self, row: SourceRow) -> Lane:
        values = {self._key(name, value): value for name, value in row.values.items()}
        media = self._media.taken(self._call, row.media, 1)[0] if row.media else NOTHING
        return Lane(
            row.lane,
            row.labels,
            ReadOnlyDict(values),
            arrays=ReadOnlyDict(row.arrays) if row.arrays else NOTHING,
            media=ReadOnlyDict(media) if media else NOTHING,
        )

    def _key(self, name: str, value: Any) -> str:
        """The key of a value, which is noted; a number may be named as a histogram would be."""
        if not isinstance(value, Histogram):
            return self._noted(name, scalar_key(name))
        stem = name.removesuffix("_histogram") or name
        while True:
            key = Key(look_up(name).category, stem, "histogram", name)
            if self._keys.get(f"{stem}_histogram", key) == key:
                return self._noted(f"{stem}_histogram", key)
            stem += "_values"

    def _noted(self, name: str, key: Key) -> str:
        if name in self._keys and self._keys[name].statistic != key.statistic:
            return self._noted(f"{name}_value", replace(key, stem=f"{key.stem}_value"))
        if name not in self._keys:
            self._keys = ReadOnlyDict({**self._keys, name: key})
        return name
