"""Follows a few episodes step by step in the program, in arrays of fixed size.

Each slot follows one episode. An episode is chosen when it begins. Episodes that end stay in their
slots until they are delivered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxlog._crossing import packing
from jaxlog._format.recording import (
    ENDED,
    FREE,
    GIVEN_UP,
    REWARDS,
    RUNNING,
    TERMINATED,
    TRUNCATED,
    StepLayout,
)
from jaxlog._program.sampling import hashed
from jaxlog._program.shapes import Bool, Float, Int32, UInt32

Choose = Literal["fair", "best", "worst"]
"""The ways to choose episodes."""

_NEVER = np.int32(np.iinfo(np.int32).max)
"""The key of a slot that no episode may take."""


@dataclass(frozen=True)
class RecorderSpec:
    """The static facts about a recorder.

    Attributes:
      name: the name of the call that logs its episodes.
      layout: the arrays of a step, and which steps are kept.
      shape: the shape of the environments.
      num_episodes: the number of episodes that are logged at a time.
      choose: how episodes are chosen; None for given environments.
      longest: the number of steps after which an episode is no longer followed.
      structure: the structure of the pytree that is recorded.
    """

    name: str
    layout: StepLayout
    shape: tuple[int, ...]
    num_episodes: int
    choose: Choose | None
    longest: int
    structure: Any

    @property
    def num_slots(self) -> int:
        """The number of slots: beside the best episodes as many are followed."""
        return self.num_episodes * (2 if self.choose in ("best", "worst") else 1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Slots:
    """The episodes that are followed, one in each slot.

    Attributes:
      environments: `int32[slots]`, the index of the environment, among all of them.
      numbers: `int32[slots]`, the number of the episode in its environment, from 0.
      scores: `int32[slots]`, the score by which it was chosen, 1 to 2^30.
      status: `int32[slots]`, `FREE`, `RUNNING`, or how the episode ended.
      lengths: `int32[slots]`, its steps so far.
      returns: `float32[slots]`, the sum of its rewards so far.
      committed: `bool[slots]`, whether it began before the last delivery, and keeps its slot.
      chances: `float32[slots]`, the chance with which it was chosen, if it is committed.
    """

    environments: jax.Array
    numbers: jax.Array
    scores: jax.Array
    status: jax.Array
    lengths: jax.Array
    returns: jax.Array
    committed: jax.Array
    chances: jax.Array

    def where(self, chosen: Bool[Array, " slots"], **values: Any) -> Slots:
        """These slots, with other values in the chosen ones."""
        return dataclasses.replace(
            self,
            **{
                name: jnp.where(chosen, value, getattr(self, name))
                for name, value in values.items()
            },
        )

    def begun_where(self, chosen: Bool[Array, " slots"], **values: Any) -> Slots:
        """These slots, with an episode that begins in each of the chosen ones."""
        return self.where(
            chosen,
            status=np.int32(RUNNING),
            lengths=np.int32(0),
            returns=np.float32(0),
            committed=np.bool_(False),
            chances=np.float32(0),
            **values,
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EpisodeRecorder:
    """The episodes that `record_step` follows: a pytree to carry through the rollouts.

    Carry it from one rollout to the next and store it with the train state, so that episodes which
    span rollouts are recorded whole. It has no leaves if logging is off. Under `vmap` each array
    has the lane axes in front. Its size does not grow with the number of environments, except for
    five bytes each.

    Attributes:
      words: `uint32[slots, max_steps, words]`, the packed steps of each episode.
      slots: which episodes these are.
      begins: `bool[*envs]`, whether the next step of an environment begins an episode.
      counts: `int32[*envs]`, the number of episodes of each environment that have ended.
      begun: `int32[]`, the number of episodes that began since the last delivery.
      seed: `uint32[]`, the seed of the choice.
      spec: the static facts.
    """

    words: jax.Array | None = None
    slots: Slots | None = None
    begins: jax.Array | None = None
    counts: jax.Array | None = None
    begun: jax.Array | None = None
    seed: jax.Array | None = None
    spec: RecorderSpec | None = field(default=None, metadata={"static": True})


def empty(
    spec: RecorderSpec, seed: jax.Array, environments: jax.Array | None, varying: jax.Array
) -> EpisodeRecorder:
    """Creates a recorder of environments that were just reset.

    Args:
      spec: the static facts.
      seed: `uint32[]`, the seed of the choice.
      environments: `int32[slots]`, the environments to follow; None to choose episodes.
      varying: `uint32[]`, a zero that varies over the same devices as what will be recorded.
    """
    size, layout = spec.num_slots, spec.layout

    def full(shape: tuple[int, ...], value: Any) -> jax.Array:
        zero = lax.convert_element_type(varying, value.dtype)
        made = jnp.full(shape, value)
        return made | zero if made.dtype == np.bool_ else made + zero

    slots = Slots(
        environments=full((size,), np.int32(0)) if environments is None else environments,
        numbers=full((size,), np.int32(0)),
        scores=full((size,), np.int32(0)),
        status=full((size,), np.int32(FREE)),
        lengths=full((size,), np.int32(0)),
        returns=full((size,), np.float32(0)),
        committed=full((size,), np.bool_(False)),
        chances=full((size,), np.float32(0)),
    )
    return EpisodeRecorder(
        words=full((size, layout.max_steps, layout.num_words), np.uint32(0)),
        slots=slots,
        begins=full(spec.shape, np.bool_(True)),
        counts=full(spec.shape, np.int32(0)),
        begun=full((), np.int32(0)),
        seed=seed + varying,
        spec=spec,
    )


@jax.jit
def follow(
    recorder: EpisodeRecorder,
    values: Mapping[str, jax.Array],
    reward: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array | None,
    first: jax.Array | None,
) -> EpisodeRecorder:
    """Records one step of every environment; as `record_step`, with the pytree's leaves by path."""
    # The gradients are those of the program without the call.
    given = lax.stop_gradient((values, reward, terminated, truncated, first))
    # Without the barrier, XLA computes the step of the environment again for each use of its flags:
    # 22 ns for each environment of MinAtar instead of 7 (one core, 2 048 environments).
    values, reward, terminated, truncated, first = lax.optimization_barrier(given)
    spec, slots = recorder.spec, recorder.slots
    assert spec is not None
    assert slots is not None
    assert recorder.begins is not None
    assert recorder.counts is not None
    assert recorder.begun is not None
    assert recorder.words is not None
    num_axes = len(spec.shape)

    def flat(array: jax.Array) -> jax.Array:
        return array if num_axes == 1 else array.reshape(-1, *array.shape[num_axes:])

    over = terminated if truncated is None else terminated | truncated
    begin = recorder.begins
    counts = recorder.counts
    if first is None:
        begins = over
        counts = counts + over.astype(np.int32)
    else:
        begin, over = begin & ~first, over & ~first
        begins = over | first
        # A reset in the middle of an episode ends it, too, though nobody follows it to that end.
        counts = counts + (over | (first & ~recorder.begins)).astype(np.int32)
    slots = _chosen(recorder, slots, flat(begin), flat(recorder.counts))

    env = slots.environments
    running = slots.status == RUNNING
    if first is not None:
        left = running & flat(first)[env]
        slots = slots.where(left, status=np.int32(FREE))
        running &= ~left
    rows = {("values", name): packing.rows(flat(array), (env,)) for name, array in values.items()}
    rewards = packing.rows(flat(reward), (env,))
    words = _written(spec.layout, recorder.words, slots, running, {(REWARDS,): rewards} | rows)

    lengths = slots.lengths + running.astype(np.int32)
    end = np.int32(ENDED)
    if truncated is not None:
        end = jnp.where(flat(terminated)[env], np.int32(TERMINATED), np.int32(TRUNCATED))
    status = jnp.where(lengths >= np.int32(spec.longest), np.int32(GIVEN_UP), np.int32(RUNNING))
    status = jnp.where(flat(over)[env], end, status)
    slots = slots.where(
        running,
        lengths=lengths,
        returns=slots.returns + rewards.astype(np.float32),
        status=status,
    )
    begun = recorder.begun + jnp.sum(begin, dtype=np.int32)
    return dataclasses.replace(
        recorder, words=words, slots=slots, begins=begins, counts=counts, begun=begun
    )


