"""The identity of the lanes of a run that is read from files: what its sinks were told of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxlog._format.columns import Columns
from jaxlog._format.events import EpisodeEvent, Labels, Lane, MetricsEvent, ReadOnlyDict


class LaneFacts:
    """Completes the lanes of events by what run.json says about them.

    Args:
      facts: the contents of run.json.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        listed = facts.get("lane_labels")
        entries = listed if isinstance(listed, list) else []
        self._lanes = {
            entry["lane"]: entry
            for entry in entries
            if isinstance(entry, Mapping) and isinstance(entry.get("lane"), int)
        }
        health = facts.get("health")
        self._counts: dict[str, int] = {
            call: entry["lanes"]
            for call, entry in (health.items() if isinstance(health, Mapping) else ())
            if isinstance(entry, Mapping) and isinstance(entry.get("lanes"), int)
        }
        self._highest: dict[tuple[int, ...], int] = {}

    def completed(self, event: MetricsEvent) -> MetricsEvent:
        """The event, with the number of lanes, and with what distinguishes them.

        Args:
          event: has just been made, and is changed: to copy it takes as long as to make it.
        """
        if event.has_columns:
            count = max(event.num_lanes, self._counts.get(event.name, 1))
            known = replace_columns(event.columns, self._lanes)
            return MetricsEvent.of_columns(
                known,
                slice(None),
                **{**_fields(event), "num_lanes": count},
            )
        # A call without labels logs for no lane that others have.
        labelled = [lane.index for lane in event.lanes if lane.labels]
        axes = self._axes(labelled[0]) if labelled else None
        if labelled:
            event.__dict__["lanes"] = tuple(map(self._lane, event.lanes))
        event.__dict__["num_lanes"] = self._num_lanes(event, axes)
        return event

    def completed_episode(self, event: EpisodeEvent) -> EpisodeEvent:
        """The sampled episode, likewise."""
        count = max(event.lane + 1, self._counts.get(event.name, 1))
        if not event.labels:
            return replace(event, num_lanes=count)
        if self._axes(event.lane) == ():
            count = max(event.lane, self._highest.get((), 0)) + 1
        return replace(
            event,
            num_lanes=count,
            lane_alone=self._is_alone(event.lane),
            lane_first_labels=self._first(event.lane, event.labels),
        )

    def _num_lanes(self, event: MetricsEvent, axes: tuple[int, ...] | None) -> int:
        """The number of lanes, as far as it was known when the event was logged."""
        highest = max(lane.index for lane in event.lanes)
        if axes is None:
            return max(highest + 1, self._counts.get(event.name, 1))
        side_by_side = math.prod(axes)
        found = max(highest, side_by_side - 1, self._highest.get(axes, 0))
        self._highest[axes] = found
        return -(-(found + 1) // side_by_side) * side_by_side

    def _lane(self, lane: Lane) -> Lane:
        entry = self._lanes.get(lane.index)
        if entry is None or not lane.labels:
            return lane
        series = entry.get("series", 0)
        alone, first = self._is_alone(lane.index), self._first(lane.index, lane.labels)
        return replace(lane, series=series, alone=alone, first_labels=first)

    def _axes(self, number: int) -> tuple[int, ...] | None:
        axes = self._lanes.get(number, {}).get("axes")
        if not isinstance(axes, list) or not all(type(n) is int and n > 0 for n in axes):
            return None
        return tuple(axes)

    def _is_alone(self, number: int) -> bool:
        return self._axes(number) == () and self._lanes[number].get("series") == 0

    def _first(self, number: int, labels: Labels) -> Labels | None:
        """The first values of some labels of a lane; None if it still has them."""
        known = self._lanes.get(number, {}).get("labels")
        if not isinstance(known, Mapping):
            return None
        first = {key: known.get(key, value) for key, value in labels.items()}
        return None if first == dict(labels) else ReadOnlyDict(first)


def replace_columns(columns: Columns, known: Mapping[int, Mapping[str, Any]]) -> Columns:
    """The columns of many lanes, with the programs that ran before each."""
    series = [known.get(number, {}).get("series", 0) for number in columns.lanes.tolist()]
    return Columns(
        columns.lanes,
        columns.labels,
        columns.values,
        columns.present,
        positions=columns.positions,
        series=np.array(series, np.int64),
    )


def _fields(event: MetricsEvent) -> dict[str, Any]:
    names = ("name", "step", "env_step", "timestamp", "keys", "over_lanes", "finite", "exact")
    return {name: getattr(event, name) for name in (*names, "total_updates", "timing")}
