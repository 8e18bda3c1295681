"""Packs the episodes of a recorder into the record of one call at one step."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxlog._crossing import packing
from jaxlog._crossing.packing import Paths
from jaxlog._crossing.primitive import side_by_side
from jaxlog._format.recording import FREE, OF_SLOTS, EpisodeSchema
from jaxlog._format.schema import SAMPLES_DUE, Field
from jaxlog._program import devices
from jaxlog._program.record import Packed, Record, counted, due_at
from jaxlog._program.recorder import EpisodeRecorder, RecorderSpec, chances, delivered_where, logged
from jaxlog._program.shapes import Int32, UInt32


@dataclass(frozen=True)
class EpisodePlan:
    """The static facts about a call of `log_episodes`.

    Attributes:
      frequency: episodes are due at multiples of this step.
      last_step: the last step, where they are due, too; None if it is not known.
      axis_names: the named axes that divide the environments.
      returned: whether the program returns the record.
    """

    frequency: int
    last_step: int | None
    axis_names: tuple[str, ...]
    returned: bool


@functools.partial(jax.jit, static_argnums=0)
def episode_record(
    plan: EpisodePlan,
    recorder: EpisodeRecorder,
    step: ArrayLike,
    when: ArrayLike | None,
    labels: Mapping[str, ArrayLike],
) -> tuple[Packed | Record, EpisodeRecorder]:
    """Packs the episodes that have ended, and frees their slots where the step is due."""
    spec, slots = recorder.spec, recorder.slots
    assert spec is not None
    assert slots is not None
    assert recorder.words is not None
    scalars = jax.tree.map(lambda leaf: lax.stop_gradient(jnp.asarray(leaf)), (step, when, labels))
    if plan.axis_names:
        scalars = devices.of_first(plan.axis_names, scalars)
    at, condition, own_labels = scalars
    at = counted(at)
    due = due_at(plan.last_step, at, condition, plan.frequency)

    status = jnp.where(logged(spec, slots), slots.status, np.int32(FREE))
    of_slots: dict[str, jax.Array] = dict(
        zip(
            OF_SLOTS,
            (
                _environments(plan.axis_names, spec, slots.environments),
                slots.numbers,
                status,
                slots.lengths,
                slots.returns,
                chances(recorder),
            ),
            strict=True,
        )
    )
    recorded: dict[Paths, ArrayLike] = {("recorded", name): of_slots[name] for name in OF_SLOTS}
    head: dict[Paths, ArrayLike] = {("step",): at}
    head |= {("labels", key): label for key, label in own_labels.items()}
    words: dict[Paths, ArrayLike] = {("recorded", "words"): recorder.words}
    axes = plan.axis_names
    if axes:
        shares = devices.size(axes)
        of_record = packing.fields(recorded | words)
        of_all = [Field(f.path, f.dtype, (shares * f.shape[0], *f.shape[1:])) for f in of_record]
        fields = [*packing.fields(head), *of_all]

        def together() -> jax.Array:
            every = (recorded | words).values()
            return jnp.concatenate([_of_shares(axes, array) for array in every])

        # All shares are due together: they wait for each other inside of the branch.
        num_words = sum(field.num_words for field in of_all)
        rest = lax.cond(due, together, lambda: jnp.zeros(num_words, np.uint32))
    else:
        head |= recorded
        fields = [*packing.fields(head), *packing.fields(words)]
        rest = recorder.words.reshape(-1)  # as it is: a step that is not due copies nothing
    *outer, width = spec.shape or (1,)
    schema = EpisodeSchema(
        spec.name,
        tuple(fields),
        (*outer, width * devices.size(axes)),
        head=len(head),
        layout=spec.layout,
    )
    head_words = packing.pack(head) if plan.returned else packing.pack(head, side_by_side)
    bits = due.astype(np.uint32) * np.uint32(SAMPLES_DUE)
    made = Packed(bits, head_words, rest, schema)
    return made.returned() if plan.returned else made, delivered_where(recorder, due)


def _environments(
    axes: devices.Axes, spec: RecorderSpec, own: Int32[Array, " slots"]
) -> Int32[Array, " slots"]:
    """The index of each environment among those of all shares, joined along the last axis."""
    if not axes:
        return own
    width = np.int32((1, *spec.shape)[-1])
    row, column = lax.div(own, width), lax.rem(own, width)
    column += devices.index(axes).astype(np.int32) * width
    return row * (width * np.int32(devices.size(axes))) + column


def _of_shares(axes: devices.Axes, array: ArrayLike) -> UInt32[Array, " words"]:
    """The words of an array of every share, one share after the other."""
    words = lax.bitcast_convert_type(jnp.asarray(array), np.uint32).reshape(-1)
    mine = lax.iota(np.uint32, devices.size(axes)) == devices.index(axes)
    return lax.psum(jnp.where(mine[:, None], words[None], np.uint32(0)).reshape(-1), axes)