def _written(
    layout: StepLayout,
    words: UInt32[Array, "slots max_steps words"],
    slots: Slots,
    running: Bool[Array, " slots"],
    rows: Mapping[Any, jax.Array],
) -> UInt32[Array, "slots max_steps words"]:
    """Writes the current step of each running episode into its slot, in place."""
    row = slots.lengths // np.int32(layout.every)
    written = running & (slots.lengths % np.int32(layout.every) == 0)
    if layout.keep == "first":
        written &= row < np.int32(layout.max_steps)
    else:
        row = lax.rem(row, np.int32(layout.max_steps))
    number = lax.iota(np.int32, slots.lengths.size)
    outside = np.int32(words.shape[0] * layout.max_steps) + number  # where nothing is written
    places = jnp.where(written, number * np.int32(layout.max_steps) + row, outside)
    packed = jax.vmap(packing.pack)(dict(rows))
    flat = words.reshape(-1, words.shape[-1])
    flat = flat.at[places].set(packed, mode="drop", unique_indices=True)
    return flat.reshape(words.shape)


def _chosen(
    recorder: EpisodeRecorder,
    slots: Slots,
    begin: Bool[Array, " envs"],
    counts: Int32[Array, " envs"],
) -> Slots:
    """Lets episodes that begin take slots."""
    spec = recorder.spec
    assert spec is not None
    assert recorder.seed is not None
    if spec.choose is None:
        env = slots.environments
        starts = (slots.status == FREE) & begin[env]
        return slots.begun_where(starts, numbers=counts[env])
    envs = lax.iota(np.uint32, begin.size)
    bits = hashed(recorder.seed, envs, counts.astype(np.uint32))
    scores = lax.bitcast_convert_type((bits >> np.uint32(2)) + np.uint32(1), np.int32)
    scores = jnp.where(begin, scores, np.int32(0))
    own = lax.iota(np.int32, spec.num_slots)
    fair = spec.choose == "fair"

    def beats(carried: tuple[Slots, jax.Array, jax.Array]) -> jax.Array:
        _, keys, best = carried
        return best > jnp.min(keys)

    def take(carried: tuple[Slots, jax.Array, jax.Array]) -> tuple[Slots, jax.Array, jax.Array]:
        slots, keys, best = carried
        env = lax.argmax(scores == best, 0, np.int32)
        here = own == lax.argmin(keys, 0, np.int32)
        slots = slots.begun_where(here, environments=env, numbers=counts[env], scores=best)
        keys = jnp.where(here, best if fair else _NEVER, keys)
        return slots, keys, jnp.max(jnp.where(scores < best, scores, np.int32(0)))

    # The highest score of those that begin takes the slot with the lowest key, as long as it is
    # higher. Mostly none is, and this costs one maximum; no sort, and no cost for each environment.
    carried = slots, _keys(spec, slots), jnp.max(scores)
    return lax.while_loop(beats, take, carried)[0]


