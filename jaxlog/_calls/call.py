"""The steps that every logging call takes: check its arguments, record, send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxlog._calls.plan import logged_names
from jaxlog._calls.schedule import schedule_of
from jaxlog._crossing.jax_private import in_branch, tracing
from jaxlog._crossing.primitive import emit
from jaxlog._format.names import check_call
from jaxlog._format.schedule import is_due
from jaxlog._host.media import without_media
from jaxlog._host.watch import Traced
from jaxlog._limits import add_named
from jaxlog._logger import Logger
from jaxlog._program import checks, devices
from jaxlog._program.leaves import leaves, rebuild
from jaxlog._program.parts import Parts
from jaxlog._program.record import Inputs, Packed, Plan, Record, record
from jaxlog._program.window import Window


def inputs_of(
    logger: Logger,
    call: str,
    step: ArrayLike,
    metrics: Mapping[str, Any] | None,
    *,
    where: ArrayLike | None,
    values: Mapping[str, Any] | None,
    details: Any,
    indices: ArrayLike | None,
    labels: Mapping[str, Any] | None,
    when: ArrayLike,
    axis_name: str | Sequence[str] | None,
    name: str,
    arrays: Mapping[str, ArrayLike] | None = None,
) -> tuple[tuple[str, ...], Inputs[ArrayLike]]:
    """Checks the arguments of a call; returns the named axes and the checked inputs."""
    if not isinstance(logger, Logger):
        raise TypeError(f"logger: got {type(logger).__name__}, expected a jaxlog.Logger")
    if metrics is None and (values is not None or arrays is not None):
        metrics = None if isinstance(step, Mapping) else {}
    if metrics is None:
        raise TypeError(
            f"step: is missing; call {call}, with the index of the update, an integer, as step"
        )
    check_call(name)
    metrics, images, captions = checks.images("metrics", metrics)
    values, more, more_captions = checks.images("values", values)
    add_named("values", images, more)
    function = call.partition("(")[0]
    axis_names = checks.axes(axis_name, function, live=logger.settings.delivery == "live")
    counter, condition = checks.step(step), checks.condition(when)
    inputs = Inputs(
        step=counter,
        when=condition,
        **checks.metrics_and_values(metrics, values),
        where=checks.mask(where),
        details=checks.details(details),
        labels=checks.labels(labels),
        indices=checks.indices(indices, axis_names),
        arrays=_with_images(checks.arrays(arrays), images),
        images=tuple((captions | more_captions).items()),
    )
    return axis_names, inputs


def _with_images(
    arrays: dict[str, ArrayLike], images: Mapping[str, ArrayLike]
) -> dict[str, ArrayLike]:
    add_named("arrays", arrays, images)
    return arrays


def send(
    logger: Logger,
    plan: Plan,
    inputs: Inputs[ArrayLike],
    window: Window | None = None,
    *,
    details: Any = None,
) -> tuple[Record | None, Window | None]:
    """Computes the record of a call, and sends it to the host unless `delivery` is `return`.

    Args:
      logger: the logger of the call.
      plan: what `plan_of` or `plan_of_rest` returned.
      inputs: what `inputs_of` returned.
      window: the window to log, for `window_step` and `log_window`.
      details: the details as the user passed them; the host rebuilds this pytree for each episode.

    Returns:
      The record if `delivery` is `return`, else None; and the window for the next call, if any.
    """
    if not tracing():
        inputs, window = devices.together((inputs, window))
    made, window = devices.with_automatic_axes(partial(_record, plan))((inputs, window))
    traced = Traced(
        plan.name,
        plan.log_frequency,
        inputs.when is not None,
        in_branch(),
        plan.rest,
        None if plan.last_step is None else plan.last_step + 1,
    )
    assert made.schema is not None
    logger._learn(made.schema, rebuild(details), traced)
    if isinstance(made, Record):
        return made, window
    due = devices.only_first(made.due)
    number = made.schema.call_number
    emit(due, made.head, made.rest, handle=logger._handle, call_number=number)
    return None, window


def empty_record(logger: Logger) -> Record | None:
    """Returns the result of a call that logs nothing: a record without leaves, or None."""
    return Record() if logger.settings.delivery == "return" else None


def due_in_python(
    logger: Logger, name: str, step: Any, when: Any, every: Any, total_updates: Any
) -> bool | None:
    """True if the step is due, False if not; None if only the program knows it."""
    if not isinstance(logger, Logger) or logger.settings.delivery != "live":
        return None
    if isinstance(step, bool) or not isinstance(step, int | np.integer):
        return None
    if not isinstance(when, bool | np.bool_) or step < 0:
        return None
    if not when:
        return False
    schedule = schedule_of(logger, name, every, total_updates)
    due = bool(is_due(step, step % schedule.log_frequency, schedule.last_step))
    logger._called(name, int(step), schedule, due=due)
    return due


def log_from_python(
    logger: Logger,
    name: str,
    step: Any,
    values: Any,
    labels: Any,
    arrays: Any,
    total_updates: int | None,
) -> bool:
    """Logs without a program; returns False, with nothing logged, if it needs one."""
    if values is None and arrays is not None:
        values = {}
    if tracing() or not isinstance(values, Mapping):
        return False
    check_call(name)
    values = leaves("values", values)
    values, media = without_media(values)
    if any(isinstance(value, Parts | Tracer) or np.shape(value) for value in values.values()):
        return False
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((labels, arrays, media))):
        return False
    arrays = checks.arrays(arrays)
    if (engine := logger._writing_engine()) is None:
        return True
    names = (*values, *media, *arrays)
    logged = set(logged_names(logger.settings, names, name))
    engine.log(
        {key: value for key, value in {**values, **media}.items() if key in logged},
        step=step,
        labels=labels,
        name=name,
        arrays={key: value for key, value in arrays.items() if key in logged},
        total_updates=None if total_updates == logger.total_updates else total_updates,
    )
    return True


def _record(
    plan: Plan, arguments: tuple[Inputs[ArrayLike], Window | None]
) -> tuple[Packed | Record, Window | None]:
    return record(plan, *arguments)
