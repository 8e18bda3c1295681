"""Lines that summarize all updates since the previous line, by a window carried in the program."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxlog._calls.call import empty_record, inputs_of, send
from jaxlog._calls.order import refuse_swapped
from jaxlog._calls.plan import plan_of, plan_of_rest, reduced
from jaxlog._calls.schedule import schedule_of
from jaxlog._format.names import check_call
from jaxlog._logger import Logger
from jaxlog._program import checks, devices
from jaxlog._program.examples import Examples, zeros
from jaxlog._program.leaves import leaves
from jaxlog._program.record import Inputs, Record, update_window
from jaxlog._program.window import Window


def empty_window(
    logger: Logger,
    metrics: Mapping[str, Any] | Callable[[Window], Any] | None = None,
    *,
    where: Any = None,
    values: Mapping[str, Any] | None = None,
    reduce: Mapping[str, str] | None = None,
    name: str = "batch",
) -> Window:
    """Creates the empty window that is passed to the first `window_step`.

    Works inside and outside of `jit` and `vmap`.

    Args:
      logger: the logger, made before the program is traced.
      metrics: examples of the metrics that `window_step` will get, by the same names: a scalar for
        a scalar, and for a metric with a value per episode any array of its dtype, such as
        `jnp.zeros(1)`, or the result of `jax.eval_shape`. The values are not used. Or a function of
        a window that calls `window_step` with it, such as the body of the training loop: it is
        traced, not run, and the window is made for what it logs, so that no name is written twice.
        Under a `shard_map` that checks which arrays vary over its devices, pass the real metrics:
        the window then varies over the same axes.
      where: an example of the mask, likewise; may be left out where `batch_step` needs none.
      values: examples of the values, likewise.
      reduce: how scalars are reduced over the updates of a line, by name: `mean`, `last`, `sum`,
        `min` or `max`. By default `last` for integers, else `mean`. A name is also about the names
        that begin with it: `actor` is also `actor/loss`.
      name: the name of the call, which prefixes its keys and its file.

    Returns:
      A pytree to carry through `scan` and to store with the train state. It has no leaves if
      logging is off.

    Raises:
      TypeError: as for `batch_step`.
      ValueError: as for `batch_step`, or `reduce` names a reduction that does not exist or a metric
        that is no scalar, or the function does not call `window_step` with its window.

    >>> logger = Logger({})
    >>> int(empty_window(logger, {"loss": 0.0}).updates)
    0
    >>> def update(window, step):
    ...     _, window = window_step(logger, window, step, {"loss": step.astype(float)})
    ...     return window, None
    >>> window = empty_window(logger, lambda window: update(window, jnp.int32(0)))
    >>> [key for key, _ in window.logged]
    ['loss']
    """
    if not callable(metrics):
        refuse_swapped("empty_window(logger, metrics)", logger, metrics)
    if not isinstance(logger, Logger):
        raise TypeError(f"logger: got {type(logger).__name__}, expected a jaxlog.Logger")
    check_call(name)
    if callable(metrics):
        if where is not None or values is not None:
            raise TypeError(
                "empty_window: got where= or values= with a function; the function passes them to "
                "window_step itself"
            )
        found = _examples_of(metrics, name)
        metrics, where, values = found.metrics, found.where, found.values
    return _empty(logger, metrics, where, values, reduce or {}, name)


def _examples_of(function: Callable[[Window], Any], name: str) -> Examples:
    """Traces a function of a window, and returns the arguments of its `window_step`."""
    examples = Examples()
    jax.eval_shape(function, Window(name=name, examples=examples))
    if not examples.taken:
        raise ValueError(
            "empty_window: got a function that does not call window_step with its window; give a "
            "function like `lambda window: update((state, window), 0)`"
        )
    return examples


def _empty(
    logger: Logger, metrics: Any, where: Any, values: Any, reduce: Mapping[str, str], name: str
) -> Window:
    def examples(argument: str, tree: Any) -> Any:
        found = {} if tree is None else leaves(argument, tree)
        return {key: jax.tree.map(zeros, value) for key, value in found.items()}

    checked = checks.metrics_and_values(examples("metrics", metrics), examples("values", values))
    checked["metrics"] = {key: jnp.asarray(array) for key, array in checked["metrics"].items()}
    mask = checks.mask(zeros(where))
    inputs = Inputs(
        step=jnp.int32(0),
        when=None,
        where=None if mask is None else jnp.asarray(mask),
        details={},
        labels={},
        **checked,
    )
    schedule = schedule_of(logger, name)
    plan = reduced(plan_of(logger, name, inputs, (), schedule, of_window=True), reduce)
    if not logger.enabled:
        return Window(name=name)

    def empty(inputs: Inputs[jax.Array]) -> Window:
        return update_window(plan, inputs, with_scalars=True).emptied_where(jnp.bool_(True))

    return devices.with_automatic_axes(empty)(inputs)


def window_step(
    logger: Logger,
    window: Window,
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
) -> tuple[Record | None, Window]:
    """Logs like `batch_step`, but each line summarizes all updates since the previous line.

    Every update is merged into the window, whether a line is due or not. When one is due, it is
    computed from the window, and the window is emptied. A scalar is logged as its mean over the
    window's updates, where values that are not finite are left out and counted; an integer as its
    last value. `empty_window(reduce=...)` chooses. Each line also has `update_count`. Sampled
    episodes come from the current update only, as with `batch_step`.

    If `total_updates` is known, the line of the last step includes the rest; otherwise log the rest
    with `log_window`. Under `jit`, `vmap`, `grad` and `scan` it behaves as `batch_step`.

    Args:
      logger: as for `batch_step`.
      window: the window that the previous call returned, or `empty_window` for the first call.
      step: as for `batch_step`.
      metrics: as for `batch_step`, with the same names, shapes and dtypes at every step.
      where: as for `batch_step`.
      values: as for `batch_step`; the statistics are over the entries of all updates.
      arrays: as for `batch_step`: those of the current update, which are not reduced over the
        window.
      details: as for `batch_step`.
      indices: as for `batch_step`.
      labels: as for `batch_step`.
      when: as for `batch_step`; if False, nothing is logged, but the update enters the window.
      every: as for `batch_step`.
      total_updates: as for `batch_step`.
      axis_name: as for `batch_step`. Each share has its own window; they are merged when a line is
        due.

    Returns:
      The result of `batch_step`, and the window for the next call.

    Raises:
      TypeError: as for `batch_step`, or `window` is not a window.
      ValueError: as for `batch_step`, or the window was made for other metrics.

    >>> logger = Logger(
    ...     {"log_frequency": 5, "sinks": [{"kind": "memory"}]},
    ...     total_updates=8,
    ... )
    >>> def update(window, step):
    ...     _, window = window_step(logger, window, step, {"loss": step.astype(float)})
    ...     return window, None
    >>> with logger.open() as run:
    ...     window, _ = jax.lax.scan(update, empty_window(logger, {"loss": 0.0}), jnp.arange(8))
    >>> for event in run.sink("memory").metrics:
    ...     metrics = event.lanes[0].metrics
    ...     print(event.step, int(metrics["update_count"]), float(metrics["loss"]))
    0 1 0.0
    5 5 3.0
    7 2 6.5
    """
    refuse_swapped("window_step(logger, window, step, metrics)", logger, window, step, metrics)
    _check(window)
    if window.examples is not None:
        window.examples.take(metrics, where, values)
        return empty_record(logger), window
    axis_names, inputs = inputs_of(
        logger,
        "window_step(logger, window, step, metrics)",
        step,
        metrics,
        where=where,
        values=values,
        details=details,
        indices=indices,
        labels=labels,
        when=when,
        axis_name=axis_name,
        name=window.name,
        arrays=arrays,
    )
    schedule = schedule_of(logger, window.name, every, total_updates)
    plan = plan_of(logger, window.name, inputs, axis_names, schedule)
    if not logger.enabled:
        return empty_record(logger), window
    of_window = dict(window.logged)
    of_call = {
        key: dataclasses.replace(spec, reduction=of_window.get(key, spec).reduction)
        for key, spec in plan.logged
    }
    keys = of_call.keys() | of_window.keys()
    differ = sorted(key for key in keys if of_call.get(key) != of_window.get(key))
    if (plan.batch_shape is None) != (window.count is None):
        differ.append("where")
    if differ:
        raise ValueError(
            f"window: was made for other metrics or settings; these differ: {', '.join(differ)}; "
            "give empty_window what window_step is given"
        )
    plan = dataclasses.replace(plan, logged=window.logged)
    made, emptied = send(logger, plan, inputs, window, details=details)
    assert emptied is not None
    return made, emptied


def log_window(
    logger: Logger,
    window: Window,
    step: ArrayLike,
    *,
    labels: Mapping[str, Any] | None = None,
    axis_name: str | Sequence[str] | None = None,
) -> Record | None:
    """Logs the updates left in a window, if any, at the end of a run of unknown length.

    Call it in the program after the scan, or in plain Python with the window that the program
    returned. Under `vmap`, each lane's window gets its own line. The call does not change
    gradients.

    Args:
      logger: as for `window_step`.
      window: the window that the last `window_step` returned.
      step: `int[]`, the step of the line.
      labels: as for `batch_step`.
      axis_name: as for `batch_step`.

    Returns:
      The result of `batch_step`.

    Raises:
      TypeError: as for `batch_step`, or `window` is not a window.
      ValueError: as for `batch_step`.

    >>> logger = Logger({"sinks": [{"kind": "memory"}]})
    >>> def update(window, step):
    ...     _, window = window_step(logger, window, step, {"loss": step.astype(float)})
    ...     return window, None
    >>> with logger.open() as run:
    ...     window, _ = jax.lax.scan(update, empty_window(logger, {"loss": 0.0}), jnp.arange(5))
    ...     log_window(logger, window, 4)
    >>> [(e.step, e.lanes[0].metrics["loss"].item()) for e in run.sink("memory").metrics]
    [(0, 0.0), (4, 2.5)]
    """
    refuse_swapped("log_window(logger, window, step)", logger, window, step)
    _check(window)
    axis_names, inputs = inputs_of(
        logger,
        "log_window(logger, window, step)",
        step,
        {},
        where=None,
        values=None,
        details=None,
        indices=None,
        labels=labels,
        when=True,
        axis_name=axis_name,
        name=window.name,
    )
    if not logger.enabled:
        return empty_record(logger)
    plan = plan_of_rest(logger, window, inputs, axis_names)
    return send(logger, plan, inputs, window)[0]


def _check(window: Any) -> None:
    if not isinstance(window, Window):
        raise TypeError(
            f"window: got {type(window).__name__}, expected what empty_window or window_step "
            "returned"
        )
