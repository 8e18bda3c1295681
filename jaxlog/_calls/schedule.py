"""The schedule of a call, from its arguments and the settings, while a program is traced."""

from __future__ import annotations

import dataclasses
from typing import Any

from jax.core import Tracer

from jaxlog._format.schedule import Schedule
from jaxlog._logger import Logger


def schedule_of(
    logger: Logger, name: str, every: int | None = None, total_updates: int | None = None
) -> Schedule:
    """Returns the steps at which a call logs; the same arguments return the same object, quickly.

    Args:
      logger: the logger of the call.
      name: the name of the call.
      every: the number of updates from one line to the next; None for that of the settings.
      total_updates: the number of updates that the call logs; None for that of the logger.

    Raises:
      TypeError: `every` or `total_updates` is not a Python int.
      ValueError: it is below 1 or above 2^31 - 1.
    """
    if every is not None:
        _check("every", every)
    if total_updates is not None:
        _check("total_updates", total_updates)
    key = name, every, total_updates
    found = logger._schedules.get(key)
    if found is None:
        found = logger.settings.schedule_of(name)
        found = dataclasses.replace(
            found,
            log_frequency=found.log_frequency if every is None else every,
            total_updates=logger.total_updates if total_updates is None else total_updates,
        )
        logger._schedules[key] = found
    return found


def _check(argument: str, value: Any) -> None:
    if isinstance(value, Tracer):
        raise TypeError(
            f"{argument}: got a traced {value.dtype.name}{list(value.shape)}, expected a Python "
            "int, because it is a constant of the program; pass a condition that the program "
            "computes as when="
        )
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}: got {value!r:.60}, expected a Python int or None")
    if not 1 <= value < 2**31:
        raise ValueError(f"{argument}: got {value}, expected 1 to 2**31 - 1")
