"""What the environment says: `JAXLOG=off` takes jaxlog out of a program; in `CI` nobody watches."""

from __future__ import annotations

import os

from jaxlog._settings.problems import ConfigError

_VALUES = {"": True, "on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


def switched_on() -> bool:
    """Whether jaxlog may log at all; whatever the settings say.

    Raises:
      ConfigError: the variable `JAXLOG` says something else than on or off.
    """
    value = os.environ.get("JAXLOG", "")
    if value.lower() not in _VALUES:
        raise ConfigError(f"the environment variable JAXLOG: got {value!r}, takes 'off' or 'on'")
    return _VALUES[value.lower()]


def in_ci() -> bool:
    """Whether nobody watches: continuous integration sets the variable `CI`."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")
