"""Computes the record of one call at one step, if it is due, and packs it into words."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxlog._crossing import packing
from jaxlog._crossing.packing import Paths, Values, Words
from jaxlog._crossing.primitive import lane, side_by_side
from jaxlog._format.names import look_up
from jaxlog._format.schedule import is_due
from jaxlog._format.schema import METRICS_DUE, SAMPLES_DUE, Field, Schema
from jaxlog._program import devices
from jaxlog._program.images import image_bytes
from jaxlog._program.parts import Origin
from jaxlog._program.sampling import sample_indices, sample_indices_where
from jaxlog._program.shapes import Bool, Int32, Integer, Shaped, UInt32
from jaxlog._program.summary import Kind, MetricStatistics
from jaxlog._program.window import Window


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Record:
    """The result of `batch_step` with `delivery: return`: a pytree to return from the program.

    It has no leaves if logging is off. `scan` and `vmap` add axes in front of those below.

    Attributes:
      due: `uint32[]`, bits that mark the parts of the record that were due; 0 for none.
      words: `uint32[num_words]`, the fields of `schema`, bit-cast.
      lane: `uint32[k]`, the position of the record's lane; only with `delivery: return`.
      schema: the layout of `words`.
    """

    due: jax.Array | None = None
    words: jax.Array | None = None
    lane: jax.Array | None = None
    schema: Schema | None = field(default=None, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Packed:
    """A record as it is sent.

    Attributes:
      due: `uint32[]`, bits that mark the parts of the record that are due; 0 for none.
      head: `uint32[head_words]`, the fields of the schema's head, bit-cast.
      rest: `uint32[n]`, the rest of the fields of `schema`, bit-cast.
      schema: the layout of the words.
    """

    due: jax.Array
    head: jax.Array
    rest: jax.Array
    schema: Schema = field(metadata={"static": True})

    def returned(self) -> Record:
        """Returns the record to return from the program."""
        words = jnp.concatenate([self.head, self.rest])
        return Record(self.due, words, lane(self.due, words), self.schema)


@dataclass(frozen=True)
class Plan:
    """The static facts about a call; equal plans trace to equal records.

    Attributes:
      name: the name of the call.
      batch_shape: the shape of this device's share of the batch; None if there are only scalars.
      log_frequency: statistics and scalars are due at multiples of this step.
      sample_frequency: episodes are sampled at multiples of this step.
      last_step: the last step, where both are due; None if it is not known.
      num_samples: how many episodes to sample at most; 0 for none.
      sample_seed: the seed of the sampling.
      logged: the metrics in the order of a line, each with the statistics computed for it.
      sampled: the metrics that are part of a sampled episode, in order, each with its origin.
      labels: the names of the labels, in order.
      axis_names: the named axes that divide the batch.
      returned: whether the program returns the record.
      rest: whether the record is the rest of a window, without an update of its own.
      arrays: the names of the arrays that are logged whole, in order.
      images: the names of those that are images, with their captions.
    """

    name: str
    batch_shape: tuple[int, ...] | None
    log_frequency: int
    sample_frequency: int
    last_step: int | None
    num_samples: int
    sample_seed: int
    logged: tuple[tuple[str, MetricStatistics], ...]
    sampled: tuple[tuple[str, Origin], ...]
    labels: tuple[str, ...]
    axis_names: tuple[str, ...]
    returned: bool
    rest: bool = False
    arrays: tuple[str, ...] = ()
    images: tuple[tuple[str, str | None], ...] = ()

    def origins(self, *kinds: Kind) -> set[str]:
        """The names of the arrays that the metrics of some kinds come from."""
        return {spec.origin.name for _, spec in self.logged if spec.kind in kinds}


Leaf = TypeVar("Leaf")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Inputs(Generic[Leaf]):
    """The arguments of a call, as `batch_step` documents them, with the details by path.

    `when` is None instead of True, which saves an operand. `metrics` also has the arrays that were
    passed as `values`.

    Attributes:
      values: which of `metrics` were passed as `values`.
      parts: the names of the parts, of each of `metrics` that has parts.
      images: the names of those of `arrays` that are images, with their captions.
    """

    step: Leaf
    when: Leaf | None
    metrics: Mapping[str, Leaf]
    where: Leaf | None
    details: Mapping[str, Leaf]
    labels: Mapping[str, Leaf]
    indices: Leaf | None = None
    arrays: Mapping[str, Leaf] = field(default_factory=dict)
    values: tuple[str, ...] = field(default=(), metadata={"static": True})
    parts: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), metadata={"static": True})
    images: tuple[tuple[str, str | None], ...] = field(default=(), metadata={"static": True})


# Outside of a program, jit compiles this function once. Inside a program it stays one call, which
# XLA inlines and which a transposition (`jax.linear_transpose`) skips, because no cotangent enters.
@functools.partial(jax.jit, static_argnums=0)
def record(
    plan: Plan, arguments: Inputs[ArrayLike], window: Window | None = None
) -> tuple[Packed | Record, Window | None]:
    """Computes the record of one call; everything costly is inside the `cond` of what is due.

    With a window, the update is merged into it, the record is computed from it, and where that is
    due, the returned window is empty.
    """
    # The gradients are those of the program without the call.
    arrays = jax.tree.map(lambda leaf: lax.stop_gradient(jnp.asarray(leaf)), arguments)
    inputs = cast("Inputs[jax.Array]", arrays)
    if plan.axis_names:
        # All shares take the same branch, because they wait for each other inside of it.
        shared = (inputs.step, inputs.when, inputs.labels)
        step, when, labels = devices.of_first(plan.axis_names, shared)
        inputs = dataclasses.replace(inputs, step=step, when=when, labels=labels)
    step = counted(inputs.step)
    due = functools.partial(due_at, plan.last_step, step, inputs.when)
    metrics_due = due(plan.log_frequency)
    samples_due = due(plan.sample_frequency) if plan.num_samples else np.bool_(False)
    if plan.rest:
        assert window is not None
        assert window.updates is not None
        metrics_due = devices.of_first(plan.axis_names, window.updates) > 0
    elif window is not None:
        window = window.merge(update_window(plan, inputs, with_scalars=True))

    batch_axes, batch_shape = _whole_batch(plan, inputs, window)
    head = _head(plan, step, inputs, with_scalars=not plan.axis_names and window is None)
    head_fields = packing.fields(head)
    metrics_fields, metrics = _metrics(plan, inputs, batch_axes, window)
    if plan.arrays:
        array_fields, arrays = _arrays(plan, inputs)
        metrics = _joined(metrics, arrays) if metrics_fields else arrays
        metrics_fields = [*metrics_fields, *array_fields]
    samples_fields, samples = _samples(plan, step, inputs, batch_axes, batch_shape)
    schema = Schema(
        plan.name,
        (*head_fields, *metrics_fields, *samples_fields),
        batch_shape,
        tuple((key, spec.edges) for key, spec in plan.logged if spec.edges),
        len(head_fields),
        plan.images,
    )
    _refuse_repeated_keys(schema)

    # If samples are only due together with metrics, the metrics need no second `cond`.
    if samples_fields and plan.sample_frequency % plan.log_frequency:
        metrics = _if(metrics_due, metrics_fields, metrics)
    samples = _if(samples_due, samples_fields, samples)
    # Numbers that the program already has are packed outside of the `cond`: XLA would copy each
    # operand of a branch into its own buffer, which costs more than packing all of them.
    head_words = packing.pack(head) if plan.returned else packing.pack(head, side_by_side)
    num_words = schema.num_words - schema.head_words
    rest = jnp.zeros(0, np.uint32)
    bits = metrics_due.astype(np.uint32) * np.uint32(METRICS_DUE)
    bits |= samples_due.astype(np.uint32) * np.uint32(SAMPLES_DUE)
    if metrics_fields:
        rest = lax.cond(
            bits != 0,
            lambda: jnp.concatenate([metrics(), samples()]),
            # A lane that is not due, beside others that are, still sends its step and labels.
            lambda: jnp.zeros(num_words, np.uint32),
        )
    made = Packed(bits, head_words, rest, schema)
    return (
        made.returned() if plan.returned else made,
        None if window is None else window.without_updates_where(metrics_due),
    )


def counted(step: Integer[Array, ""]) -> Integer[Array, ""]:
    """Converts a step to int32, or keeps a wider dtype, up to int64.

    Files and readers cannot hold more: a larger step becomes the largest int64, and the host warns.
    """
    if step.dtype == np.uint64:
        return lax.min(step, np.uint64(np.iinfo(np.int64).max)).astype(np.int64)
    wider = np.iinfo(step.dtype).max > np.iinfo(np.int32).max
    return step if wider else step.astype(np.int32)


def due_at(
    last_step: int | None,
    step: Integer[Array, ""],
    when: Bool[Array, ""] | None,
    frequency: int,
) -> Bool[Array, ""]:
    """Whether a step is due: at multiples of `frequency` and at the last step, and `when`."""
    due = is_due(step, lax.rem(step, np.array(frequency, step.dtype)), last_step)
    return due if when is None else due & when


def _whole_batch(
    plan: Plan, inputs: Inputs[jax.Array], window: Window | None
) -> tuple[devices.Axes, tuple[int, ...]]:
    """The axes that divide the batch, and the shape of the whole batch."""
    if plan.rest:
        return devices.varying(plan.axis_names, window), ()
    if plan.batch_shape is None:
        return (), ()
    in_parts = {name for name, _ in inputs.parts}
    arrays = [
        array
        for name, array in inputs.metrics.items()
        if name not in inputs.values and np.ndim(array) > (name in in_parts)
    ]
    axes = devices.varying(plan.axis_names, (arrays, inputs.where, inputs.details))
    *outer, num_envs = plan.batch_shape
    return axes, (*outer, num_envs * devices.size(axes))


def _if(due: jax.Array | np.bool_, fields: list[Field], words: Words) -> Words:
    """Computes the words of some fields if they are due, else as many zeros."""
    num_words = sum(field.num_words for field in fields)
    if not num_words:
        return words
    return lambda: lax.cond(due, words, lambda: jnp.zeros(num_words, np.uint32))


def _head(
    plan: Plan, step: jax.Array, inputs: Inputs[jax.Array], *, with_scalars: bool
) -> dict[Paths, ArrayLike]:
    """The fields of a record that need no computation: the step, the labels and the scalars."""
    head: dict[Paths, ArrayLike] = {("step",): step}
    for key in plan.labels:
        head["labels", key] = inputs.labels[key]
    return head | _scalars(plan, inputs) if with_scalars else head


def _scalars(plan: Plan, inputs: Inputs[jax.Array]) -> dict[Paths, ArrayLike]:
    scalars: dict[Paths, ArrayLike] = {}
    for key, spec in plan.logged:
        if spec.kind == "scalar":
            value = spec.origin.take(inputs.metrics[spec.origin.name])
            scalars["scalars", key] = _wide(devices.mean(plan.axis_names, value))
    return scalars


def _wide(value: Shaped[Array, ""]) -> Shaped[Array, ""]:
    """Converts floats narrower than 32 bits to float32, which readers know."""
    narrow = jnp.issubdtype(value.dtype, np.floating) and value.dtype.itemsize < 4
    return value.astype(np.float32) if narrow else value


def update_window(plan: Plan, inputs: Inputs[jax.Array], *, with_scalars: bool) -> Window:
    """The window of one update."""
    kinds: tuple[Kind, ...] = ("episode", "array")
    wanted = plan.origins(*kinds, "scalar") if with_scalars else plan.origins(*kinds)
    metrics = {name: array for name, array in inputs.metrics.items() if name in wanted}
    size = None if plan.batch_shape is None else math.prod(plan.batch_shape)
    return Window.of(plan.name, plan.logged, metrics, inputs.where, size)


def _metrics(
    plan: Plan, inputs: Inputs[jax.Array], axes: devices.Axes, window: Window | None
) -> tuple[list[Field], Words]:
    """The fields of the statistics, and the function that computes their words."""

    def values() -> Values:
        # Means over devices are a computation, too, so they belong inside the `cond`.
        found: dict[Paths, ArrayLike] = {}
        if plan.axis_names and window is None:
            found |= _scalars(plan, inputs)
        if window is None and plan.batch_shape is None and not plan.origins("array"):
            return found
        of_update = update_window(plan, inputs, with_scalars=False) if window is None else window
        whole = of_update.across(axes, plan.axis_names)
        if whole.count is not None:
            found["count",] = whole.count
        if window is not None:
            assert whole.updates is not None
            found["updates",] = whole.updates
            found |= {("scalars", key): _wide(value) for key, value in whole.last.items()}
        for (metrics, name), array in whole.values().items():
            found[tuple(("aggregates", metric, name) for metric in metrics)] = array
        return found

    return packing.packed(values)


def _arrays(plan: Plan, inputs: Inputs[jax.Array]) -> tuple[list[Field], Words]:
    """The fields of the arrays that are logged whole, and the function that packs them.

    They are packed inside the `cond`, so that a step that is not due copies nothing.
    """
    images = dict(plan.images)

    def values() -> Values:
        found: dict[Paths, ArrayLike] = {}
        for name in plan.arrays:
            found["arrays", name] = array = inputs.arrays[name]
            if name in images:
                found["arrays", name], found["outside", name] = image_bytes(array)
        return found

    fields, words = packing.packed(values)
    # The first share's words, since a sum over devices changes the bits of floats.
    return fields, lambda: devices.of_first(plan.axis_names, words())


def _joined(one: Words, other: Words) -> Words:
    return lambda: jnp.concatenate([one(), other()])


def _samples(
    plan: Plan,
    step: jax.Array,
    inputs: Inputs[jax.Array],
    axes: devices.Axes,
    batch_shape: tuple[int, ...],
) -> tuple[list[Field], Words]:
    """The fields of sampled episodes, and the function that selects and gathers them."""
    if not plan.num_samples or plan.batch_shape is None:
        return [], lambda: jnp.zeros(0, np.uint32)
    seed, num_envs = np.uint32(plan.sample_seed), plan.batch_shape[-1]

    def values() -> Values:
        if inputs.indices is not None:
            indices, valid = _last_of(inputs.indices, inputs.where, batch_shape)
        elif inputs.where is None:
            indices = sample_indices(step, math.prod(batch_shape), plan.num_samples, seed)
            valid = jnp.ones(indices.shape, bool)
        else:
            indices, valid = sample_indices_where(
                step, inputs.where, plan.num_samples, seed, axis_name=axes
            )
        # One index per axis: flattening a batch that is sharded over devices would gather it.
        *outer, env = _unravel(indices, batch_shape)
        mine = None
        if axes:
            mine = lax.div(env, np.uint32(num_envs)) == devices.index(axes)
            env = lax.rem(env, np.uint32(num_envs))

        def share(array: jax.Array, mine: jax.Array | None) -> jax.Array:
            """Zeros the entries that other devices have, so that the sum over devices is exact."""
            if mine is None:
                return array
            mine = mine.reshape(mine.shape + (1,) * (array.ndim - mine.ndim))
            return jnp.where(mine, array, jnp.zeros_like(array))

        def pick(array: jax.Array) -> jax.Array:
            return share(packing.rows(array, (*outer, env)), mine)

        first = devices.is_first(axes) if axes else None
        found: dict[Paths, ArrayLike] = {
            ("samples", "valid"): share(valid, first),
            ("samples", "index"): share(indices, first),
        }
        picked = {name: pick(inputs.metrics[name]) for name in {s.name: 0 for _, s in plan.sampled}}
        for key, origin in plan.sampled:
            found["samples", "summary", key] = origin.take(picked[origin.name])
        for key, array in inputs.details.items():
            found["samples", "details", key] = pick(array) if inputs.indices is None else array
        return found

    fields, words = packing.packed(values)
    return fields, lambda: lax.psum(words(), axes) if axes else words()


def _last_of(
    environments: Integer[Array, " k"],
    where: Bool[Array, "*batch"] | None,
    shape: tuple[int, ...],
) -> tuple[Int32[Array, " k"], Bool[Array, " k"]]:
    """The last finished episode of each environment, and a mask of those that have one."""
    width = shape[-1]
    env = jnp.clip(environments, 0, width - 1).astype(np.int32)
    marked = jnp.ones(shape, bool) if where is None else where
    marked = marked.reshape(-1, width)[:, env]
    row = lax.broadcasted_iota(np.int32, marked.shape, 0)
    last = jnp.max(jnp.where(marked, row, -1), axis=0)
    valid = (last >= 0) & (environments == env.astype(environments.dtype))
    return jnp.where(valid, last * np.int32(width) + env, 0), valid


def _unravel(indices: Integer[Array, " k"], shape: tuple[int, ...]) -> list[UInt32[Array, " k"]]:
    """`jnp.unravel_index` in unsigned integers, which needs no handling of negative indices."""
    rest, found = indices.astype(np.uint32), []
    for size in reversed(shape):
        found.append(lax.rem(rest, np.uint32(size)))
        rest = lax.div(rest, np.uint32(size))
    return found[::-1]


def _refuse_repeated_keys(schema: Schema) -> None:
    lines = [column.key for column in schema.columns]
    lines += [field.path[1] for field in schema.section("arrays")]
    episodes = ["environment_id", "batch_index"]
    episodes += [look_up(f.path[2]).episode_key for f in schema.section("samples", "summary")]
    episodes += [f.path[2] for f in schema.section("samples", "details")]
    for keys in (lines, episodes):
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(
                    f"two values would be written as {key!r}; give one of them another name"
                )
