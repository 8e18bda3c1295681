"""A record: what one call logs at one step, computed where it is due, and packed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxlog.crossing import packing
from jaxlog.graph.sampling import sample_indices, sample_indices_where
from jaxlog.graph.statistics import STATISTICS, Moments
from jaxlog.names import look_up
from jaxlog.schema import METRICS_DUE, SAMPLES_DUE, Field, Path, Schema
from jaxlog.settings import LoggingConfig


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Record:
    """What `batch_step` logged. Unused, it costs nothing; with logging off it has no leaves.

    Attributes:
      due: `uint32[]`, bits that say what is filled in; 0 where nothing was due.
      words: `uint32[num_words]`, the fields of `schema`, bit for bit.
      schema: how to read `words`.
    """

    due: jax.Array | None = None
    words: jax.Array | None = None
    schema: Schema | None = field(default=None, metadata={"static": True})


@dataclass(frozen=True)
class Plan:
    """What of a call is known before the program runs; equal plans trace to equal records.

    Attributes:
      settings: of the logger.
      total_steps: of the logger.
      name: the call site's.
      batch_shape: None where the call has scalars only.
      kept: the metrics that `include` and `exclude` leave, in the order they are written.
    """

    settings: LoggingConfig
    total_steps: int | None
    name: str
    batch_shape: tuple[int, ...] | None
    kept: tuple[str, ...]

    @property
    def num_samples(self) -> int:
        """How many episodes a record has room for."""
        if not self.settings.sampling_enabled or self.batch_shape is None:
            return 0
        return min(self.settings.num_samples, math.prod(self.batch_shape))

    def logs(self, metric: str) -> bool:
        """Whether a kept metric is on the lines of this call; the switches speak of lines only."""
        switch = look_up(metric).setting
        return switch is None or getattr(self.settings, switch)


Leaf = TypeVar("Leaf")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Inputs(Generic[Leaf]):
    """What a call is given, as `batch_step` says; the details by their paths."""

    step: Leaf
    when: Leaf
    metrics: Mapping[str, Leaf]
    where: Leaf | None
    details: Mapping[str, Leaf]
    labels: Mapping[str, Leaf]


# Inlined, it leaves no mark in a program; outside of one, it is what is compiled once.
@functools.partial(jax.jit, static_argnums=0, inline=True)
def record(plan: Plan, given: Inputs[ArrayLike]) -> Record:
    """The record of one call: all of it behind the gate, so that a step not due costs a branch."""
    # Gradients are those of the program without the call.
    arrays = jax.tree.map(lambda leaf: lax.stop_gradient(jnp.asarray(leaf)), given)
    inputs = cast("Inputs[jax.Array]", arrays)
    step = inputs.step.astype(np.int32)
    due = functools.partial(_due, plan, step, inputs.when)
    metrics_due = due(plan.settings.log_frequency)
    samples_due = due(plan.settings.sample_frequency) if plan.num_samples else np.bool_(False)

    head = _head(plan, step, inputs)
    head_fields = _fields(lambda: head)
    metrics_fields, metrics = _metrics(plan, inputs)
    samples_fields, samples = _samples(plan, step, inputs)
    schema = Schema(
        plan.name, (*head_fields, *metrics_fields, *samples_fields), plan.batch_shape or ()
    )
    _refuse_repeated_keys(schema)

    # Numbers that the program has already are joined outside the gate: as operands of the branch,
    # XLA would put each into a buffer of its own, which costs more than joining all of them.
    words = head_words = packing.pack(head_fields, head)
    if metrics_fields:
        words = lax.cond(
            metrics_due | samples_due,
            lambda: jnp.concatenate(
                [
                    head_words,
                    _if(metrics_due, metrics_fields, metrics),
                    *([_if(samples_due, samples_fields, samples)] if samples_fields else []),
                ]
            ),
            lambda: jnp.zeros(schema.num_words, np.uint32),
        )
    bits = metrics_due.astype(np.uint32) * np.uint32(METRICS_DUE)
    bits |= samples_due.astype(np.uint32) * np.uint32(SAMPLES_DUE)
    return Record(bits, words, schema)


def _due(plan: Plan, step: jax.Array, when: jax.Array, frequency: int) -> jax.Array:
    due = lax.rem(step, np.int32(frequency)) == 0
    if plan.total_steps is not None:
        due |= step == plan.total_steps - 1
    return due & when


Values = Callable[[], Mapping[Path, jax.Array]]


def _if(due: jax.Array | np.bool_, fields: list[Field], values: Values) -> jax.Array:
    """The words of some fields where they are due, and as many zeros where not."""
    num_words = sum(field.num_words for field in fields)
    return lax.cond(
        due,
        lambda: packing.pack(fields, values()),
        lambda: jnp.zeros(num_words, np.uint32),
    )


def _head(plan: Plan, step: jax.Array, inputs: Inputs[jax.Array]) -> dict[Path, jax.Array]:
    """What a record has that needs no computing."""
    head: dict[Path, jax.Array] = {("step",): step}
    for key, value in inputs.labels.items():
        head["labels", key] = value
    for key in plan.kept:
        value = inputs.metrics[key]
        if plan.logs(key) and not np.ndim(value):
            halves = jnp.issubdtype(value.dtype, np.floating) and value.dtype.itemsize < 4
            head["scalars", key] = value.astype(np.float32) if halves else value
    return head


def _metrics(plan: Plan, inputs: Inputs[jax.Array]) -> tuple[list[Field], Values]:
    """The fields of the batch's aggregates, and the function that computes them."""
    if plan.batch_shape is None:
        return [], dict
    everything = math.prod(plan.batch_shape)
    arrays = {
        key: inputs.metrics[key]
        for key in plan.kept
        if plan.logs(key) and np.ndim(inputs.metrics[key])
    }

    def values() -> Mapping[Path, jax.Array]:
        found: dict[Path, jax.Array] = {}
        where = inputs.where
        found["count",] = jnp.int32(everything) if where is None else jnp.sum(where, dtype=np.int32)
        moments = {key: Moments.of(array, where) for key, array in arrays.items()}
        # Values of one dtype stand together, and are then packed together.
        for key in arrays:
            found["aggregates", key, "count"] = moments[key].count
        for key in arrays:
            for statistic, value in _told(plan, key, arrays[key].dtype, moments[key]).items():
                found["aggregates", key, statistic] = value
        for key in arrays:
            if jnp.issubdtype(arrays[key].dtype, np.floating):
                found["aggregates", key, "nonfinite"] = moments[key].nonfinite
        return found

    return _fields(values), values


