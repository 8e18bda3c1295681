"""Names that users of other loggers type, and what to write here instead."""

from __future__ import annotations

from collections.abc import Mapping

_OPEN = (
    "`logger = jaxlog.Logger(settings)`, and `with logger.open('runs/first', config={...}) as run:`"
)
_CLOSE = "`run.close()`, or leave the block of `with logger.open(...) as run:`"
_HYPER_PARAMETERS = "`logger.open('runs/first', config={...})`, and read them as `run.info.config`"
_WATCH = (
    "`jaxlog.log(logger, step, {'gradient_norm': optax.global_norm(grads)})`: jaxlog logs the "
    "values it is given"
)
_BATCH_STEP = "`jaxlog.batch_step(logger, step, metrics)`"
_CALLS = {
    "batch_step": _BATCH_STEP,
    "log_batch_step": _BATCH_STEP,
    "window_step": "`jaxlog.window_step(logger, window, step, metrics)`",
    "log_window": "`jaxlog.log_window(logger, window, step)`",
}

OF_MODULE = {"init": _OPEN, "finish": _CLOSE, "config": _HYPER_PARAMETERS, "watch": _WATCH}
OF_LOGGER = _CALLS | {
    "log": "`jaxlog.log(logger, step, values)`",
    "init": "`with logger.open('runs/first', config={...}) as run:`",
    "finish": _CLOSE,
    "close": _CLOSE,
    "config": _HYPER_PARAMETERS,
    "watch": _WATCH,
}
OF_RUN = _CALLS | {
    "finish": _CLOSE,
    "config": "`run.info.config`",
    "watch": _WATCH,
    "write": "`logger.write(records)`",
    "log_task_start": "`logger.log_task_start(task)`",
    "log_step": "`logger.log_step(step)`",
    "log_episode_summary": "`logger.log_episode_summary(summary)`",
    "log_evaluation_summary": "`logger.log_evaluation_summary(summary)`",
}


def refuse_foreign(owner: str, name: str, known: Mapping[str, str]) -> None:
    """Raises an `AttributeError` with the name to use here, if `name` comes from another logger."""
    if name in known:
        raise AttributeError(f"{owner} has no attribute {name!r}; in jaxlog, write {known[name]}")
