"""Environment variables: `JAXLOG=off` switches jaxlog off; `CI` means that nobody watches."""

from __future__ import annotations

import os

from jaxlog._settings.problems import ConfigError

_VALUES = {"": True, "on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


def switched_on() -> bool:
    """Whether jaxlog may log at all, regardless of the settings.

    Raises:
      ConfigError: the variable `JAXLOG` is neither on nor off.
    """
    value = os.environ.get("JAXLOG", "")
    if value.lower() not in _VALUES:
        raise ConfigError(f"the environment variable JAXLOG: got {value!r}, expected 'off' or 'on'")
    return _VALUES[value.lower()]


def in_ci() -> bool:
    """Whether this runs in continuous integration, which sets the variable `CI`."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")
