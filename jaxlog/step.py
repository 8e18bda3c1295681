"""What a user calls in the program: from a batch of episodes to one record on its way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
from jax.typing import ArrayLike

from jaxlog.crossing.primitive import emit
from jaxlog.graph import checks, devices
from jaxlog.graph.record import Inputs, Plan, Record, record
from jaxlog.logger import Logger
from jaxlog.names import KNOWN, look_up
from jaxlog.settings.problems import suggestion


def batch_step(
    logger: Logger,
    step: ArrayLike,
    metrics: Mapping[str, ArrayLike] | None = None,
    *,
    where: ArrayLike | None = None,
    details: Any = None,
    labels: Mapping[str, ArrayLike] | None = None,
    when: ArrayLike = True,
    axis_name: str | Sequence[str] | None = None,
    name: str = "batch",
) -> Record:
    """Logs the episodes of one update: their aggregates, and now and then a few of them whole.

    Aggregates are logged when `step` is a multiple of `log_frequency`, episodes are picked when it
    is one of `sample_frequency`; both also at the last step, where the logger knows `total_steps`.
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
      details: a pytree of arrays `[*batch, ...]`, gathered for the sampled episodes only.
      labels: scalars that name a lane: a seed, a learning rate.
      when: `bool[]`; False logs nothing at this step.
      axis_name: the axes of `shard_map`, `pmap` or `vmap` along which the batch is divided. What is
        logged is then that of the whole batch, once: aggregates and picks are those of all shares
        side by side along the batch's last axis, scalars their mean, and `step`, `when` and
        `labels` those of the first share.
      name: sets apart the calls of one program: the prefix of keys, the name of the file.

    Returns:
      The record. There is no need to use it, but with `delivery: return` in the settings: then
      nothing leaves the program by itself, and the records that it returns, stacked by `scan` and
      `vmap` as they are, are written by `Logger.write`.

    Raises:
      TypeError: an argument has a dtype or type that cannot be logged.
      ValueError: a shape does not fit, the settings speak of a metric that is not there, or the
        call stands under a `shard_map` or `pmap` that `axis_name` does not cover.
      All of it while the program is traced.

    >>> import jax.numpy as jnp
    >>> logger = Logger({"batched_logging_enabled": True, "sinks": [{"kind": "memory"}]})
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
    if not isinstance(logger, Logger):
        raise TypeError(f"logger: got {type(logger).__name__}, expected a jaxlog.Logger")
    if metrics is None:
        raise TypeError(
            "step: is missing; call batch_step(logger, step, metrics), with the index of the "
            "update, an integer, as step"
        )
    checks.name(name)
    live = logger.settings.delivery == "live"
    axis_names = checks.axes(axis_name, live=live)
    inputs = Inputs(
        step=checks.step(step),
        when=checks.condition(when),
        metrics=checks.metrics(metrics),
        where=checks.mask(where),
        details=checks.details(details),
        labels=checks.labels(labels),
    )
    batch_shape = checks.batch_shape(inputs.metrics, inputs.where, inputs.details)
    plan = _plan(logger, name, batch_shape, tuple(inputs.metrics), tuple(inputs.labels), axis_names)
    if not logger.enabled:
        logger.mention_off()
        return Record()
    made = devices.with_automatic_axes(partial(record, plan))(inputs)
    assert made.due is not None
    assert made.words is not None
    assert made.schema is not None
    logger.learn(made.schema)
    if live:
        due = devices.only_first(made.due)
        emit(due, made.words, handle=logger.handle, site=made.schema.site)
    return made


def _plan(
    logger: Logger,
    name: str,
    batch_shape: tuple[int, ...] | None,
    metrics: tuple[str, ...],
    labels: tuple[str, ...],
    axis_names: tuple[str, ...],
) -> Plan:
    """What the settings make of one call."""
    settings = logger.settings
    include = _named_in("include", settings.include, metrics, name)
    exclude = _named_in("exclude", settings.exclude, metrics, name)
    kept = [m for m in metrics if (m in include or not settings.include) and m not in exclude]
    # The switches speak of lines: an episode's summary keeps its return.
    switches = {metric: look_up(metric).setting for metric in kept}
    logged = [m for m in kept if getattr(settings, switches[m] or "", True)]
    samples = settings.num_samples if settings.sampling_enabled and batch_shape else 0
    return Plan(
        name=name,
        batch_shape=batch_shape,
        log_frequency=settings.log_frequency,
        sample_frequency=settings.sample_frequency,
        last_step=None if logger.total_steps is None else logger.total_steps - 1,
        num_samples=samples,
        sample_seed=settings.sample_seed,
        statistics=settings.statistics,
        logged=tuple(logged),
        sampled=tuple(kept),
        labels=labels,
        axis_names=axis_names,
        returned=settings.delivery == "return",
    )


def _named_in(
    setting: str, entries: tuple[str, ...], metrics: tuple[str, ...], call: str
) -> set[str]:
    """The metrics of a call that a setting names, by NAME or by CALL/NAME."""
    found = set()
    for entry in entries:
        prefix, _, bare = entry.rpartition("/")
        if entry in metrics:
            found.add(entry)
        elif prefix == call and bare in metrics:
            found.add(bare)
        elif prefix not in ("", call) or entry in KNOWN:
            continue  # it speaks of another call, or of what only another call may have
        else:
            raise ValueError(
                f"settings: {setting}: got {entry!r}, which is no metric of "
                f"batch_step(..., name={call!r}){suggestion(bare, [*metrics, *KNOWN])} "
                f"(its metrics are: {', '.join(metrics)}; for one of another call write "
                f"NAME_OF_THE_CALL/{bare})"
            )
    return found


def from_info(info: Mapping[str, Any]) -> tuple[dict[str, jax.Array], jax.Array]:
    """What the field's usual log wrapper puts into `info`, as `batch_step` takes it.

    The wrapper (gymnax's `LogWrapper`, and those made after it) tells at every environment step
    whether an episode ended there, and the return and length of the last episode that did.

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
