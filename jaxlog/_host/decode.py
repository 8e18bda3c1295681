"""Decodes packed records into events: many records at a time, in NumPy."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxlog._format.across_lanes import over_lanes
from jaxlog._format.events import (
    NOTHING,
    EpisodeEvent,
    Event,
    Histogram,
    Key,
    Lane,
    MetricsEvent,
    ReadOnlyDict,
)
from jaxlog._format.names import EPISODE_COUNT, look_up
from jaxlog._format.numbers import LARGE
from jaxlog._format.schema import METRICS_DUE, SAMPLES_DUE, Column, Schema
from jaxlog._format.timing import Stopwatch
from jaxlog._host.arrival import Arrival
from jaxlog._host.lane_identity import LaneIdentity, LaneTable, numbered
from jaxlog._host.passes import in_order

# While a mapping is made, nobody else has it.
_set, _delete = dict.__setitem__, dict.__delitem__


class Decoder:
    """Decodes the records of one call.

    Args:
      schema: the layout of its records.
      env_steps_per_update: environment steps in one update; None leaves `env_step` out.
      statistics_over_lanes: names in `_format.across_lanes.OVER_LANES`.
      count_key: the key of the number of counted entries; None leaves it out.
      rebuild: builds the pytree that the program gave as `details` from its leaves by path.

    Attributes:
      total_updates: the number of updates that the call logs, if it was given its own; else None.
    """

    def __init__(
        self,
        schema: Schema,
        env_steps_per_update: int | None,
        statistics_over_lanes: Sequence[str] = (),
        rebuild: Callable[[Mapping[str, Any]], Any] | None = None,
        count_key: str | None = EPISODE_COUNT,
    ) -> None:
        self.schema = schema
        self.total_updates: int | None = None
        self._over_lanes = statistics_over_lanes
        self._rebuild = rebuild
        self._env_steps_per_update = env_steps_per_update
        self._label_paths = [field.path for field in schema.section("labels")]
        self._labels = [path[1] for path in self._label_paths]
        self._columns = list(_with_count(schema.columns, count_key))
        keys = [column.key for column in self._columns]
        if count_key is not None and keys.count(count_key) > 1:
            raise ValueError(
                f"two values would be written as {count_key!r}; give one of them another name"
            )
        self._keys = ReadOnlyDict({column.key: column.info for column in self._columns})

    def events(
        self,
        arrivals: Sequence[Arrival],
        lane_labels: Sequence[Mapping[str, Any]] = (),
        table: LaneTable | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> list[list[Event]]:
        """Returns the events of each of some deliveries of this call.

        Args:
          arrivals: the deliveries, all with the same lanes.
          lane_labels: more labels, one mapping per lane; empty for none.
          table: the lanes of the run; if None, the lanes of each delivery are numbered from 0.
          stopwatch: times the events; None leaves their timing out.
        """
        deliveries = [a.delivery for a in arrivals if a.delivery is not None]
        lanes = deliveries[0].lanes
        num_lanes = math.prod(lanes)
        positions = list(np.ndindex(lanes)) if len(lanes) > 1 else [()] * num_lanes
        due = np.concatenate([delivery.due for delivery in deliveries])
        words = np.concatenate([delivery.words for delivery in deliveries])
        words.flags.writeable = False  # so that no sink changes an array of an event
        at = self.schema.read(words, "step")
        steps = at.tolist()
        columns = [self.schema.read(words, "labels", key) for key in self._labels]
        labels = _rows(self._labels, columns, len(words))
        if lane_labels:
            labels = [
                ReadOnlyDict({**lane_labels[i % num_lanes], **own}) for i, own in enumerate(labels)
            ]
        identities: Sequence[Sequence[LaneIdentity | None]] = ()
        if self._labels and table is not None:
            identities = self._identities(arrivals, lanes, table, at, due, words, labels)
            num_known = table.num_lanes(lanes)
        else:
            num_known = num_lanes
        logged = np.flatnonzero(due & METRICS_DUE)
        rows_logged, finite, exact = self._metric_rows(words[logged])
        exact = exact and all(map(_is_exact, columns))
        given = (value for own in lane_labels for value in own.values() if isinstance(value, float))
        exact = exact and all(map(math.isfinite, given))
        metrics = dict(zip(logged.tolist(), rows_logged, strict=True))
        arrays = dict(zip(logged.tolist(), self._array_rows(words[logged]), strict=True))
        sampled = set(np.flatnonzero(due & SAMPLES_DUE).tolist())

        records: list[list[Event]] = []
        for number, arrival in enumerate(arrivals):
            timestamp = arrival.timestamp
            start = number * num_lanes
            rows = range(start, start + num_lanes)
            found = identities[number] if identities else ()
            # Lanes with a step counter of their own can be at different steps.
            at_step: dict[int, list[Lane]] = {}
            for row in rows:
                if row in metrics:
                    index = row - start
                    lane = Lane(
                        index, labels[row], metrics[row], positions[index], arrays=arrays[row]
                    )
                    if found and (identity := found[index]) is not None:
                        lane = numbered(lane, identity)
                    at_step.setdefault(steps[row], []).append(lane)
            of_steps = (
                MetricsEvent(
                    self.schema.name,
                    step,
                    self._env_step(step),
                    timestamp,
                    tuple(at_step[step]),
                    self._keys,
                    self._values_over_lanes(at_step[step]),
                    num_known,
                    finite,
                    exact,
                    self.total_updates,
                )
                for step in sorted(at_step)
            )
            events: list[Event] = [
                arrival.timed(event, place, stopwatch) for place, event in enumerate(of_steps)
            ]
            for row in rows if sampled else ():
                if row in sampled:
                    index = row - start
                    lane = Lane(index, labels[row], NOTHING, positions[index])
                    if found and (identity := found[index]) is not None:
                        lane = numbered(lane, identity)
                    words_of_lane = words[row : row + 1]
                    events += self._episodes(words_of_lane, steps[row], timestamp, lane, num_known)
            records.append(events)
        return records

    def _identities(
        self,
        arrivals: Sequence[Arrival],
        lanes: tuple[int, ...],
        table: LaneTable,
        steps: np.ndarray,
        due: np.ndarray,
        words: np.ndarray,
        labels: Sequence[Mapping[str, Any]],
    ) -> list[tuple[LaneIdentity | None, ...]]:
        """The identities of the lanes of each delivery."""
        of_labels = np.concatenate(
            [
                words[:, start : start + field.num_words]
                for field, start in (self.schema.offsets[path] for path in self._label_paths)
            ],
            axis=1,
        )
        shape = len(arrivals), -1
        if steps.dtype == np.uint64:
            steps = np.minimum(steps, np.uint64(np.iinfo(np.int64).max))
        at = steps.astype(np.int64).reshape(shape)
        is_due = due.reshape(shape) != 0
        first = np.where(is_due, at, np.iinfo(np.int64).max).min(axis=1).tolist()
        return table.of_records(
            self.schema.name,
            self.schema.call_number,
            lanes,
            [arrival.lane_identities for arrival in arrivals],
            at,
            is_due,
            of_labels.reshape(*shape, of_labels.shape[1]),
            labels,
            in_order(first),
        )

    def _values_over_lanes(self, lanes: Sequence[Lane]) -> Mapping[str, Mapping[str, float]]:
        found = over_lanes(self._over_lanes, lanes, self._keys)
        return (
            ReadOnlyDict({key: ReadOnlyDict(v) for key, v in found.items()}) if found else NOTHING
        )

    def _env_step(self, step: int) -> int | None:
        return env_step(step, self._env_steps_per_update)

    def _metric_rows(self, words: np.ndarray) -> tuple[list[ReadOnlyDict], bool, bool]:
        """The values of some records by key; whether all are finite, and whether all are exact."""
        read = functools.cache(lambda *path: self.schema.read(words, *path))
        columns = self._columns
        keys = [column.key for column in columns]
        rows = _rows(keys, [read(*column.path) for column in columns], len(words))
        edges = dict(self.schema.edges)
        finite = exact = True
        for column in columns:
            values = read(*column.path)
            if column.info.statistic == "histogram":
                for row in rows:
                    below, *counts, above = row[column.key].tolist()
                    bounds = edges[column.path[1]]
                    _set(row, column.key, Histogram(bounds, tuple(counts), below, above))
            elif not _is_exact(values):
                exact = False
                sound = np.isfinite(values)
                if column.presence is not None:
                    sound |= read(*column.presence) == 0
                finite = finite and bool(sound.all())
        for column in columns:
            if column.presence is None:
                continue
            # Without an episode there is no value; a zero would be wrong.
            absent = read(*column.presence) == 0
            # If there were values and none was finite, the value is NaN.
            nonfinite = ("aggregates", column.path[1], "nonfinite")
            if nonfinite in self.schema.offsets and column.info.kind != "histogram":
                diverged = absent & (read(*nonfinite) > 0)
                absent &= ~diverged
                if column.info.kind != "count" and diverged.any():  # a count of 0 is right
                    finite = exact = False
                    for row in np.flatnonzero(diverged).tolist():
                        _set(rows[row], column.key, type(rows[row][column.key])(np.nan))
            for row in np.flatnonzero(absent).tolist():
                _delete(rows[row], column.key)
        return rows, finite, exact

    def _array_rows(self, words: np.ndarray) -> list[ReadOnlyDict]:
        """The arrays of some records that were logged whole, by name."""
        fields = self.schema.section("arrays")
        if not fields:
            return [NOTHING] * len(words)
        columns = {field.path[1]: self.schema.read(words, *field.path) for field in fields}
        for column in columns.values():
            column.flags.writeable = False
        return [
            ReadOnlyDict({name: column[i, ...] for name, column in columns.items()})
            for i in range(len(words))
        ]

    def _episodes(
        self, words: np.ndarray, step: int, timestamp: float, lane: Lane, num_lanes: int
    ) -> Iterator[EpisodeEvent]:
        schema = self.schema
        (valid,) = schema.read(words, "samples", "valid")
        (indices,) = schema.read(words, "samples", "index")
        summary = {
            look_up(field.path[2]).episode_key: schema.read(words, *field.path)[0]
            for field in schema.section("samples", "summary")
        }
        details = {
            field.path[2]: schema.read(words, *field.path)[0]
            for field in schema.section("samples", "details")
        }
        for values in details.values():
            values.flags.writeable = False
        for i in [i for i in np.argsort(indices, kind="stable").tolist() if valid[i]]:
            batch_index = [int(k) for k in np.unravel_index(indices[i], schema.batch_shape)]
            episode: dict[str, Any] = {"environment_id": batch_index[-1]}
            if len(batch_index) > 1:
                episode["batch_index"] = batch_index
            episode |= {key: values[i] for key, values in summary.items()}
            # A detail with one number per episode, such as its task, belongs to the summary.
            episode |= {key: values[i] for key, values in details.items() if values.ndim == 1}
            yield EpisodeEvent(
                schema.name,
                step,
                self._env_step(step),
                timestamp,
                lane.index,
                lane.labels,
                ReadOnlyDict(episode),
                ReadOnlyDict(
                    {key: values[i] for key, values in details.items() if values.ndim > 1}
                ),
                lane.position,
                self._tree({key: values[i] for key, values in details.items()}),
                num_lanes=num_lanes,
                lane_alone=lane.alone,
                lane_first_labels=lane.first_labels,
            )

    def _tree(self, leaves: Mapping[str, Any]) -> Any:
        """The details as the pytree that the program gave; None if it cannot be built."""
        if self._rebuild is None or not leaves:
            return None
        try:
            return self._rebuild(leaves)
        except Exception:  # a node of the user's that takes no NumPy arrays
            return None


def env_step(step: int, per_update: int | None) -> int | None:
    """The environment steps at the end of an update; None if files cannot hold the number."""
    taken = None if per_update is None else (step + 1) * per_update
    return taken if taken is not None and taken < 2**63 else None


def _is_exact(values: np.ndarray) -> bool:
    """True if all numbers are finite, and equal to their shortest texts."""
    return values.dtype.kind not in "fV" or bool((np.abs(values) < LARGE).all())  # nor is NaN


def _rows(keys: Sequence[str], columns: Sequence[np.ndarray], num_rows: int) -> list[ReadOnlyDict]:
    """A mapping for each row of some columns."""
    if not keys:
        return [NOTHING] * num_rows
    return [ReadOnlyDict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def _with_count(columns: Sequence[Column], key: str | None) -> Iterator[Column]:
    """The columns, with another key for the number of counted entries; None leaves it out."""
    for column in columns:
        if column.path != ("count",) or key == EPISODE_COUNT:
            yield column
        elif key is not None:
            yield replace(column, info=Key("other", key, "", counts=True))
