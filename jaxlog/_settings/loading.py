"""Loads settings from a file, a dict, a model or a node of OmegaConf."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jaxlog._caller import warn_caller
from jaxlog._errors import ConfigError, ConfigWarning
from jaxlog._paths import local_path
from jaxlog._settings import omegaconf_nodes
from jaxlog._settings.advice import advice
from jaxlog._settings.deprecated import without_deprecated
from jaxlog._settings.inheritance import inherited
from jaxlog._settings.models import LoggingConfig
from jaxlog._settings.overrides import changed, overridden
from jaxlog._settings.problems import describe
from jaxlog._settings.source import Source, of_file, of_mapping
from jaxlog._settings.typed import SettingsDict
from jaxlog._settings.wording import key_of


def load_config(
    source: str | os.PathLike[str] | SettingsDict | Mapping[str, Any] | LoggingConfig,
    *overrides: str,
    **changes: Any,
) -> LoggingConfig:
    """Loads settings from a YAML file or a dict, and validates them.

    Args:
      source: a file's path; a dict with the same keys; a node of OmegaConf or Hydra; or a
        `LoggingConfig`. With the key `extends: other.yaml`, settings of that file apply where
        `source` has none; in a dict, its path is relative to the working directory.
      *overrides: settings that replace those of `source`, as texts like `"log_frequency=5"` and
        `"sinks.wandb.mode=offline"`; `*sys.argv[1:]`, for example. Their values are read as YAML.
      **changes: settings by name, which replace those of `source` and of `overrides`.

    Raises:
      ConfigError: settings cannot be used. The text has a line for each problem: the file, line and
        column, or the override; the key, the value, and what was expected.
      TypeError: `source` has another type, or an override is not a text.

    Warns:
      ConfigWarning: settings contradict each other.
      DeprecationWarning: there are keys of an older logger, which have no effect.

    >>> config = load_config({"sinks": [{"kind": "jsonl"}]}, "log_frequency=5", strict=True)
    >>> config.log_frequency, config.strict
    (5, True)
    """
    # First, since isinstance(source, LoggingConfig) raises for a node that is null.
    is_node = omegaconf_nodes.is_node(source)
    before = source if not is_node and isinstance(source, LoggingConfig) else None
    if before is not None and not (overrides or changes):
        return before
    given = _given(source) if before is None else _loaded(before)
    for text in overrides:
        given = overridden(given, text)
    given, deprecated = without_deprecated(changed(given, changes))
    try:
        loaded = LoggingConfig.model_validate(given.data)
    except ValidationError as error:
        found = [
            (given.place(at), at, text) for at, text in describe(error, LoggingConfig, given.data)
        ]
        found.sort(key=lambda problem: problem[0].order)
        lines = (f"{place}: {key_of(at)}: {text}" for place, at, text in found)
        raise ConfigError("\n".join(lines)) from None
    if deprecated:
        warn_caller(deprecated, DeprecationWarning)
    known = [] if before is None else list(advice(before, _loaded(before).place))
    for at, text in advice(loaded, given.place):
        if (at, text) not in known:
            warn_caller(f"{given.place(at)}: {key_of(at)}: {text}", ConfigWarning)
    return loaded


def _given(source: Any) -> Source:
    """The settings of the user, merged with those that they extend."""
    # A DictConfig is a Mapping, and a ListConfig is refused.
    if isinstance(source, Mapping):
        return inherited(of_mapping(source, "settings"), Path())
    if isinstance(source, str | os.PathLike):
        try:
            path = local_path(source, "settings")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return inherited(of_file(path), path.parent, path)
    raise TypeError(
        f"settings: got {source!r:.100}, expected a path, a dict or a LoggingConfig"
        + _remedy(source)
    )


def _loaded(config: LoggingConfig) -> Source:
    """The keys that were set in validated settings."""
    return of_mapping({key: getattr(config, key) for key in config.model_fields_set}, "settings")


def _remedy(given: Any) -> str:
    """The remedy for an object that is not settings."""
    if omegaconf_nodes.is_node(given):
        return "; give the node that has the keys, this one is a list"
    if hasattr(type(given), "model_dump"):
        return "; of another model, give model_dump()"
    return ""
