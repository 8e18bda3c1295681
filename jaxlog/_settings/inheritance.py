"""`extends:` puts other files' settings beneath those of the file that says it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jaxlog._paths import local_path
from jaxlog._settings import source, yaml_source
from jaxlog._settings.problems import ConfigError, SourcePosition
from jaxlog._settings.source import Source
from jaxlog._settings.wording import Location, shown

KEY = "extends"
DEEPEST = 32
"""So many files may each extend the next."""


def inherited(given: Source, directory: Path, file: Path | None = None) -> Source:
    """Settings with those that they extend beneath them.

    Each file is read once, however often it is extended.

    Args:
      given: settings, of a file or a dict.
      directory: what the paths in it are relative to.
      file: the one that `given` is of; None for a dict.

    Raises:
      ConfigError: a file cannot be used, extends itself, or `extends` is no path or list of paths;
        or more than `DEEPEST` files extend each the next.
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
    """Settings with those beneath them, and how deep these go.

    Args:
      given: settings, of a file or a dict.
      directory: what the paths in it are relative to.
      chain: the files that lead here, from the first to the one that `given` is of.
      depth: how many of them are extended.
      known: what was found for each file that was read before.
    """
    if KEY not in given.data:
        return given, 0
    beneath, deepest = Source(given.name, {}, {}), 0
    for resolved, (path, place) in _last_of_each(_paths(given, directory)).items():
        if any(resolved == other.resolve() for other in chain):
            way = " -> ".join(map(str, (*chain, path)))
            raise ConfigError(f"{place}: {KEY}: leads back to where it began: {way}")
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
    """The files in their order; of one that is named again, the last goes before all the others."""
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
                f"{given.place(at)}: {KEY}: got {shown(name)}, takes the path of a file, or a list "
                "of paths"
            )
        try:
            yield directory / local_path(name, KEY), given.place(at)
        except ValueError as error:
            raise ConfigError(f"{given.place(at)}: {error}") from None
