"""Settings before validation: plain values, each with its position."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlog._errors import ConfigError
from jaxlog._settings import omegaconf_nodes, yaml_source
from jaxlog._settings.problems import SourcePosition
from jaxlog._settings.wording import Location, key_of, shown


@dataclass(frozen=True)
class Source:
    """Settings before validation.

    Attributes:
      name: stands in messages for a value without a position.
      data: the settings.
      places: the position of each key and item of `data`.
    """

    name: str
    data: dict[str, Any]
    places: dict[Location, SourcePosition]

    def place(self, at: Location) -> SourcePosition:
        """The position of a location, or of the innermost known location around it."""
        while at and at not in self.places:
            at = at[:-1]
        return self.places.get(at, SourcePosition(self.name))

    def over(self, base: Source) -> Source:
        """These settings, merged over those of another source.

        Mappings are merged key by key. All other values, lists too, are replaced by this source's.
        """
        places = dict(base.places)
        data = _merged(base.data, self.data, (), places, self.places)
        return Source(self.name, data, places | {(): self.place(())})

    def without(self, *keys: str) -> Source:
        """These settings without some keys."""
        data = {key: value for key, value in self.data.items() if key not in keys}
        return replace(self, data=data)

    def with_value(self, at: Location, value: Any, place: SourcePosition) -> Source:
        """These settings with another value at a location, whose parent exists."""
        data = _with_value(self.data, at, value)
        places = {here: found for here, found in self.places.items() if here[: len(at)] != at}
        return Source(self.name, data, places | dict.fromkeys(_locations(value, at), place))


def of_file(path: Path) -> Source:
    """The settings in a YAML file.

    Raises:
      ConfigError: the file cannot be read, is not YAML, or is not a mapping.
    """
    return of_text(yaml_source.read(path), str(path))


def of_text(text: str, name: str) -> Source:
    """The settings in the text of a YAML file; `name` is the file's.

    Raises:
      ConfigError: the text is not YAML, or not a mapping.
    """
    data, places = yaml_source.parse(text, name)
    if data is not None and not isinstance(data, dict):
        near = "; a colon has a space after it" if isinstance(data, str) and ":" in data else ""
        raise ConfigError(
            f"{places[()]}: got {shown(data)}, expected a mapping of settings, like "
            f"`log_frequency: 10`{near}"
        )
    return Source(name, data or {}, places)


def of_mapping(given: Mapping[str, Any], name: str) -> Source:
    """The settings in a dict or in a node of OmegaConf.

    Raises:
      ConfigError: a key is not text, a node cannot be resolved, or the dict contains itself.
    """
    data = plain(given, name)
    if not isinstance(data, dict):  # a node of OmegaConf that is null
        raise ConfigError(f"{name}: got {shown(data)}, expected a mapping of settings")
    place = SourcePosition(name)
    return Source(name, data, dict.fromkeys(_locations(data, ()), place))


def plain(value: Any, name: str, at: Location = ()) -> Any:
    """A value with every mapping as a dict, and without values of OmegaConf and NumPy.

    Raises:
      ConfigError: as `of_mapping`.
    """
    if omegaconf_nodes.is_node(value):
        value = omegaconf_nodes.plain(value, _named(name, at))
    try:
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise ConfigError(f"{_named(name, at)}: got the key {key!r}{_takes_text(key)}")
            return {key: plain(part, name, (*at, key)) for key, part in value.items()}
        if isinstance(value, list | tuple):
            parts = (plain(part, name, (*at, index)) for index, part in enumerate(value))
            return list(parts) if isinstance(value, list) else tuple(parts)
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply, or contains itself") from None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if isinstance(value, np.generic) else value


def _named(name: str, at: Location) -> str:
    return f"{name}: {key_of(at)}" if at else name


def _takes_text(key: object) -> str:
    if isinstance(key, bool):
        return (
            ", expected text; YAML 1.1 reads on, off, yes and no as true and false: quote the key, "
            "or give load_config the file's path"
        )
    near = f"; did you mean {str(key)!r}?" if isinstance(key, int | float) else ""
    return f", expected text{near}"


def _locations(value: Any, at: Location) -> Iterator[Location]:
    yield at
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _locations(part, (*at, key))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _locations(part, (*at, index))


def _merged(
    base: dict[str, Any],
    over: dict[str, Any],
    at: Location,
    places: dict[Location, SourcePosition],
    over_places: dict[Location, SourcePosition],
) -> dict[str, Any]:
    data = dict(base)
    for key, value in over.items():
        here = (*at, key)
        if isinstance(value, dict) and isinstance(data.get(key), dict):
            data[key] = _merged(data[key], value, here, places, over_places)
            places[here] = over_places[here]
            continue
        data[key] = value
        for other in [other for other in places if other[: len(here)] == here]:
            del places[other]
        places |= {o: found for o, found in over_places.items() if o[: len(here)] == here}
    return data


def _with_value(tree: Any, at: Location, value: Any) -> Any:
    if not at:
        return value
    part = at[0]
    if isinstance(part, int):
        return [_with_value(x, at[1:], value) if n == part else x for n, x in enumerate(tree)]
    return {**tree, part: _with_value(tree.get(part), at[1:], value)}
