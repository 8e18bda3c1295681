"""An error for arguments that were passed in the wrong order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxlog._logger import Logger
from jaxlog._program.window import Window

_KINDS = {
    "logger": "a Logger",
    "window": "a window",
    "step": "a number",
    "metrics": "a dict",
    "values": "a dict",
}


def refuse_swapped(call: str, *arguments: Any) -> None:
    """Raises a `TypeError` that shows the right order if the arguments are in a wrong one.

    Args:
      call: the function with its parameters, like `log_window(logger, window, step)`.
      *arguments: one for each parameter, in this order; None for a trailing one that was left out.
    """
    function, _, names = call.rstrip(")").partition("(")
    kinds = [_kind(value) for value in arguments if value is not None]
    expected = [_KINDS[name] for name in names.split(", ")][: len(kinds)]
    if kinds != expected and sorted(kinds) == sorted(expected):
        raise TypeError(f"{function}: got ({', '.join(kinds)}), expected {call}, in this order")


def _kind(value: Any) -> str:
    if isinstance(value, Logger):
        return _KINDS["logger"]
    if isinstance(value, Window):
        return _KINDS["window"]
    if isinstance(value, Mapping):
        return _KINDS["metrics"]
    if isinstance(value, int | float | np.generic | np.ndarray | jax.Array):
        return _KINDS["step"]
    return type(value).__name__
