"""From a file, a dict or a model to settings that hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jaxlog.settings import yaml_source
from jaxlog.settings.models import LoggingConfig
from jaxlog.settings.problems import ConfigError, Location, describe


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any] | LoggingConfig, **overrides: Any
) -> LoggingConfig:
    """The settings in a YAML file, or those given as a dict.

    Args:
      source: the file's path; or a dict with the same keys; or settings, which are returned as they
        are.
      **overrides: keys that take the place of those of the source.

    Raises:
      ConfigError: something in it cannot be used. The text has a line for each problem, with the
        file, line and column, the key, what it got and what it takes.
      TypeError: `source` is none of these.

    >>> load_config({"batched_logging_enabled": True}, log_frequency=5).log_frequency
    5
    """
    places: dict[Location, yaml_source.Position] = {}
    if isinstance(source, LoggingConfig):
        if not overrides:
            return source
        name, data = "settings", {key: getattr(source, key) for key in source.model_fields_set}
    elif isinstance(source, Mapping):
        name, data = "settings", dict(source)
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        name = str(path)
        data, places = yaml_source.read(path)
        data = {} if data is None else data
        if not isinstance(data, dict):
            raise ConfigError(
                f"{name}:1:1: got {type(data).__name__} {data!r:.60}, takes a mapping of settings, "
                "like `log_frequency: 10`"
            )
    else:
        raise TypeError(f"config: got {source!r}, expected a path, a dict or a LoggingConfig")
    data |= overrides
    for key in data:
        if not isinstance(key, str):
            raise ConfigError(f"{name}: got the key {key!r}, takes text")
    try:
        return LoggingConfig.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{'override' if at[0] in overrides else name + _position(places, at)}: "
            f"{'.'.join(map(str, at))}: {text}"
            for at, text in describe(error, LoggingConfig)
        ]
        raise ConfigError("\n".join(lines)) from None


def _position(places: Mapping[Location, yaml_source.Position], at: Location) -> str:
    """The place of a key, or of the nearest thing around it that the file has."""
    while at and at not in places:
        at = at[:-1]
    return "".join(f":{number}" for number in places.get(at, ()))
