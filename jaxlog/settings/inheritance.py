"""`extends:` puts other files' settings beneath those of the file that says it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jaxlog.settings import source, yaml_source
from jaxlog.settings.problems import ConfigError, Place
from jaxlog.settings.source import Source
from jaxlog.settings.wording import Location, shown

KEY = "extends"


def inherited(given: Source, directory: Path, chain: tuple[Path, ...] = ()) -> Source:
    """Settings with those that they extend beneath them.

    Args:
      given: settings, of a file or a dict.
      directory: what the paths in it are relative to.
      chain: the files that lead here, from the first to the one that `given` is of.

    Raises:
      ConfigError: a file cannot be used, extends itself, or `extends` is no path or list of paths.
    """
    if KEY not in given.data:
        return given
    beneath = Source(given.name, {}, {})
    for path, place in _paths(given, directory):
        if any(path.resolve() == other.resolve() for other in chain):
            way = " -> ".join(map(str, (*chain, path)))
            raise ConfigError(f"{place}: {KEY}: leads back to where it began: {way}")
        try:
            text = yaml_source.read(path, asked_by=chain[-1] if chain else None)
        except ConfigError as error:
            raise ConfigError(f"{place}: {KEY}: {error}") from None
        base = source.of_text(text, str(path))
        beneath = inherited(base, path.parent, (*chain, path)).over(beneath)
    return given.without(KEY).over(beneath)


def _paths(given: Source, directory: Path) -> Iterator[tuple[Path, Place]]:
    extends = given.data[KEY]
    several = isinstance(extends, list | tuple)
    for index, name in enumerate(extends if several else [extends]):
        at: Location = (KEY, index) if several else (KEY,)
        if not isinstance(name, str) or not name:
            raise ConfigError(
                f"{given.place(at)}: {KEY}: got {shown(name)}, takes the path of a file, or a list "
                "of paths"
            )
        yield directory / name, given.place(at)
