"""What a user calls in the program: from a batch of episodes to one record on its way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.typing import ArrayLike

from jaxlog._calls.call import due_by_hand, inputs_of, nothing, plan_of, send, tell
from jaxlog._calls.order import refuse_swapped
from jaxlog._logger import Logger
from jaxlog._program import checks
from jaxlog._program.record import Record
from jaxlog._settings import switched_on

_BATCH_STEP = "batch_step(logger, step, metrics)"
_LOG = "log(logger, step, values)"


def batch_step(
    logger: Logger,
    step: ArrayLike,
    metrics: Mapping[str, ArrayLike] | None = None,
    *,
    where: ArrayLike | None = None,
    details: Any = None,
    indices: ArrayLike | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
    when: ArrayLike = True,
    axis_name: str | Sequence[str] | None = None,
    name: str = "batch",
) -> Record | None:
    """Logs the episodes of one update: their aggregates, and now and then a few of them whole.

    Aggregates are logged when `step` is a multiple of `log_frequency`, episodes are picked when it
    is one of `sample_frequency`; both also at the last step, if the logger has `total_updates`.
    A step at which nothing is due costs a branch; but where each lane of a `vmap` has a gate of its
    own (a `step` or `when` that differs between them), JAX computes both sides of the branch, at
    every step.

    Under `jit` and `scan` each step that is due reaches the host once. Under `vmap` all lanes
    reach it in one call, and each gets a line of its own. Differentiation passes by: gradients are
    what they are without the call. Where the predicate of a `cond` or the end of a `while_loop`
    differs between the lanes of a `vmap`, JAX runs the call for all of them; use `when` there.

    Args:
      logger: made before the program is traced.
      step: `int[]`, the update's index, from 0. Up to int32, or what its own dtype holds.
      metrics: arrays by name. One of the batch's shape is aggregated, and is part of each sampled
        episode; a scalar is logged as it is. The batch's shape is that of `where`, else that of the
        first of episode_returns, episode_lengths, similarity_scores and success_mask. Its last axis
        is that of the environments. An array of bools becomes its rate.
      where: `bool[*batch]`, the entries that are episodes to count; all, if None. Where there is
        none, the count is 0 and no aggregate is logged.
      details: a pytree of arrays `[*batch, ...]`, gathered for the sampled episodes only; with
        `indices`, of arrays `[k, ...]`, a row for each.
      indices: `int[k]`, environments that were chosen before the rollout, by `sample_indices` of
        their number, so that only their states had to be carried along. The episodes shown are then
        theirs: of each the last that ended, and none of one that has none. Not with `axis_name`.
      labels: scalars that name a lane: a seed, a learning rate.
      when: `bool[]`; False logs nothing at this step.
      axis_name: the axes of `shard_map`, `pmap` or `vmap` along which the batch is divided. What is
        logged is then that of the whole batch, once: aggregates and picks are those of all shares
        side by side along the batch's last axis, scalars their mean, and `step`, `when` and
        `labels` those of the first share. All devices have to reach the call equally often: they
        wait for each other there. In a loop or branch that some leave or skip, log outside of it.
      name: sets apart the calls of one program: the prefix of keys, the name of the file. Two
        calls of one name and the same metrics count as one, so give each its own.

    Returns:
      None, so that a branch that logs fits one that does not: `lax.cond(due, lambda:
      batch_step(...), lambda: None)`. With `delivery: return` in the settings, the record: nothing
      leaves the program by itself, and the records that it returns, stacked by `scan` and `vmap`
      as they are, are written by `Logger.write`.

    Raises:
      TypeError: an argument has a dtype or type that cannot be logged.
      ValueError: a shape does not fit, the settings speak of a metric that is not there, or the
        call stands under a `shard_map` or `pmap` that `axis_name` does not cover. This, too, is
        raised while the program is traced.

    >>> import jax.numpy as jnp
    >>> logger = Logger({"sinks": [{"kind": "memory"}]})
    >>> def update(skill, step):
    ...     returns = skill + jnp.arange(4.0)
    ...     batch_step(logger, step, {"episode_returns": returns, "policy_loss": 0.5})
    ...     return skill + 1.0, None
    >>> with logger.open() as run:
    ...     skill, _ = jax.jit(lambda: jax.lax.scan(update, 0.0, jnp.arange(20)))()
    >>> [event.step for event in run.sink("memory").metrics]
    [0, 10]
    >>> float(run.sink("memory").metrics[1].lanes[0].metrics["episode_return_mean"])
    11.5
    """
    refuse_swapped(_BATCH_STEP, logger, step, metrics)
    axis_names, inputs = inputs_of(
        logger,
        _BATCH_STEP,
        step,
        metrics,
        where=where,
        details=details,
        indices=indices,
        labels=labels,
        when=when,
        axis_name=axis_name,
        name=name,
    )
    plan = plan_of(logger, name, inputs, axis_names)
    if not logger.enabled:
        return nothing(logger)
    return send(logger, plan, inputs, details=details)[0]


def log(
    logger: Logger,
    step: ArrayLike,
    values: Mapping[str, ArrayLike] | None = None,
    *,
    labels: Mapping[str, ArrayLike] | None = None,
    when: ArrayLike = True,
    axis_name: str | Sequence[str] | None = None,
    name: str = "train",
) -> Record | None:
    """Logs plain values: a loss and a learning rate, in a compiled program or in a Python loop.

    Inside of a program it does what `batch_step` does with scalars. In a Python loop, where `step`
    is an int of Python's, nothing is compiled and no callback is made: a step that is not due costs
    a microsecond, and one that is waits for its values.

    `batched_logging_enabled: false` switches off `batch_step`, and not this.

    Args:
      logger: made before the program is traced.
      step: `int[]`, the update's index, from 0. Values are logged where it is a multiple of
        `log_frequency`, and at the last step, where the logger knows `total_updates`.
      values: scalars by name.
      labels: as for `batch_step`.
      when: `bool[]`; False logs nothing at this step.
      axis_name: as for `batch_step`: values are the mean over the shares.
      name: stands before the keys, and in the file's name.

    Returns:
      None, or with `delivery: return` the record, as `batch_step`.

    Raises:
      TypeError: as `batch_step`.
      ValueError: as `batch_step`, or a value is no scalar.

    >>> logger = Logger({"log_frequency": 2, "sinks": [{"kind": "memory"}]})
    >>> with logger.open() as run:
    ...     for step in range(5):
    ...         log(logger, step, {"loss": 1.0 / (step + 1)})
    >>> [event.lanes[0].metrics["loss"].item() for event in run.sink("memory").metrics]
    [1.0, 0.3333333333333333, 0.2]
    """
    due = due_by_hand(logger, name, step, when)
    if due is False:
        return None
    if isinstance(logger, Logger) and not switched_on():
        return nothing(logger)
    if due and axis_name is None and tell(logger, name, step, values, labels):
        return None
    refuse_swapped(_LOG, logger, step, values)
    axis_names, inputs = inputs_of(
        logger,
        _LOG,
        step,
        values,
        where=None,
        details=None,
        indices=None,
        labels=labels,
        when=when,
        axis_name=axis_name,
        name=name,
    )
    checks.scalars(inputs.metrics)
    return send(logger, plan_of(logger, name, inputs, axis_names), inputs)[0]


def from_info(info: Mapping[str, Any]) -> tuple[dict[str, jax.Array], jax.Array]:
    """What the field's usual log wrapper puts into `info`, as `batch_step` takes it.

    The wrapper (gymnax's `LogWrapper`, and those made after it) tells at every environment step
    whether an episode ended there, and the return and length of the last episode that did. Nothing
    is computed here: it may be called wherever `info` is at hand.

    Args:
      info: holds `returned_episode`, `bool`, and `returned_episode_returns` and
        `returned_episode_lengths`, all of one shape. What else it holds is left alone.

    Returns:
      The metrics, and the `bool` array of the entries at which an episode ended: `where`.

    Raises:
      KeyError: one of the three is not there.

    >>> import jax.numpy as jnp
    >>> metrics, finished = from_info({
    ...     "returned_episode": jnp.array([True, False]),
    ...     "returned_episode_returns": jnp.array([9.0, 0.0]),
    ...     "returned_episode_lengths": jnp.array([9, 0]),
    ... })
    >>> sorted(metrics)
    ['episode_lengths', 'episode_returns']
    """
    wanted = ("returned_episode", "returned_episode_returns", "returned_episode_lengths")
    missing = [key for key in wanted if key not in info]
    if missing:
        raise KeyError(
            f"info has no {', '.join(missing)} (it has: {', '.join(map(str, info)) or 'nothing'}); "
            "wrap the environment in a log wrapper, like gymnax.wrappers.purerl.LogWrapper, or "
            "give batch_step the returns and the mask of finished episodes yourself"
        )
    finished, returns, lengths = (info[key] for key in wanted)
    return {"episode_returns": returns, "episode_lengths": lengths}, finished
