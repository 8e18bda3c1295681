"""From words to events: for many records at a time, in NumPy."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxlog.host.events import EpisodeEvent, Key, Lane, MetricsEvent
from jaxlog.names import look_up
from jaxlog.schema import METRICS_DUE, SAMPLES_DUE, Delivery, Schema

Event = MetricsEvent | EpisodeEvent


class Decoder:
    """Reads the records of one call site.

    Args:
      schema: the layout of its records.
      env_steps_per_update: for `env_step`; None leaves it out.
    """

    def __init__(self, schema: Schema, env_steps_per_update: int | None) -> None:
        self._schema = schema
        self._env_steps_per_update = env_steps_per_update
        self._labels = [field.path[1] for field in schema.section("labels")]
        self._keys = {
            column.key: Key(column.category, column.stem, column.statistic)
            for column in schema.columns
        }

    def events(self, deliveries: Sequence[tuple[float, Delivery]]) -> Iterator[Event]:
        """The events of some deliveries, in their order.

        Args:
          deliveries: of this call site, each with the time it arrived.
        """
        due = np.concatenate([delivery.due for _, delivery in deliveries])
        words = np.concatenate([delivery.words for _, delivery in deliveries])
        steps = self._schema.read(words, "step").tolist()
        columns = [self._schema.read(words, "labels", key) for key in self._labels]
        labels = _rows(self._labels, columns, len(words))
        wanted = np.flatnonzero(due & METRICS_DUE)
        metrics: list[Any] = [None] * len(due)
        for row, values in zip(wanted.tolist(), self._metric_rows(words[wanted]), strict=True):
            metrics[row] = values
        sampled = (due & SAMPLES_DUE).tolist()

        start = 0
        for timestamp, delivery in deliveries:
            rows = range(start, start + len(delivery.due))
            start = rows.stop
            # Lanes with a step counter of their own can be at different steps.
            logged = sorted((steps[r], r) for r in rows if metrics[r] is not None)
            for step, group in itertools.groupby(logged, key=lambda pair: pair[0]):
                lanes = tuple(Lane(r - rows.start, labels[r], metrics[r]) for _, r in group)
                yield MetricsEvent(
                    self._schema.name,
                    step,
                    self._env_step(step),
                    timestamp,
                    lanes,
                    self._keys,
                )
            for r in rows:
                if sampled[r]:
                    yield from self._episodes(
                        words[r : r + 1], steps[r], timestamp, r - rows.start, labels[r]
                    )

    def _env_step(self, step: int) -> int | None:
        per_update = self._env_steps_per_update
        return None if per_update is None else (step + 1) * per_update

    def _metric_rows(self, words: np.ndarray) -> list[dict[str, Any]]:
        read = functools.cache(lambda *path: self._schema.read(words, *path))
        columns = self._schema.columns
        keys = [column.key for column in columns]
        rows = _rows(keys, [read(*column.path) for column in columns], len(words))
        # No episode, no value: never a zero in its place.
        for column in columns:
            if column.presence is not None:
                for row in np.flatnonzero(read(*column.presence) == 0).tolist():
                    del rows[row][column.key]
        return rows

    def _episodes(
        self, words: np.ndarray, step: int, timestamp: float, lane: int, labels: Any
    ) -> Iterator[EpisodeEvent]:
        schema = self._schema
        (count,) = schema.read(words, "samples", "count").tolist()
        (indices,) = schema.read(words, "samples", "index")
        summary = {
            look_up(field.path[2]).episode_key: schema.read(words, *field.path)[0]
            for field in schema.section("samples", "summary")
        }
        details = {
            field.path[2]: schema.read(words, *field.path)[0]
            for field in schema.section("samples", "details")
        }
        for i in range(count):
            batch_index = [int(k) for k in np.unravel_index(indices[i], schema.batch_shape)]
            episode: dict[str, Any] = {"environment_id": batch_index[-1]}
            if len(batch_index) > 1:
                episode["batch_index"] = batch_index
            episode |= {key: values[i] for key, values in summary.items()}
            # A detail that is one number of the episode (its task, say) belongs to the summary.
            episode |= {key: values[i] for key, values in details.items() if values.ndim == 1}
            yield EpisodeEvent(
                schema.name,
                step,
                self._env_step(step),
                timestamp,
                lane,
                labels,
                episode,
                {key: values[i] for key, values in details.items() if values.ndim > 1},
            )


def _rows(
    keys: Sequence[str], columns: Sequence[np.ndarray], num_rows: int
) -> list[dict[str, Any]]:
    """A dict for each row of some columns."""
    if not keys:
        return [{} for _ in range(num_rows)]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
