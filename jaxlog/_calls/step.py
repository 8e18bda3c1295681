"""`batch_step` and `log`, which log one update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jax.typing import ArrayLike

from jaxlog._calls.call import (
    due_in_python,
    empty_record,
    inputs_of,
    log_from_python,
    send,
)
from jaxlog._calls.order import refuse_swapped
from jaxlog._calls.plan import plan_of
from jaxlog._calls.schedule import schedule_of
from jaxlog._logger import Logger
from jaxlog._program.record import Record
from jaxlog._settings import switched_on

_BATCH_STEP = "batch_step(logger, step, metrics)"
_LOG = "log(logger, step, values)"


def batch_step(
    logger: Logger,
    step: ArrayLike,
    metrics: Mapping[str, Any] | None = None,
    *,
    where: ArrayLike | None = None,
    values: Mapping[str, Any] | None = None,
    arrays: Mapping[str, Any] | None = None,
    details: Any = None,
    indices: ArrayLike | None = None,
    labels: Mapping[str, Any] | None = None,
    when: ArrayLike = True,
    every: int | None = None,
    total_updates: int | None = None,
    axis_name: str | Sequence[str] | None = None,
    name: str = "batch",
) -> Record | None:
    """Logs one update: statistics over its episodes, and occasionally a few complete episodes.

    Statistics and scalars are logged when `step` is a multiple of `every`, or without it of
    `log_frequency`; a call named `eval` or `test` is logged every time. Episodes are sampled when
    `step` is a multiple of `sample_frequency`. If `total_updates` is known, both also happen at the
    last step. When nothing is due, the call costs one untaken `lax.cond`. If `step` or `when`
    differs between vmapped lanes, JAX turns that `cond` into a `select`, which computes both
    branches at every step.

    Under `jit` and `scan`, each due step reaches the host once. Under `vmap`, one delivery carries
    the records of all lanes, and each lane gets its own line. The call does not change gradients.
    If the predicate of a `cond` or the end of a `while_loop` differs between vmapped lanes, JAX
    runs the call for all of them; pass `when` there.

    Args:
      logger: the logger, made before the program is traced.
      step: `int[]`, the index of the update, counted from 0. It is logged as int32, or in its own
        dtype if that is wider.
      metrics: arrays by name, with a value per episode. For an array of the batch's shape,
        statistics are logged, and each sampled episode has its entry; for an array of bools, its
        rate is logged. A scalar is logged as it is. The batch's shape is that of `where`; without
        `where`, that of the first of episode_returns, episode_lengths, similarity_scores and
        success_mask. Its last axis is the axis of the environments. Nested mappings and pytrees
        get names like `actor/loss`, and an array can have named parts (`jaxlog.parts`).
      where: `bool[*batch]`, which entries are episodes to count; None for all. If no entry is
        marked, the logged count is 0 and no statistics are logged.
      values: arrays by name, of any shape: rewards and actions of each environment step, losses
        `[epochs, minibatches]`, activations. Statistics over all entries are logged, and the rate
        of an array of bools. `where`, the count and sampled episodes have nothing to do with them.
        Scalars, nested mappings, pytrees and named parts as in `metrics`.
      arrays: arrays by name, of bools, integers or real numbers and of any shape, each of which is
        logged whole and exactly when statistics are due: a confusion matrix, a heat map, a Q-table,
        a small image. Under `vmap`, each lane logs its own; with `axis_name`, that of the first
        share is logged. A name may not be that of a metric. At a step that is not due they cost
        nothing.
      details: a pytree of arrays `[*batch, ...]`, of which only the sampled episodes' rows are
        logged; with `indices`, a pytree of arrays `[k, ...]`, one row for each index.
      indices: `int[k]`, environments chosen before the rollout with `sample_indices`, so that the
        rollout keeps the states of these only. For each of them, the last episode that ended is
        logged; environments where none ended are skipped. Cannot be used with `axis_name`.
      labels: scalars that identify a lane, such as a seed or a learning rate.
      when: `bool[]`; False logs nothing at this step.
      every: the number of updates from one line to the next, a Python int; None for the settings'
        `log_frequency`, which can have a value for each call. Evaluations, whose name begins with
        the word `eval`, `evaluation`, `test`, `val` or `validation`, are logged every time unless
        the settings name them. It does not change how often episodes are sampled.
      total_updates: how many updates this call logs, a Python int, if it counts other updates than
        the rest of the program; None for that of the logger.
      axis_name: the axes of `shard_map`, `pmap` or `vmap` that divide the batch. The whole batch is
        then logged once: the shares are joined along the batch's last axis, scalars are averaged
        over the shares, and `step`, `when` and `labels` are those of the first share. Every device
        has to make the call equally often, because they wait for each other; if some leave a loop
        early or skip a branch, call it outside of that loop or branch.
      name: the name of the call, which prefixes its keys and its file. Two calls with the same name
        and the same metrics count as one call, so give each its own.

    Returns:
      None, so that a branch that logs matches one that does not: `lax.cond(due, lambda:
      batch_step(...), lambda: None)`. With `delivery: return` in the settings, a `Record`: return
      the records from the program, as `scan` and `vmap` stack them, and pass them to
      `Logger.write`.

    Raises:
      TypeError: an argument has a type or dtype that cannot be logged, or `every` is traced.
      ValueError: a shape does not fit, `every` or `total_updates` is not from 1 to 2^31 - 1, the
        settings name a metric that the call does not have, the arrays are larger than the setting
        `max_array_bytes`, or the call is under a `shard_map` or `pmap` whose axes are not all in
        `axis_name`. Like TypeError, it is raised while the program is traced.

    >>> import jax
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
        values=values,
        details=details,
        indices=indices,
        labels=labels,
        when=when,
        axis_name=axis_name,
        name=name,
        arrays=arrays,
    )
    schedule = schedule_of(logger, name, every, total_updates)
    plan = plan_of(logger, name, inputs, axis_names, schedule)
    if not logger.enabled:
        return empty_record(logger)
    return send(logger, plan, inputs, details=details)[0]


