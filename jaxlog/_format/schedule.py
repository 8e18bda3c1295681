"""The steps at which a call logs, as the settings and the call's own arguments choose them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

_T = TypeVar("_T")

DEFAULT = "default"
"""The entry of a setting by call that applies to all calls without an entry."""
EVALUATIONS = ("eval", "evaluation", "test", "val", "validation")
"""The first words of the names of calls that log an evaluation."""


@dataclass(frozen=True)
class Schedule:
    """The steps at which one call logs.

    Attributes:
      log_frequency: statistics and scalars are due at multiples of this step.
      sample_frequency: episodes are sampled at multiples of this step; None for no sampling.
      total_updates: the number of updates that the call logs, if known: both are due at the last.
    """

    log_frequency: int
    sample_frequency: int | None = None
    total_updates: int | None = None

    @property
    def last_step(self) -> int | None:
        """The last step; None if it is not known."""
        return None if self.total_updates is None else self.total_updates - 1


def is_due(step: Any, remainder: Any, last_step: int | None) -> Any:
    """Returns whether a step is due, for integers of Python, NumPy and JAX.

    Args:
      step: the index of the update.
      remainder: the remainder of the step's division by the frequency.
      last_step: the last step, at which it is due, too; None if it is not known.
    """
    due = remainder == 0
    if last_step is not None:
        due |= step == last_step
        due |= step == last_step + 1  # for a counter from 1, about which the host warns
    return due


def is_evaluation(call: str) -> bool:
    """True if the first word of a call's name is one of `EVALUATIONS`.

    >>> is_evaluation("eval"), is_evaluation("test_hard"), is_evaluation("evaluator")
    (True, True, False)
    """
    return re.split(r"[_.-]", call, maxsplit=1)[0] in EVALUATIONS


def of_call(setting: _T | Mapping[str, _T], call: str, default: _T) -> _T:
    """The value of a setting for one call; `default` if the setting has none for it.

    >>> of_call({"default": 50, "eval": 1}, "batch", 10), of_call({"eval": 1}, "batch", 10)
    (50, 10)
    """
    if not isinstance(setting, Mapping):
        return setting
    return setting.get(call, setting.get(DEFAULT, default))


def has_own(setting: object, call: str) -> bool:
    """True if a setting has an entry for one call."""
    return isinstance(setting, Mapping) and call in setting
