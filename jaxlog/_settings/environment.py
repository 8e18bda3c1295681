"""Environment variables: those of jaxlog, `CI`, and those that change what a program computes."""

from __future__ import annotations

import os

from jaxlog._errors import ConfigError

_VALUES = {"": True, "on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


def switched_on() -> bool:
    """Returns whether jaxlog may log at all, regardless of the settings.

    Raises:
      ConfigError: the variable `JAXLOG` is neither on nor off.
    """
    value = os.environ.get("JAXLOG", "")
    if value.lower() not in _VALUES:
        raise ConfigError(f"the environment variable JAXLOG: got {value!r}, expected 'off' or 'on'")
    return _VALUES[value.lower()]


def native_crossing() -> bool:
    """Returns whether programs may call C to log, where they can.

    Raises:
      ConfigError: `JAXLOG_CROSSING` is neither `native` nor `callback`.
    """
    value = os.environ.get("JAXLOG_CROSSING", "") or "native"
    if value not in ("native", "callback"):
        raise ConfigError(
            f"the environment variable JAXLOG_CROSSING: got {value!r}, takes 'native' or 'callback'"
        )
    return value == "native"


def in_ci() -> bool:
    """True in continuous integration, which sets the variable `CI`."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


_RECORDED = ("JAX", "XLA_", "TF_CPP_", "LIBTPU_", "NCCL_", "OMP_", "SLURM_JOB_ID", "SLURM_ARRAY_")
"""The beginnings of variables that are recorded."""
_RECORDED_WHOLE = frozenset(
    {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "TPU_VISIBLE_CHIPS", "PYTHONHASHSEED"}
    | {"JPY_SESSION_NAME"}  # the notebook, in Jupyter
)


def recorded_variables() -> dict[str, str]:
    """The variables that may change what a program computes, or say which job it is."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_RECORDED) or name in _RECORDED_WHOLE
    }


def variable(name: str) -> str | None:
    """The value of a variable that the settings name; None if it is not set, or is empty."""
    return os.environ.get(name) or None
