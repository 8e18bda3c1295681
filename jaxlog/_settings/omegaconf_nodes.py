"""Converts nodes of OmegaConf, which Hydra uses, to plain values.

OmegaConf is not a dependency: if it is not imported, no value can be a node.
"""

from __future__ import annotations

import sys
from typing import Any

from jaxlog._errors import ConfigError


def is_node(value: object) -> bool:
    """True if a value is a `DictConfig` or a `ListConfig`."""
    omegaconf = sys.modules.get("omegaconf")
    return omegaconf is not None and isinstance(value, omegaconf.DictConfig | omegaconf.ListConfig)


def plain(node: Any, name: str) -> Any:
    """The values in a node, with interpolations resolved.

    Raises:
      ConfigError: a value is missing (`???`) or cannot be resolved.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True, enum_to_str=True)
    except OmegaConfBaseException as error:
        key = f"{name}: {error.full_key}" if error.full_key else name
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{key}: OmegaConf cannot resolve it: {reason}") from None
