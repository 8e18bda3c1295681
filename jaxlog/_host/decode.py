"""Decodes packed records into events: many records at a time, in NumPy."""

from __future__ import annotations

import functools
import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxlog._format.across_lanes import over_lanes
from jaxlog._format.columns import Columns, Place, Together
from jaxlog._format.delivery import Words
from jaxlog._format.events import (
    NOTHING,
    EpisodeEvent,
    Event,
    Key,
    Labels,
    Lane,
    MetricsEvent,
    ReadOnlyDict,
)
from jaxlog._format.media import Image, outside_text
from jaxlog._format.names import EPISODE_COUNT, look_up
from jaxlog._format.numbers import LARGE
from jaxlog._format.recording import EpisodeSchema
from jaxlog._format.schema import METRICS_DUE, SAMPLES_DUE, Column, Schema
from jaxlog._format.timing import Stopwatch
from jaxlog._host.arrival import Arrival
from jaxlog._host.lane_identity import Identities, LaneTable, numbered
from jaxlog._host.lane_labels import LaneLabels, RecordLabels
from jaxlog._host.left_out import LeftOut
from jaxlog._host.passes import in_order
from jaxlog._host.recorded import recorded_episodes

MANY = 64
"""From this number of lanes on, the rows of an event are made by themselves."""


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
        edges = dict(schema.edges)
        self._edges = ReadOnlyDict(
            {
                column.key: edges[column.path[1]]
                for column in self._columns
                if column.info.statistic == "histogram"
            }
        )
        self._of_lanes: LaneLabels | None = None
        self._captions = dict(schema.images)
        self._left_out = LeftOut()
        self._has_recordings = isinstance(schema, EpisodeSchema)

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
        due = _joined([delivery.due for delivery in deliveries])
        words = Words.joined([delivery.words for delivery in deliveries])
        words.freeze()  # so that no sink changes an array of an event
        at = self.schema.read(words, "step")
        own_labels = {key: self.schema.read(words, "labels", key) for key in self._labels}
        of_lanes = self._lane_labels(lane_labels)
        labels = RecordLabels(lane_labels, own_labels)
        identities: Sequence[Identities] = ()
        if self._labels and table is not None:
            identities = self._identities(arrivals, lanes, table, at, due, words, labels)
            num_known = table.num_lanes(lanes)
        else:
            num_known = num_lanes
        logged = np.flatnonzero(due & METRICS_DUE)
        own = words if len(logged) == len(words) else words[logged]
        values, present, finite, exact = self._values(own)
        places = logged % num_lanes
        merged = of_lanes.merged(own_labels, logged, places)
        exact = exact and of_lanes.finite and all(map(_is_exact, merged.values()))
        numbers = places
        known: Mapping[str, Any] = {}
        if identities:
            numbers = _of_lanes([one.numbers for one in identities], logged)
            known = {
                "series": _of_lanes([one.series for one in identities], logged),
                "alone": _of_lanes([one.alone for one in identities], logged),
                "first_labels": _first_labels(identities, num_lanes, logged),
            }
        columns = Columns(
            numbers,
            merged,
            values,
            present,
            self._edges,
            self._arrays(own),
            _positions(lanes)[places] if len(lanes) > 1 else None,
            media=self._images(own) if self._captions else NOTHING,
            **known,
        )
        together = Together(columns) if num_lanes < MANY else None
        steps = at if len(logged) == len(at) else at[logged]
        ends = np.searchsorted(logged, np.arange(len(arrivals) + 1) * num_lanes).tolist()
        sampled = np.flatnonzero(due & SAMPLES_DUE).tolist()
        own_order = of_lanes.has_orders

        records: list[list[Event]] = []
        for number, (arrival, at_steps) in enumerate(
            zip(arrivals, _by_step(steps, columns.lanes, ends), strict=True)
        ):
            events: list[Event] = []
            for place, (step, lane, rows) in enumerate(at_steps):
                over = NOTHING
                if self._over_lanes:
                    over = self._values_over_lanes(columns.part(rows))
                event = MetricsEvent.of_columns(
                    columns,
                    rows,
                    together,
                    name=self.schema.name,
                    step=step,
                    env_step=self._env_step(step),
                    timestamp=arrival.timestamp,
                    keys=self._keys,
                    over_lanes=over,
                    num_lanes=num_known,
                    finite=finite,
                    exact=exact,
                    total_updates=self.total_updates,
                    timing=None,
                )
                if own_order:
                    event = replace(event, lanes=of_lanes.ordered(event.lanes, places[rows]))
                events.append(arrival.timed(event, place, lane, stopwatch))
            for row in sampled[bisect_left(sampled, number * num_lanes) :] if sampled else ():
                index = row - number * num_lanes
                if index >= num_lanes:
                    break
                position = tuple(_positions(lanes)[index].tolist()) if len(lanes) > 1 else ()
                lane = Lane(index, labels[row], NOTHING, position)
                if identities and (identity := identities[number][index]) is not None:
                    lane = numbered(lane, identity)
                found = self._recorded if self._has_recordings else self._episodes
                events += found(
                    words[row : row + 1], int(at[row]), arrival.timestamp, lane, num_known
                )
            records.append(events)
        return records

    def _lane_labels(self, given: Sequence[Labels]) -> LaneLabels:
        """The labels of `open(lanes=)` as columns, which are the same for all records of a run."""
        if self._of_lanes is None or self._of_lanes.given is not given:
            self._of_lanes = LaneLabels(given, self._labels)
        return self._of_lanes

    def _identities(
        self,
        arrivals: Sequence[Arrival],
        lanes: tuple[int, ...],
        table: LaneTable,
        steps: np.ndarray,
        due: np.ndarray,
        words: Words,
        labels: RecordLabels,
    ) -> list[Identities]:
        """The identities of the lanes of each delivery."""
        of_labels = np.concatenate(
            [self.schema.words_of(words, *path) for path in self._label_paths], axis=1
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

    def _values_over_lanes(self, columns: Columns) -> Mapping[str, Mapping[str, float]]:
        found = over_lanes(self._over_lanes, columns, self._keys)
        return (
            ReadOnlyDict({key: ReadOnlyDict(v) for key, v in found.items()}) if found else NOTHING
        )

    def _env_step(self, step: int) -> int | None:
        return env_step(step, self._env_steps_per_update)

    def _values(self, words: Words) -> tuple[ReadOnlyDict, ReadOnlyDict, bool, bool]:
        """The values of some records by key, as in `Columns`, and which records have them.

        Also whether all of them are finite, and whether all are exact.
        """
        read = functools.cache(lambda *path: self.schema.read(words, *path))
        found: dict[str, np.ndarray] = {}
        present: dict[str, np.ndarray] = {}
        finite = exact = True
        for column in self._columns:
            values = np.ascontiguousarray(read(*column.path))
            is_histogram = column.info.statistic == "histogram"
            # Without an episode there is no value; a zero would be wrong.
            absent = None if column.presence is None else read(*column.presence) == 0
            if not (is_histogram or _is_exact(values)):
                exact = False
                sound = np.isfinite(values)
                if absent is not None:
                    sound |= absent
                finite = finite and bool(sound.all())
            if absent is not None and absent.any():
                # If there were values and none was finite, the value is NaN.
                nonfinite = ("aggregates", column.path[1], "nonfinite")
                if nonfinite in self.schema.offsets and not is_histogram:
                    diverged = absent & (read(*nonfinite) > 0)
                    absent = absent & ~diverged
                    if column.info.kind != "count" and diverged.any():  # a count of 0 is right
                        finite = exact = False
                        values = values.copy()
                        values[diverged] = np.nan
                if absent.any():
                    present[column.key] = ~absent
            found[column.key] = values
        return ReadOnlyDict(found), ReadOnlyDict(present), finite, exact

    def _arrays(self, words: Words) -> ReadOnlyDict:
        """The arrays of some records that were logged whole, by name."""
        names = [field.path[1] for field in self.schema.section("arrays")]
        whole = [name for name in names if name not in self._captions]
        return ReadOnlyDict({name: self.schema.read(words, "arrays", name) for name in whole})

    def _images(self, words: Words) -> ReadOnlyDict:
        """The images of some records by name; None for one with numbers that are no colours."""
        found: dict[str, np.ndarray] = {}
        for name, caption in self._captions.items():
            pixels = self.schema.read(words, "arrays", name)
            pixels = pixels if pixels.ndim == 4 else pixels[..., None]
            pixels.flags.writeable = False
            found[name] = np.empty(len(pixels), object)
            for row, outside in enumerate(self.schema.read(words, "outside", name).tolist()):
                if not outside:
                    found[name][row] = Image(pixels[row], caption)
                else:
                    text = outside_text(outside, pixels[row].size)
                    self._left_out.add(f"{self.schema.name}/{name}", text)
        return ReadOnlyDict(found)

    def _episodes(
        self, words: Words, step: int, timestamp: float, lane: Lane, num_lanes: int
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

    def _recorded(
        self, words: Words, step: int, timestamp: float, lane: Lane, num_lanes: int
    ) -> Iterator[EpisodeEvent]:
        assert isinstance(self.schema, EpisodeSchema)
        for episode, recording in recorded_episodes(self.schema, words, self._tree):
            yield EpisodeEvent(
                self.schema.name,
                step,
                self._env_step(step),
                timestamp,
                lane.index,
                lane.labels,
                episode,
                NOTHING,
                lane.position,
                num_lanes=num_lanes,
                lane_alone=lane.alone,
                lane_first_labels=lane.first_labels,
                recording=recording,
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


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _is_exact(values: np.ndarray) -> bool:
    """True if all numbers are finite, and equal to their shortest texts."""
    if values.dtype.kind not in "fV":
        return True
    if values.dtype.itemsize < 4:  # halves and quarters are written as they are
        return bool(np.isfinite(values).all())
    return bool((np.abs(values) < LARGE).all())  # nor is NaN


def _by_step(
    steps: np.ndarray, lanes: np.ndarray, ends: Sequence[int]
) -> Iterator[Sequence[tuple[int, int, Place]]]:
    """For each delivery its steps in their order, each with its first lane and its rows.

    Args:
      steps: the step of each row that logged.
      lanes: the number of its lane.
      ends: the first row of each delivery, and the end of the last.
    """
    if not len(steps):
        yield from [()] * (len(ends) - 1)
        return
    changes = np.flatnonzero(steps[1:] != steps[:-1]) + 1
    mixed = changes[~np.isin(changes, ends)] if len(changes) else changes
    # Lanes with a step counter of their own can be at different steps.
    several = {end - 1 for end in np.searchsorted(ends, mixed).tolist()}
    first = np.minimum(ends[:-1], len(steps) - 1)
    begins = zip(steps[first].tolist(), lanes[first].tolist(), strict=True)
    for number, ((begin, end), (step, lane)) in enumerate(
        zip(itertools.pairwise(ends), begins, strict=True)
    ):
        if number in several:
            own = steps[begin:end]
            rows = [(one, begin + np.flatnonzero(own == one)) for one in np.unique(own).tolist()]
            yield [(one, int(lanes[at[0]]), at) for one, at in rows]
        else:
            yield ((step, lane, slice(begin, end)),) if begin < end else ()


def _of_lanes(found: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """The entries of some rows in arrays with one entry for each lane of each delivery."""
    first = found[0]
    if all(one is first for one in found):
        every = first if len(found) == 1 else np.tile(first, len(found))
    else:
        every = np.concatenate(found)
    return every if len(every) == len(rows) else every[rows]


def _first_labels(
    identities: Sequence[Identities], num_lanes: int, rows: np.ndarray
) -> np.ndarray | None:
    found = [one.first_labels for one in identities]
    if all(one is None for one in found):
        return None
    nothing = np.full(num_lanes, None, object)
    return _of_lanes([nothing if one is None else one for one in found], rows)


@functools.lru_cache(maxsize=16)
def _positions(lanes: tuple[int, ...]) -> np.ndarray:
    """`int64[lanes, axes]`, the index of each lane along each lane axis."""
    return np.stack(np.unravel_index(np.arange(math.prod(lanes)), lanes), axis=1)


def _with_count(columns: Sequence[Column], key: str | None) -> Iterator[Column]:
    """The columns, with another key for the number of counted entries; None leaves it out."""
    for column in columns:
        if column.path != ("count",) or key == EPISODE_COUNT:
            yield column
        elif key is not None:
            yield replace(column, info=Key("other", key, "", counts=True))
