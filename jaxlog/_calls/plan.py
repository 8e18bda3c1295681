"""Plans a call: which metrics it logs, with which statistics, as the settings say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlog._format.names import KNOWN, PER_STEP, look_up
from jaxlog._format.schedule import Schedule
from jaxlog._logger import Logger
from jaxlog._program import checks
from jaxlog._program.parts import Origin, origins
from jaxlog._program.record import Inputs, Plan
from jaxlog._program.statistics import accumulator
from jaxlog._program.summary import REDUCTIONS, Kind, MetricStatistics
from jaxlog._program.window import Window
from jaxlog._say import log as _log
from jaxlog._settings import LoggingConfig
from jaxlog._settings.wording import suggestion


def logged_names(settings: LoggingConfig, metrics: tuple[str, ...], call: str) -> list[str]:
    """The metrics of a call that are on its lines, in order."""
    return _logged(settings, _kept(settings, metrics, call))


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
    images = tuple((key, caption) for key, caption in inputs.images if key in arrays)
    whole = {key: inputs.arrays[key] for key in arrays}
    checks.array_bytes(whole, settings.max_array_bytes, dict(images))
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
        images=images,
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