def _keys(spec: RecorderSpec, slots: Slots) -> Int32[Array, " slots"]:
    """The score that an episode has to beat to take each slot."""
    if spec.choose == "fair":
        # That a committed slot becomes free depends on the length of its episode. No other episode
        # takes it before the next delivery, so that as many slots are open for all until then.
        keys = jnp.where(slots.status == FREE, np.int32(0), slots.scores)
        return jnp.where(slots.committed, _NEVER, keys)
    takes = (slots.status == FREE) | ((slots.status > RUNNING) & ~logged(spec, slots))
    return jnp.where(takes, np.int32(0), _NEVER)


def logged(spec: RecorderSpec, slots: Slots) -> Bool[Array, " slots"]:
    """The slots whose episodes are logged if it is due now."""
    ended = slots.status > RUNNING
    if spec.choose not in ("best", "worst"):
        return ended
    values = slots.returns if spec.choose == "best" else -slots.returns
    values = jnp.where(jnp.isnan(values), np.float32(-np.inf), values)
    number = lax.iota(np.int32, values.size)
    better = values[:, None] > values[None]
    better |= (values[:, None] == values[None]) & (number[:, None] < number[None])
    rank = jnp.sum(better & ended[:, None], axis=0, dtype=np.int32)
    return ended & (rank < np.int32(spec.num_episodes))


def chances(recorder: EpisodeRecorder) -> Float[Array, " slots"]:
    """The chance with which the episode of each slot was chosen; NaN if it was not by chance."""
    spec, slots = recorder.spec, recorder.slots
    assert spec is not None
    assert slots is not None
    assert recorder.begun is not None
    if spec.choose != "fair":
        return jnp.full_like(slots.chances, np.nan)
    open_slots = jnp.sum(~slots.committed, dtype=np.int32).astype(np.float32)
    begun = lax.max(recorder.begun, np.int32(1)).astype(np.float32)
    return jnp.where(slots.committed, slots.chances, lax.min(open_slots / begun, np.float32(1)))


def delivered_where(recorder: EpisodeRecorder, due: Bool[Array, ""]) -> EpisodeRecorder:
    """The recorder after a delivery, if it is due: slots of ended episodes are free.

    Episodes that are still running keep their slots, whatever begins later.
    """
    slots = recorder.slots
    assert slots is not None
    assert recorder.begun is not None
    running = slots.status == RUNNING
    left = slots.where(due & running, chances=chances(recorder), committed=np.bool_(True)).where(
        due & ~running, status=np.int32(FREE), committed=np.bool_(False)
    )
    begun = jnp.where(due, np.int32(0), recorder.begun)
    return dataclasses.replace(recorder, slots=left, begun=begun)
