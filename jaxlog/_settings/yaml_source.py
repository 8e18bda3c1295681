"""Reads YAML with the position of every key.

Numbers, booleans and null are those of YAML 1.2 and JSON: `1e-3` is a number; `on`, `off`, `yes`
and `no` are text. A repeated key is an error. PyYAML has neither positions nor these rules.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from jaxlog._errors import ConfigError
from jaxlog._settings.problems import SourcePosition
from jaxlog._settings.wording import Location, shown, suggestion

_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[Any] = {}  # pyright: ignore[reportIncompatibleVariableOverride]


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first)
    )
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: _float(node.value))


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_MOST_BYTES = 2**24
_MOST_VALUES = 100_000
"""An alias repeats all of its anchor, so that a few lines could fill the memory."""


_INDENTED = "; check the indentation, and put a text with a colon in quotes"
_REMEDIES = (
    (r"'\t' that cannot start any token", "; indent with spaces"),
    ("cannot start any token", "; put the text in quotes"),
    ("mapping values are not allowed", _INDENTED),
    ("expected <block end>", _INDENTED),
)
"""The remedy for an error of PyYAML, by a part of its text."""

_DEEPEST = 100
"""Settings are never nested as deeply. An alias within its own anchor would have no end."""


def read(path: Path, *, asked_by: Path | None = None) -> str:
    """The text of a file.

    Args:
      path: the file. If the user named it, it may be a pipe.
      asked_by: the file that extends it, if one does.

    Raises:
      ConfigError: the file does not exist, is too large, or cannot be read as text.
    """
    try:
        if asked_by is not None and path.exists() and not (path.is_file() or path.is_dir()):
            raise ConfigError(f"{path}: is a pipe or a device; give the path of a YAML file")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ConfigError(f"{path}: is too large: it has more than {_MOST_BYTES:,} bytes")
        return data.decode("utf-8-sig")  # without the mark that Windows writes first
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigError(
                f"{path}: is a link to {path.readlink()}, which is not there"
            ) from None
        raise ConfigError(f"{path}: there is no such file{_beside(path, asked_by)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; give the path of a YAML file in it") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not text (byte {error.start} is not UTF-8)") from None
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def parse(text: str, name: str) -> tuple[Any, dict[Location, SourcePosition]]:
    """The values in a text of YAML, and the position of each key and item.

    Args:
      text: the YAML.
      name: the file's, for positions.

    Raises:
      ConfigError: it is not YAML, a key is repeated, or it is too large or nested too deeply.
    """
    places: dict[Location, SourcePosition] = {}
    try:
        loader = _Loader(text)
        return _build(loader, loader.get_single_node(), (), places, name), places
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (
            SourcePosition(name, mark.line + 1, mark.column + 1) if mark else SourcePosition(name)
        )
        raise ConfigError(
            f"{place}: is not YAML: {error.problem}{_remedy(str(error.problem))}"
        ) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = SourcePosition(name, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise ConfigError(f"{place}: is not YAML: {error.reason}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply, or contains itself") from None


def _beside(path: Path, asked_by: Path | None) -> str:
    """Names the YAML files beside a missing file, for its error message."""
    if not path.parent.is_dir():
        return f" (nor is there a directory {path.parent})"
    found = path.parent.glob("*.y*ml")
    others = sorted(other.name for other in found if other != asked_by and other.is_file())
    if not others:
        return ""
    there = f"in {path.parent} there are: {', '.join(others)}"
    near = suggestion(path.name, others)
    return f"{near} ({there})" if near else f"; {there}"


def _remedy(problem: str) -> str:
    return next((remedy for part, remedy in _REMEDIES if part in problem), "")


def _place(node: yaml.Node, name: str) -> SourcePosition:
    return SourcePosition(name, node.start_mark.line + 1, node.start_mark.column + 1)


def _build(
    loader: _Loader, node: Any, at: Location, places: dict[Location, SourcePosition], name: str
) -> Any:
    if node is None:
        return None
    places.setdefault(at, _place(node, name))
    if len(places) > _MOST_VALUES:
        raise ConfigError(
            f"{_place(node, name)}: is too large: it has more than {_MOST_VALUES:,} values"
        )
    if len(at) > _DEEPEST:
        raise ConfigError(f"{_place(node, name)}: is nested too deeply, or contains itself")
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*at, i), places, name) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        try:
            return loader.construct_object(node)
        except (ValueError, KeyError, AttributeError):  # what PyYAML raises for `!!int abc`
            tag = node.tag.rpartition(":")[2]
            raise ConfigError(
                f"{_place(node, name)}: is not YAML: {shown(node.value)} is no {tag}"
            ) from None
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(key_node, name)
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{place}: a key has to be text")
        key = key_node.value
        if key in result:
            first = places[(*at, key)].line
            raise ConfigError(f"{place}: {key}: is also on line {first}")
        places[(*at, key)] = place
        result[key] = _build(loader, value_node, (*at, key), places, name)
    return result
