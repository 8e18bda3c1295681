"""From a file, a dict, a model or a node of OmegaConf to settings that hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jaxlog._caller import warn_caller
from jaxlog._paths import local_path
from jaxlog._settings import omegaconf_nodes
from jaxlog._settings.advice import advice
from jaxlog._settings.deprecated import without_deprecated
from jaxlog._settings.inheritance import inherited
from jaxlog._settings.models import LoggingConfig
from jaxlog._settings.overrides import changed, overridden
from jaxlog._settings.problems import ConfigError, ConfigWarning, describe
from jaxlog._settings.source import Source, of_file, of_mapping
from jaxlog._settings.typed import SettingsDict
from jaxlog._settings.wording import key_of


def load_config(
    source: str | os.PathLike[str] | SettingsDict | Mapping[str, Any] | LoggingConfig,
    *overrides: str,
    **changes: Any,
) -> LoggingConfig:
    """The settings in a YAML file, or those given as a dict.

    Args:
      source: the file's path; or a dict with the same keys; or a node of OmegaConf or Hydra; or
        settings. Where a file or dict says `extends: other.yaml`, that file's settings are beneath
        its own; of a dict, the path is relative to the working directory.
      *overrides: settings that take the place of those of `source`, as texts like
        `"log_frequency=5"` and `"sinks.wandb.mode=offline"`, so that `*sys.argv[1:]` will do. Their
        values are read as YAML.
      **changes: keys of settings with their values, which go before all else.

    Raises:
      ConfigError: something in it cannot be used. The text has a line for each problem, with the
        file, line and column, or the override; the key, what it got and what it takes.
      TypeError: `source` is none of these, or an override is no text.

    Warns:
      ConfigWarning: settings make no sense together.
      DeprecationWarning: there are keys of an older design, which nothing reads.

    >>> config = load_config({"sinks": [{"kind": "jsonl"}]}, "log_frequency=5", strict=True)
    >>> config.log_frequency, config.strict
    (5, True)
    """
    # Nodes first: one of OmegaConf's that is null raises at what isinstance asks of it there.
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
        found = [(given.place(at), at, text) for at, text in describe(error, LoggingConfig)]
        found.sort(key=lambda problem: problem[0].order)
        lines = (f"{place}: {key_of(at)}: {text}" for place, at, text in found)
        raise ConfigError("\n".join(lines)) from None
    if deprecated:
        warn_caller(deprecated, DeprecationWarning)
    told = [] if before is None else list(advice(before, _loaded(before).place))
    for at, text in advice(loaded, given.place):
        if (at, text) not in told:
            warn_caller(f"{given.place(at)}: {key_of(at)}: {text}", ConfigWarning)
    return loaded


def _given(source: Any) -> Source:
    """What the user gave, with what it extends."""
    # A DictConfig is a Mapping, and a ListConfig is refused.
    if isinstance(source, Mapping):
        return inherited(of_mapping(source, "settings"), Path())
    if isinstance(source, str | os.PathLike):
        try:
            path = local_path(source, "config")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return inherited(of_file(path), path.parent, path)
    raise TypeError(
        f"config: got {source!r:.100}, expected a path, a dict or a LoggingConfig"
        + _what_else(source)
    )


def _loaded(config: LoggingConfig) -> Source:
    """What was set in settings, as the user would have given it."""
    return of_mapping({key: getattr(config, key) for key in config.model_fields_set}, "settings")


def _what_else(given: Any) -> str:
    """What to do with something that is no settings."""
    if omegaconf_nodes.is_node(given):
        return "; give the node that has the keys, this one is a list"
    if hasattr(type(given), "model_dump"):
        return "; of another model, give model_dump()"
    return ""
