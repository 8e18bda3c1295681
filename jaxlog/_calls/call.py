"""The steps that every logging call takes: check its arguments, plan, record, send."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxlog._calls.schedule import schedule_of
from jaxlog._crossing.jax_private import in_branch, tracing
from jaxlog._crossing.primitive import emit
from jaxlog._format.names import KNOWN, PER_STEP, check_call, look_up
from jaxlog._format.schedule import Schedule, is_due
from jaxlog._host.watch import Traced
from jaxlog._logger import Logger
from jaxlog._program import checks, devices
from jaxlog._program.parts import Origin, Parts, origins
from jaxlog._program.record import Inputs, Plan, Record, record
from jaxlog._program.statistics import accumulator
from jaxlog._program.summary import REDUCTIONS, Kind, MetricStatistics
from jaxlog._program.window import Window
from jaxlog._say import log as _log
from jaxlog._settings import LoggingConfig
from jaxlog._settings.wording import suggestion


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
    function = call.partition("(")[0]
    axis_names = checks.axes(axis_name, function, live=logger.settings.delivery == "live")
    counter, condition = checks.step(step), checks.condition(when)
    of_metrics, parts = checks.metrics({} if metrics is None else metrics)
    whole, parts_of_whole = checks.metrics({} if values is None else values, "values")
    checks.separate(of_metrics, whole)
    inputs = Inputs(
        step=counter,
        when=condition,
        metrics=of_metrics | whole,
        where=checks.mask(where),
        details=checks.details(details),
        labels=checks.labels(labels),
        indices=checks.indices(indices, axis_names),
        arrays=checks.arrays(arrays),
        values=tuple(whole),
        parts=tuple((parts | parts_of_whole).items()),
    )
    return axis_names, inputs


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
    assert made.due is not None
    assert made.words is not None
    assert made.schema is not None
    traced = Traced(
        plan.name,
        plan.log_frequency,
        inputs.when is not None,
        in_branch(),
        plan.rest,
        None if plan.last_step is None else plan.last_step + 1,
    )
    logger._learn(made.schema, checks.rebuild(details), traced)
    if logger.settings.delivery == "return":
        return made, window
    due = devices.only_first(made.due)
    emit(due, made.words, handle=logger._handle, call_number=made.schema.call_number)
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
    values = checks.leaves("values", values)
    if any(isinstance(value, Parts | Tracer) or np.shape(value) for value in values.values()):
        return False
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((labels, arrays))):
        return False
    arrays = checks.arrays(arrays)
    if (engine := logger._writing_engine()) is None:
        return True
    names = (*values, *arrays)
    logged = set(_logged(logger.settings, _kept(logger.settings, names, name)))
    engine.log(
        {key: value for key, value in values.items() if key in logged},
        step=step,
        labels=labels,
        name=name,
        arrays={key: value for key, value in arrays.items() if key in logged},
        total_updates=None if total_updates == logger.total_updates else total_updates,
    )
    return True


def _record(
    plan: Plan, arguments: tuple[Inputs[ArrayLike], Window | None]
) -> tuple[Record, Window | None]:
    return record(plan, *arguments)


def plan_of(
    logger: Logger,
    name: str,
    inputs: Inputs[Any],
    axis_names: tuple[str, ...],
    schedule: Schedule,
    *,
    of_window: bool = False,
) -> Plan:
    """Applies the settings to one call.

    Args:
      logger: the logger of the call.
      name: the name of the call.
      inputs: what `inputs_of` returned.
      axis_names: the named axes that divide the batch.
      schedule: when the call logs.
      of_window: whether it is for an empty window, which does not know the arrays of its call, so
        that `include` and `exclude` may have other names.
    """
    settings, parts = logger.settings, dict(inputs.parts)
    of_batch = {key: value for key, value in inputs.metrics.items() if key not in inputs.values}
    batch_shape = checks.batch_shape(of_batch, inputs.where, inputs.details, inputs.indices, parts)
    metrics = origins(tuple(inputs.metrics), parts)
    kinds: dict[str, Kind] = {key: _kind(inputs, origin) for key, origin in metrics.items()}
    if inputs.where is not None:
        _warn_of_steps(logger, name, [key for key, kind in kinds.items() if kind == "episode"])
    every = dict.fromkeys(_kept(settings, (*metrics, *inputs.arrays), name, others=of_window))
    kept = [key for key in every if key in metrics]
    logged = _logged(settings, kept)  # an episode's summary has all that are kept
    arrays = _logged(settings, [key for key in every if key in inputs.arrays])
    checks.array_bytes({key: inputs.arrays[key] for key in arrays}, settings.max_array_bytes)
    if isinstance(settings.statistics, Mapping):
        named = [key for key in settings.statistics if key != "default"]
        _named_in("statistics", named, tuple(metrics), name)
    _named_in("histograms", settings.histograms, tuple(metrics), name)
    samples = settings.num_samples if inputs.indices is None else np.size(inputs.indices)
    if schedule.sample_frequency is None or not batch_shape:
        samples = 0
    return Plan(
        name=name,
        batch_shape=batch_shape,
        log_frequency=schedule.log_frequency,
        sample_frequency=schedule.sample_frequency or 1,
        last_step=schedule.last_step,
        num_samples=samples,
        sample_seed=settings.sample_seed,
        logged=tuple(
            (key, _statistics_of(logger, name, key, metrics[key], kinds[key], inputs))
            for key in logged
        ),
        sampled=tuple((key, metrics[key]) for key in kept if kinds[key] == "episode"),
        labels=tuple(inputs.labels),
        axis_names=axis_names,
        returned=settings.delivery == "return",
        arrays=tuple(arrays),
    )


def _warn_of_steps(logger: Logger, call: str, metrics: Iterable[str]) -> None:
    """Warns once of metrics that seem to have a value per environment step, not per episode."""
    for key in metrics:
        if key.rpartition("/")[2] in PER_STEP and logger._first_time(f"{call}/{key}"):
            _log.warning(
                "jaxlog: the call %r: metrics[%r] seems to have a value for each environment step, "
                "of which where= keeps those at which an episode ended. If all of them count, pass "
                "it in values=. Said once.",
                call,
                key,
            )


def reduced(plan: Plan, reduce: Mapping[str, str]) -> Plan:
    """Chooses how a window reduces scalars, by the names of metrics or the beginnings of names.

    Raises:
      ValueError: a reduction does not exist, or a name is that of no scalar of the call.
    """
    scalars = tuple(key for key, spec in plan.logged if spec.kind == "scalar")
    chosen: dict[str, str] = {}
    for name in sorted(reduce):  # a longer name comes later, and wins
        if (reduction := reduce[name]) not in REDUCTIONS:
            raise ValueError(
                f"reduce[{name!r}]: got {reduction!r}, expected one of {', '.join(REDUCTIONS)}"
            )
        if not (of_name := _beginning_with(name, scalars)):
            raise ValueError(
                f"reduce: got {name!r}, expected a scalar of the call "
                f"{plan.name!r}{suggestion(name, scalars)} (its scalars are: "
                f"{', '.join(scalars) or 'none'}); for an array, choose statistics in the settings"
            )
        chosen |= dict.fromkeys(of_name, reduction)
    logged = [
        (key, dataclasses.replace(spec, reduction=chosen.get(key, spec.reduction)))
        for key, spec in plan.logged
    ]
    return dataclasses.replace(plan, logged=tuple(logged))


def _kind(inputs: Inputs[Any], origin: Origin) -> Kind:
    num_axes = np.ndim(inputs.metrics[origin.name]) - (origin.part is not None)
    if not num_axes:
        return "scalar"
    return "array" if origin.name in inputs.values else "episode"


def _kept(
    settings: LoggingConfig, metrics: tuple[str, ...], call: str, *, others: bool = False
) -> list[str]:
    """The metrics of a call that `include` and `exclude` let through."""
    include = _named_in("include", settings.include, metrics, call, others=others)
    exclude = _named_in("exclude", settings.exclude, metrics, call, others=others)
    return [m for m in metrics if (m in include or not settings.include) and m not in exclude]


def _logged(settings: LoggingConfig, metrics: list[str]) -> list[str]:
    """The metrics whose category the settings do not switch off."""
    return [m for m in metrics if getattr(settings, look_up(m).setting or "", True)]


def plan_of_rest(
    logger: Logger, window: Window, inputs: Inputs[Any], axis_names: tuple[str, ...]
) -> Plan:
    """Plans to log the rest of a window, with the statistics that the window has."""
    return Plan(
        name=window.name,
        batch_shape=None,
        log_frequency=1,
        sample_frequency=1,
        last_step=None,
        num_samples=0,
        sample_seed=0,
        logged=window.logged,
        sampled=(),
        labels=tuple(inputs.labels),
        axis_names=axis_names,
        returned=logger.settings.delivery == "return",
        rest=True,
    )


def _statistics_of(
    logger: Logger, name: str, metric: str, origin: Origin, kind: Kind, inputs: Inputs[Any]
) -> MetricStatistics:
    """The statistics that the settings choose for one metric."""
    dtype, settings = jnp.result_type(inputs.metrics[origin.name]), logger.settings
    statistics, edges = settings.statistics_of(name, metric), settings.edges_of(name, metric)
    if kind == "scalar" or look_up(metric).rate or dtype == np.bool_:
        fixed = "" if kind == "scalar" else "rate"
        by_name = settings.statistics if isinstance(settings.statistics, Mapping) else {}
        for setting, names in (("statistics", by_name), ("histograms", settings.histograms)):
            if metric in names or f"{name}/{metric}" in names:
                raise ValueError(
                    f"settings: {setting}: names {metric!r}, which is "
                    f"{'a scalar' if kind == 'scalar' else 'an array of bools'}, so only "
                    f"{'its value' if kind == 'scalar' else 'its rate'} is logged; leave it out"
                )
        statistics, edges = (fixed,), ()
    return MetricStatistics(
        statistics,
        origin,
        edges,
        kind=kind,
        floating=bool(jnp.issubdtype(dtype, np.floating)),
        accumulator=accumulator(dtype).name,
        # The mean of a counter, such as that of gradient steps, is no count that ever was.
        reduction="last" if kind == "scalar" and jnp.issubdtype(dtype, np.integer) else "mean",
    )


def _named_in(
    setting: str,
    entries: Iterable[str],
    metrics: tuple[str, ...],
    call: str,
    *,
    others: bool = False,
) -> set[str]:
    """The metrics of a call that a setting names, by NAME or by CALL/NAME.

    Other names are refused, unless `others` allows them.

    NAME is a metric, or the beginning of the names of several: `actor` is also `actor/loss`.
    """
    found = set()
    for entry in entries:
        prefix, slash, bare = entry.partition("/")  # a call's name has no slash, a metric's may
        if not slash:
            prefix, bare = "", entry
        of_a_metric = any(metric.startswith(f"{prefix}/") for metric in metrics)
        if of_entry := _beginning_with(entry, metrics):
            found |= of_entry
        elif prefix == call and (of_bare := _beginning_with(bare, metrics)):
            found |= of_bare
        elif others or (prefix not in ("", call) and not of_a_metric) or entry in KNOWN:
            continue  # it is about another call, or names a metric that another call may have
        else:
            raise ValueError(
                f"settings: {setting}: got {entry!r}, which is no metric of the call "
                f"{call!r}{suggestion(bare, [*metrics, *KNOWN])} "
                f"(its metrics are: {', '.join(metrics)}; for one of another call write "
                f"NAME_OF_THE_CALL/{bare})"
            )
    return found


def _beginning_with(name: str, metrics: tuple[str, ...]) -> set[str]:
    return {metric for metric in metrics if metric == name or metric.startswith(f"{name}/")}