def log(
    logger: Logger,
    step: ArrayLike,
    values: Mapping[str, Any] | None = None,
    *,
    arrays: Mapping[str, Any] | None = None,
    labels: Mapping[str, Any] | None = None,
    when: ArrayLike = True,
    every: int | None = None,
    total_updates: int | None = None,
    axis_name: str | Sequence[str] | None = None,
    name: str = "train",
) -> Record | None:
    """Logs values, such as a loss and a learning rate, in a compiled program or a Python loop.

    In a compiled program it behaves as `batch_step` does with `values`, under every transformation.
    In a Python loop, where `step` is a Python int, scalars compile nothing and make no callback: a
    step that is not due costs about a microsecond, and a due step waits until its values are
    computed.

    `batched_logging_enabled: false` switches off `batch_step` but not this function.

    Args:
      logger: the logger, made before the program is traced.
      step: `int[]`, the index of the update, counted from 0. Values are logged when it is a
        multiple of `every` or of `log_frequency`, as for `batch_step`, and at the last step if
        `total_updates` is known.
      values: bools, integers or real numbers by name. A scalar is logged as it is; of an array of
        any shape, statistics over all entries are logged. Nested mappings and pytrees get names
        like `actor/loss`, and an array can have named parts (`jaxlog.parts`).
        May be left out if there are arrays.
      arrays: arrays that are logged whole, as for `batch_step`.
      labels: as for `batch_step`.
      when: `bool[]`; False logs nothing at this step.
      every: as for `batch_step`.
      total_updates: as for `batch_step`.
      axis_name: as for `batch_step`: values are averaged over the shares.
      name: the name of the call, which prefixes its keys and its file.

    Returns:
      None; with `delivery: return`, a `Record`, as `batch_step` returns it.

    Raises:
      TypeError: as for `batch_step`.
      ValueError: as for `batch_step`.

    >>> logger = Logger({"log_frequency": 2, "sinks": [{"kind": "memory"}]})
    >>> with logger.open() as run:
    ...     for step in range(5):
    ...         log(logger, step, {"loss": 1.0 / (step + 1)})
    >>> [event.lanes[0].metrics["loss"].item() for event in run.sink("memory").metrics]
    [1.0, 0.3333333333333333, 0.2]
    """
    due = due_in_python(logger, name, step, when, every, total_updates)
    if due is False:
        return None
    if isinstance(logger, Logger) and not switched_on():
        return empty_record(logger)
    in_python = due and axis_name is None
    if in_python and log_from_python(logger, name, step, values, labels, arrays, total_updates):
        return None
    refuse_swapped(_LOG, logger, step, values)
    axis_names, inputs = inputs_of(
        logger,
        _LOG,
        step,
        None,
        where=None,
        values=values,
        details=None,
        indices=None,
        labels=labels,
        when=when,
        axis_name=axis_name,
        name=name,
        arrays=arrays,
    )
    schedule = schedule_of(logger, name, every, total_updates)
    return send(logger, plan_of(logger, name, inputs, axis_names, schedule), inputs)[0]