def _told(plan: Plan, key: str, dtype: np.dtype, moments: Moments) -> dict[str, jax.Array]:
    """What is told of one metric."""
    if look_up(key).rate or dtype == np.bool_:
        return {"rate": moments.mean}
    return {name: STATISTICS[name](moments) for name in plan.settings.statistics}


def _samples(plan: Plan, step: jax.Array, inputs: Inputs[jax.Array]) -> tuple[list[Field], Values]:
    """The fields of sampled episodes, and the function that picks and gathers them."""
    if not plan.num_samples or plan.batch_shape is None:
        return [], dict
    batch_shape, seed = plan.batch_shape, np.uint32(plan.settings.sample_seed)

    def values() -> Mapping[Path, jax.Array]:
        if inputs.where is None:
            indices = sample_indices(step, math.prod(batch_shape), plan.num_samples, seed)
            count = jnp.int32(plan.num_samples)
        else:
            indices, valid = sample_indices_where(step, inputs.where, plan.num_samples, seed)
            count = jnp.sum(valid, dtype=np.int32)

        def pick(array: jax.Array) -> jax.Array:
            return array.reshape(-1, *array.shape[len(batch_shape) :])[indices]

        found: dict[Path, jax.Array] = {
            ("samples", "count"): count,
            ("samples", "index"): indices,
        }
        for key in plan.kept:
            if np.ndim(inputs.metrics[key]):
                found["samples", "summary", key] = pick(inputs.metrics[key])
        for key, array in inputs.details.items():
            found["samples", "details", key] = pick(array)
        return found

    return _fields(values), values


def _fields(values: Values) -> list[Field]:
    paths: list[Path] = []

    def arrays() -> list[jax.Array]:
        found = values()
        paths.extend(found)  # a dict that eval_shape returns would come back sorted
        return list(found.values())

    avals = jax.eval_shape(arrays)
    return [packing.field(path, aval) for path, aval in zip(paths, avals, strict=True)]


def _refuse_repeated_keys(schema: Schema) -> None:
    lines = [column.key for column in schema.columns]
    episodes = ["environment_id", "batch_index"]
    episodes += [look_up(f.path[2]).episode_key for f in schema.section("samples", "summary")]
    episodes += [f.path[2] for f in schema.section("samples", "details")]
    for keys in (lines, episodes):
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(
                    f"two values would be written as {key!r}; give one of them another name"
                )
