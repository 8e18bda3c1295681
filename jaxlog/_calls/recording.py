"""Whole episodes, followed by a recorder that the program carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxlog._calls import recorder_checks
from jaxlog._calls.call import empty_record, inputs_of
from jaxlog._calls.schedule import schedule_of
from jaxlog._crossing import packing
from jaxlog._crossing.jax_private import in_branch, tracing
from jaxlog._crossing.primitive import emit
from jaxlog._format.events import KeyData, Leaf
from jaxlog._format.names import check_call
from jaxlog._format.recording import REWARDS, Keep, StepLayout
from jaxlog._format.schema import Field
from jaxlog._host.watch import Traced
from jaxlog._logger import Logger
from jaxlog._program import checks, devices
from jaxlog._program.episode_record import EpisodePlan, episode_record
from jaxlog._program.examples import zeros
from jaxlog._program.leaves import leaf_name, leaf_path
from jaxlog._program.record import Packed, Record
from jaxlog._program.recorder import Choose, EpisodeRecorder, RecorderSpec, empty, follow
from jaxlog._program.sampling import hashed
from jaxlog._text import counted

_LONGEST = 10_000
"""The least number of steps after which an episode is given up, by default."""


def empty_recorder(
    logger: Logger,
    values: Any,
    *,
    shape: int | tuple[int, ...] | None = None,
    num_episodes: int | None = None,
    max_steps: int = 1000,
    keep: Keep = "first",
    every: int = 1,
    choose: Choose = "fair",
    environments: ArrayLike | None = None,
    longest: int | None = None,
    seed: ArrayLike | None = None,
    renderer: str | None = None,
    name: str = "recorded",
) -> EpisodeRecorder:
    """Creates the recorder that is passed to the first `record_step`, with environments just reset.

    It follows a few episodes step by step, in arrays of a fixed size: `num_episodes` times
    `max_steps` times the bytes of one step of one environment. Works inside and outside of `jit`
    and `vmap`.
    Under a `shard_map`, make it inside, from the real values: each device then follows
    `num_episodes` episodes of its own environments.

    An episode is chosen when it begins. With `choose="fair"`, each episode that begins between two
    deliveries has the same chance, whatever its length: those with the highest hashes of (seed,
    environment, number of the episode) get the free slots, and keep them until they end. The chance
    is stored with the episode. With `best` or `worst`, slots are taken by the first episodes that
    begin, `2 * num_episodes` at a time, and those with the best returns of the followed ones are
    logged: of all episodes there may be better ones, and short ones are followed more often.

    Args:
      logger: the logger, made before the program is traced.
      values: an example of what `record_step` will record: a pytree of arrays `[*envs, ...]` such
        as states, observations and actions, or of their shapes, as `jax.eval_shape` returns them.
        The values are not used.
      shape: the shape of the environments, a number or several; None takes the first axis of the
        arrays.
      num_episodes: how many episodes are logged at most each time they are due; None for the
        setting `num_samples`.
      max_steps: the most steps that are kept of an episode. The others are counted, and their
        rewards are part of its return.
      keep: which steps are kept of a longer episode: `first` or `last`.
      every: keeps every n-th step, from the first one on.
      choose: which episodes are followed: `fair`, `best` or `worst`, as above.
      environments: `int[num_episodes]`, environments to follow instead, by their index among all.
        Of each, the first episode that begins after a delivery is logged.
      longest: the number of steps after which an episode is logged as `given_up`, though it is
        running, and its slot is free again; None for ten times as many as are kept, and at least
        10,000.
      seed: `int[]`, the seed of the choice; None for the setting `sample_seed`. Give each lane its
        own, or the same episodes of all lanes are chosen.
      renderer: the name of the renderer that draws a recorded step, as `jaxlog.renderer` takes it:
        `pgx/minatar-breakout`. It is stored with each episode, and nothing is drawn while the
        program runs.
      name: the name of the call, on the lines of the episodes.

    Returns:
      A pytree to carry through `scan` and to store with the train state. It has no leaves if
      logging or the sampling of this call is off.

    Raises:
      TypeError: an argument has the wrong type, or `values` has something that is no array.
      ValueError: a number is below 1, a shape does not fit, an environment does not exist, a choice
        or a renderer is unknown, or the episodes of a record would have more than 16 MiB.

    >>> logger = Logger({})
    >>> recorder = empty_recorder(logger, {"position": jnp.zeros((8, 2))}, max_steps=100)
    >>> recorder.words.shape
    (3, 100, 3)
    """
    if not isinstance(logger, Logger):
        raise TypeError(f"logger: got {type(logger).__name__}, expected a jaxlog.Logger")
    check_call(name)
    leaves = checks.details(jax.tree.map(zeros, values), "values")
    envs = recorder_checks.shape(shape, leaves)
    followed = None if environments is None else recorder_checks.environments(environments, envs)
    if followed is not None and num_episodes not in (None, followed.size):
        raise ValueError(
            f"num_episodes: got {num_episodes} with "
            f"{counted(followed.size, 'environment')}; leave it out"
        )
    if num_episodes is None:
        num_episodes = logger.settings.num_samples if followed is None else followed.size
    for argument, value in (
        ("num_episodes", num_episodes),
        ("max_steps", max_steps),
        ("every", every),
        ("longest", 1 if longest is None else longest),
    ):
        recorder_checks.number(argument, value)
    for argument, value, known in (("keep", keep, Keep), ("choose", choose, Choose)):
        if value not in get_args(known):
            raise ValueError(
                f"{argument}: got {value!r}, expected one of {', '.join(get_args(known))}"
            )
    if renderer is not None:
        recorder_checks.renderer(renderer)
    if longest is None:
        longest = min(max(10 * max_steps * every, _LONGEST), 2**31 - 1)
    of_step = jax.eval_shape(
        lambda: {
            key: packing.host_array(jnp.asarray(leaf)[(0,) * len(envs)])
            for key, leaf in leaves.items()
        }
    )
    fields = [Field((REWARDS,), np.dtype(np.float32))]
    fields += [Field(("values", k), np.dtype(one.dtype), one.shape) for k, one in of_step.items()]
    spec = RecorderSpec(
        name,
        StepLayout(tuple(fields), _leaves(values), max_steps, every, keep, renderer or ""),
        envs,
        num_episodes,
        choose if followed is None else None,
        longest,
        jax.tree.structure(values),
    )
    recorder_checks.size(spec)
    if not logger.enabled or schedule_of(logger, name).sample_frequency is None:
        return EpisodeRecorder()
    chosen_by = jnp.asarray(logger.settings.sample_seed if seed is None else seed)
    if not jnp.issubdtype(chosen_by.dtype, np.integer) or chosen_by.shape:
        raise TypeError(
            f"seed: got {jax.typeof(chosen_by).str_short()}, expected an integer scalar"
        )

    def make(leaves: Mapping[str, jax.Array]) -> EpisodeRecorder:
        number = jnp.uint32(0)
        if axes := jax.sharding.get_abstract_mesh().manual_axes:
            number = devices.index(axes)  # other episodes are chosen in each share
        own_seed = hashed(chosen_by.astype(np.uint32), number)
        first = (packing.host_array(leaf).reshape(-1)[:1] for leaf in leaves.values())
        zero = sum((packing.pack({("zero",): leaf})[0] for leaf in first), number) & np.uint32(0)
        return empty(spec, own_seed, followed, zero)

    return devices.with_automatic_axes(make)(jax.tree.map(jnp.asarray, leaves))


def record_step(
    recorder: EpisodeRecorder,
    values: Any,
    reward: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike | None = None,
    *,
    first: ArrayLike | None = None,
) -> EpisodeRecorder:
    """Records one step of every environment, of which it keeps the steps of the followed episodes.

    Call it once for each step of the environments, also at those that are not logged. It reads the
    flags of all environments, and a row of each array for each followed episode. Works under `jit`,
    `vmap` and `scan`; the call does not change gradients.

    The row of the step at which `terminated` or `truncated` is True is the last one of its episode.
    As for `EpisodeTracker.step`, an environment that resets itself in that step (gymnax, brax, pgx)
    needs no `first`; one that resets itself in the step after it (dm_env, navix, gymnasium's vector
    environments) has a row between two episodes that belongs to neither, marked by `first`.

    Args:
      recorder: the recorder that the previous call returned, or `empty_recorder`.
      values: the pytree to record, with the structure, dtypes and shapes that `empty_recorder` was
        given: arrays `[*envs, ...]`.
      reward: real, `[*envs]`.
      terminated: `bool[*envs]`: the episode ended, or is done for any reason.
      truncated: `bool[*envs]`: the episode was cut off; None if `terminated` has both.
      first: `bool[*envs]`: this row only resets the environment; None for never.

    Returns:
      The recorder for the next step.

    Raises:
      TypeError: a flag is not bool, or `recorder` is not a recorder.
      ValueError: a shape, a dtype or the structure of `values` differs from that of the recorder.

    >>> logger = Logger({})
    >>> recorder = empty_recorder(logger, {"position": jnp.zeros(8)}, num_episodes=2)
    >>> position, ended = jnp.arange(8.0), jnp.zeros(8, bool)
    >>> recorder = record_step(recorder, {"position": position}, jnp.ones(8), ended)
    >>> recorder.slots.lengths.tolist()
    [1, 1]
    """
    recorder_checks.recorder(recorder)
    if recorder.spec is None:
        return recorder
    spec = recorder.spec
    leaves = recorder_checks.values(spec, values)
    found = recorder_checks.flags(spec, reward, terminated, truncated, first)
    arguments = (
        recorder,
        leaves,
        found["reward"].astype(np.float32),
        found["terminated"],
        found.get("truncated"),
        found.get("first"),
    )
    if not tracing():
        arguments = devices.together(arguments)
    return devices.with_automatic_axes(_follow)(arguments)


def log_episodes(
    logger: Logger,
    recorder: EpisodeRecorder,
    step: ArrayLike,
    *,
    labels: Mapping[str, Any] | None = None,
    when: ArrayLike = True,
    every: int | None = None,
    total_updates: int | None = None,
    axis_name: str | Sequence[str] | None = None,
) -> tuple[Record | None, EpisodeRecorder]:
    """Logs the recorded episodes that have ended, when `step` is due; call it once an update.

    They are due at multiples of `every`, or without it of the setting `sample_frequency`, and at
    the last step if `total_updates` is known. The sinks `jsonl` and `arrow` write each episode into
    a file of its own, and a line about it; `RunData.episode` reads it. Episodes that are running
    are followed to their end, and logged the next time. A step that is not due copies nothing.

    Under `jit`, `vmap`, `grad` and `scan` it behaves as `batch_step`. The record has the size of
    the recorder, so with `delivery: return` call it outside of long loops.

    Args:
      logger: as for `empty_recorder`.
      recorder: the recorder that the last `record_step` returned.
      step: `int[]`, the index of the update, counted from 0.
      labels: as for `batch_step`.
      when: as for `batch_step`.
      every: the number of updates between deliveries; None for the setting `sample_frequency`.
      total_updates: as for `batch_step`.
      axis_name: the axes of `shard_map`, `pmap` or `vmap` that divide the environments. The
        episodes of all shares are then logged together.

    Returns:
      The result of `batch_step`, and the recorder for the next step, in which the slots of the
      logged episodes are free.

    Raises:
      TypeError: as for `batch_step`, or `recorder` is not a recorder.
      ValueError: as for `batch_step`.

    >>> logger = Logger({"sinks": [{"kind": "memory"}]})
    >>> def update(carry, step):
    ...     position, recorder = carry
    ...     position = (position + 1) % 3
    ...     recorder = record_step(recorder, position, jnp.ones(4), position == 2)
    ...     _, recorder = log_episodes(logger, recorder, step, every=10)
    ...     return (position, recorder), None
    >>> position = jnp.full(4, -1)
    >>> recorder = empty_recorder(logger, position, num_episodes=1, max_steps=5)
    >>> with logger.open() as run:
    ...     carry, _ = jax.lax.scan(update, (position, recorder), jnp.arange(11))
    >>> [event.recording.tree.tolist() for event in run.sink("memory").episodes]
    [[0, 1, 2]]
    """
    if not isinstance(logger, Logger):
        raise TypeError(f"logger: got {type(logger).__name__}, expected a jaxlog.Logger")
    recorder_checks.recorder(recorder)
    spec = recorder.spec
    axis_names, inputs = inputs_of(
        logger,
        "log_episodes(logger, recorder, step)",
        step,
        {},
        where=None,
        values=None,
        details=None,
        indices=None,
        labels=labels,
        when=when,
        axis_name=axis_name,
        name="recorded" if spec is None else spec.name,
    )
    if spec is None or not logger.enabled:
        return empty_record(logger), recorder
    schedule = schedule_of(logger, spec.name, every, total_updates)
    frequency = schedule.sample_frequency if every is None else every
    plan = EpisodePlan(
        frequency or 1, schedule.last_step, axis_names, logger.settings.delivery == "return"
    )
    arguments = recorder, inputs.step, inputs.when, inputs.labels
    if not tracing():
        arguments = devices.together(arguments)
    made, left = devices.with_automatic_axes(partial(_packed, plan))(arguments)
    assert made.schema is not None
    traced = Traced(
        spec.name,
        plan.frequency,
        inputs.when is not None,
        in_branch(),
        total_updates=schedule.total_updates,
        of_episodes=True,
    )
    logger._learn(made.schema, partial(_rebuilt, spec), traced)
    if isinstance(made, Record):
        return made, left
    due = devices.only_first(made.due)
    number = made.schema.call_number
    emit(due, made.head, made.rest, handle=logger._handle, call_number=number)
    return None, left


def _follow(arguments: tuple[Any, ...]) -> EpisodeRecorder:
    return follow(*arguments)


def _packed(
    plan: EpisodePlan, arguments: tuple[Any, ...]
) -> tuple[Packed | Record, EpisodeRecorder]:
    return episode_record(plan, *arguments)


def _rebuilt(spec: RecorderSpec, arrays: Mapping[str, Any]) -> Any:
    """The pytree that was recorded, with arrays of NumPy as leaves."""
    return spec.structure.unflatten(
        arrays[leaf.name].view(KeyData) if leaf.is_key else arrays[leaf.name]
        for leaf in spec.layout.leaves
    )


def _leaves(values: Any) -> tuple[Leaf, ...]:
    """The places of the arrays of a pytree, in their order."""
    return tuple(
        Leaf(leaf_name(path, "values"), leaf_path(path), _is_key(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(values)
    )


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
