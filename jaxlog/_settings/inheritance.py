"""`extends:` begins with the settings of other files, which those of the file itself replace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jaxlog._errors import ConfigError
from jaxlog._paths import local_path
from jaxlog._settings import source, yaml_source
from jaxlog._settings.problems import SourcePosition
from jaxlog._settings.source import Source
from jaxlog._settings.wording import Location, shown

KEY = "extends"
DEEPEST = 32
"""The longest chain of files that extend each other."""


def inherited(given: Source, directory: Path, file: Path | None = None) -> Source:
    """The settings, merged with those of the files that they extend.

    Each file is read once, even if several others extend it.

    Args:
      given: settings from a file or a dict.
      directory: paths in `given` are relative to it.
      file: the file of `given`; None for a dict.

    Raises:
      ConfigError: a file cannot be used or extends itself; `extends` is not a path or a list of
        paths; or a chain of files is longer than `DEEPEST`.
    """
    found, _ = _inherited(given, directory, () if file is None else (file,), 0, {})
    return found


def _inherited(
    given: Source,
    directory: Path,
    chain: tuple[Path, ...],
    depth: int,
    known: dict[Path, tuple[Source, int]],
) -> tuple[Source, int]:
    """The merged settings, and the length of the longest chain of files below.

    Args:
      given: settings from a file or a dict.
      directory: paths in `given` are relative to it.
      chain: the files from the first to that of `given`, each of which extends the next.
      depth: the length of the chain so far.
      known: the results for the files that were read before.
    """
    if KEY not in given.data:
        return given, 0
    beneath, deepest = Source(given.name, {}, {}), 0
    for resolved, (path, place) in _last_of_each(_paths(given, directory)).items():
        if any(resolved == other.resolve() for other in chain):
            way = " -> ".join(map(str, (*chain, path)))
            raise ConfigError(f"{place}: {KEY}: is a circle: {way}")
        if resolved not in known and depth < DEEPEST:
            try:
                text = yaml_source.read(path, asked_by=chain[-1] if chain else Path())
            except ConfigError as error:
                raise ConfigError(f"{place}: {KEY}: {error}") from None
            base = source.of_text(text, str(path))
            known[resolved] = _inherited(base, path.parent, (*chain, path), depth + 1, known)
        base, below = known.get(resolved, (beneath, 0))
        if depth + 1 + below > DEEPEST:
            raise ConfigError(
                f"{place}: {KEY}: got more than {DEEPEST} files that each extend the next, "
                f"expected at most {DEEPEST}; put some of them into one"
            )
        beneath, deepest = base.over(beneath), max(deepest, below + 1)
    return given.without(KEY).over(beneath), deepest


def _last_of_each(
    paths: Iterator[tuple[Path, SourcePosition]],
) -> dict[Path, tuple[Path, SourcePosition]]:
    """The files in their order; a file that is named several times has its last place."""
    found: dict[Path, tuple[Path, SourcePosition]] = {}
    for path, place in paths:
        resolved = path.resolve()
        found.pop(resolved, None)
        found[resolved] = path, place
    return found


def _paths(given: Source, directory: Path) -> Iterator[tuple[Path, SourcePosition]]:
    extends = given.data[KEY]
    several = isinstance(extends, list | tuple)
    for index, name in enumerate(extends if several else [extends]):
        at: Location = (KEY, index) if several else (KEY,)
        if not isinstance(name, str) or not name:
            raise ConfigError(
                f"{given.place(at)}: {KEY}: got {shown(name)}, expected the path of a file, or a "
                "list of paths"
            )
        try:
            yield directory / local_path(name, KEY), given.place(at)
        except ValueError as error:
            raise ConfigError(f"{given.place(at)}: {error}") from None
