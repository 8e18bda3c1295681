"""Lines that speak of all updates since the last: a window, carried through the program."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxlog._calls.call import inputs_of, nothing, plan_of, plan_of_rest, send
from jaxlog._calls.order import refuse_swapped
from jaxlog._format.names import check_call
from jaxlog._logger import Logger
from jaxlog._program import checks, devices
from jaxlog._program.record import Inputs, Record, update_window
from jaxlog._program.window import Window


def empty_window(
    logger: Logger, metrics: Mapping[str, Any], *, where: Any = None, name: str = "batch"
) -> Window:
    """The window to begin with, for `window_step`.

    Args:
      logger: made before the program is traced.
      metrics: what `window_step` will be given, or something like it: a scalar for a scalar, any
        array of the dtype, like `jnp.zeros(1)`, for one with a value per episode, or what
        `jax.eval_shape` returns. Values are not used. Under `shard_map`, with its checks, give
        what `window_step` is given: a window varies over the devices as that does.
      where: likewise. It may be left out where `batch_step` needs none.
      name: of the call: the prefix of keys, the name of the file.

    Returns:
      A pytree with nothing in it yet, to be carried by `scan`, and stored beside the state of
      training. With logging off it has no leaves.

    Raises:
      TypeError: as `batch_step`.
      ValueError: as `batch_step`.

    >>> logger = Logger({})
    >>> int(empty_window(logger, {"loss": 0.0}).updates)
    0
    """
    refuse_swapped("empty_window(logger, metrics)", logger, metrics)
    if not isinstance(logger, Logger):
        raise TypeError(f"logger: got {type(logger).__name__}, expected a jaxlog.Logger")
    check_call(name)

    def nothing(leaf: Any) -> Any:
        abstract = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.zeros(leaf.shape, leaf.dtype) if abstract else jnp.zeros_like(leaf)

    given, mask = jax.tree.map(nothing, (dict(checks.mapping("metrics", metrics)), where))
    given, mask = checks.metrics(given), checks.mask(mask)
    arrays = {key: jnp.asarray(value) for key, value in given.items()}
    mask = None if mask is None else jnp.asarray(mask)
    inputs = Inputs(jnp.int32(0), None, arrays, mask, {}, {})
    plan = plan_of(logger, name, inputs, ())
    if not logger.enabled:
        return Window(name=name)

    def empty(inputs: Inputs[jax.Array]) -> Window:
        return update_window(plan, inputs, with_scalars=True).emptied_where(jnp.bool_(True))

    return devices.with_automatic_axes(empty)(inputs)


def window_step(
    logger: Logger,
    window: Window,
    step: ArrayLike,
    metrics: Mapping[str, ArrayLike] | None = None,
    *,
    where: ArrayLike | None = None,
    details: Any = None,
    indices: ArrayLike | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
    when: ArrayLike = True,
    axis_name: str | Sequence[str] | None = None,
) -> tuple[Record | None, Window]:
    """Logs as `batch_step` does, but each line speaks of all updates since the last one.

    Every update is merged into the window, due or not; where a line is due, it is of the window,
    which is then empty. A scalar is logged as its mean over the updates in it, those that are not
    finite counted and left out. Lines also have `update_count`. Sampled episodes are those of the
    update itself, as with `batch_step`.

    If the logger has `total_updates`, the last line takes the rest; otherwise `log_window` does.

    Args:
      logger: as for `batch_step`.
      window: what the call before returned, at first `empty_window`.
      step: as for `batch_step`, as are all that follow. `when` being False logs nothing, but the
        update counts.
      metrics: with the same names, shapes and dtypes at every step.
      where: see `batch_step`.
      details: see `batch_step`.
      indices: see `batch_step`.
      labels: see `batch_step`.
      when: see `batch_step`.
      axis_name: see `batch_step`. The window is that of each share; they are merged when it is due.

    Returns:
      What `batch_step` returns, and the window for the next call.

    Raises:
      TypeError: as `batch_step`, or `window` is no window.
      ValueError: as `batch_step`, or the window was made for other metrics.

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
    axis_names, inputs = inputs_of(
        logger,
        "window_step(logger, window, step, metrics)",
        step,
        metrics,
        where=where,
        details=details,
        indices=indices,
        labels=labels,
        when=when,
        axis_name=axis_name,
        name=window.name,
    )
    plan = plan_of(logger, window.name, inputs, axis_names)
    if not logger.enabled:
        return nothing(logger), window
    mine, its = plan.told, dict(window.told)
    differ = sorted(key for key in mine.keys() | its.keys() if mine.get(key) != its.get(key))
    if (plan.batch_shape is None) != (window.count is None):
        differ.append("where")
    if differ:
        raise ValueError(
            f"window: was made for other metrics or settings; these differ: {', '.join(differ)}; "
            "give empty_window what window_step is given"
        )
    plan = dataclasses.replace(plan, logged=window.told)
    made, emptied = send(logger, plan, inputs, window, details=details)
    assert emptied is not None
    return made, emptied


def log_window(
    logger: Logger,
    window: Window,
    step: ArrayLike,
    *,
    labels: Mapping[str, ArrayLike] | None = None,
    axis_name: str | Sequence[str] | None = None,
) -> Record | None:
    """Logs what is left in a window, if there is anything: at the end of a run of unknown length.

    It may stand in the program, behind the scan, or in plain Python, given what the program
    returned. Under `vmap` each lane's window has a line; `grad` passes by, as with `batch_step`.

    Args:
      logger: as for `window_step`.
      window: what the last `window_step` returned.
      step: `int[]`, under which it is logged.
      labels: as for `batch_step`.
      axis_name: as for `batch_step`.

    Returns:
      What `batch_step` returns.

    Raises:
      TypeError: as `batch_step`, or `window` is no window.
      ValueError: as `batch_step`.

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
        details=None,
        indices=None,
        labels=labels,
        when=True,
        axis_name=axis_name,
        name=window.name,
    )
    if not logger.enabled:
        return nothing(logger)
    plan = plan_of_rest(logger, window, inputs, axis_names)
    return send(logger, plan, inputs, window)[0]


def _check(window: Any) -> None:
    if not isinstance(window, Window):
        raise TypeError(
            f"window: got {type(window).__name__}, expected what empty_window or window_step "
            "returned"
        )
