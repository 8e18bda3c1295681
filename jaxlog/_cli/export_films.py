"""Writes films of the episodes of a run that were recorded whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlog._cli.errors import CommandError
from jaxlog._cli.files import whole_file
from jaxlog._cli.stream import note, out
from jaxlog._format.recording import LIBRARIES
from jaxlog._reading.finding import check_run
from jaxlog._reading.recorded import RecordedEpisode, recordings
from jaxlog._render.choose import load
from jaxlog._render.film import framed, frames, left_out
from jaxlog._text import counted

if TYPE_CHECKING:
    from jaxlog._render.film_files import Kind


class FilmSettings(NamedTuple):
    """The choices of a film.

    Attributes:
      kind: the format.
      array: the array that they show; empty for an image, or else a grid.
      renderer: what draws the tree of a step: the user's function, as `module:function`, a library
        that draws its environments, as `pgx` or `pgx/minatar-breakout`; empty for the array as it
        is.
      speed: the steps of a second.
    """

    kind: Kind
    array: str
    renderer: str
    speed: float


def export_films(run: Path, directory: Path, settings: FilmSettings, *, force: bool) -> bool:
    """Writes a film of each recorded episode whose file is there.

    An episode that cannot be drawn is named, and the others are written.

    Args:
      run: the directory of the run.
      directory: where the films are written.
      settings: how they are made.
      force: True to overwrite files.

    Returns:
      True if all films were written.

    Raises:
      CommandError: there is none, it has no such array, a file exists or cannot be written, or what
        writes the format is not installed.
      OSError: there is no run, or the directory cannot be made.
    """
    if not (0 < settings.speed <= 100):
        raise CommandError(
            f"export: --frames-per-second: got {settings.speed:g}, expected more than 0 and at "
            "most 100"
        )
    if settings.array and settings.renderer:
        raise CommandError("export: got --array and --renderer, expected one of them")
    drawing = _Drawing(settings.renderer) if settings.renderer else None
    check_run(run)
    found = recordings(run)
    there = [episode for episode in found if (run / episode.file).is_file()]
    if not there:
        gone = f"; the files of {len(found):,} were deleted" if found else ""
        raise CommandError(
            f"{run}: has no episodes that were recorded whole{gone}; record some with "
            "jaxlog.record_step"
        )
    files = {
        directory
        / "films"
        / Path(one.file).parent.name
        / f"{Path(one.file).stem}.{settings.kind}": one
        for one in there
    }
    existing = [file for file in files if file.exists()]
    if existing and not force:
        raise CommandError(
            f"{existing[0]}: would be overwritten, as {len(existing):,} in all; pass --force to "
            "allow it, or another --output"
        )
    _check_writer(settings.kind)
    failed = 0
    for file, episode in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(file, episode, settings, drawing)
        except ValueError as error:  # it is damaged, or cannot be drawn: the others are written
            note(f"export: {episode.file}: {error}")
            failed += 1
    if failed:
        note(f"export: {failed:,} of {counted(len(files), 'film')} could not be written; see above")
    return not failed


class _Drawing:
    """Draws the steps of episodes with the renderer that `--renderer` names."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made: dict[str, Callable[[Any], Any]] = {}
        if ":" in name:
            self._made[name] = _function(name)
        elif name.partition("/")[0] not in LIBRARIES:
            raise CommandError(
                f"export: --renderer: got {name!r}, expected module:function, a function of yours "
                "that takes the tree of a step and returns an image, uint8 [height, width, 3], or "
                f"an SVG; or one of these libraries: {', '.join(LIBRARIES)}. Without it, --array "
                "is shown"
            )

    def frames(self, episode: RecordedEpisode) -> Iterator[np.ndarray]:
        """Yields the pixels of each step.

        Raises:
          CommandError: the library, or one that it draws with, is not installed.
          ValueError: the episode does not say from which environment it is, or it cannot be drawn.
        """
        from jaxlog._render.svg_pixels import pixels_of_svg

        draw = self._for(episode)
        for place in range(len(episode)):
            try:
                drawn = draw(episode.at(place))
            except Exception as error:  # whatever the function raises
                raise ValueError(
                    f"step {place} cannot be drawn: {type(error).__name__}: {error}"
                ) from error
            yield pixels_of_svg(drawn) if isinstance(drawn, str) else np.asarray(drawn)

    def _for(self, episode: RecordedEpisode) -> Callable[[Any], Any]:
        name = self._name
        if ":" not in name and "/" not in name:
            name = episode.renderer
            if not name:
                raise ValueError(
                    f"--renderer: got {self._name!r}, and the episode does not say from which "
                    f"environment it is; pass --renderer {self._name}/ENVIRONMENT, or "
                    "renderer= to empty_recorder"
                )
            if name.partition("/")[0] != self._name:
                raise ValueError(f"--renderer: got {self._name!r}, but the episode is of {name}")
        if name not in self._made:
            from jaxlog._environments.renderers import renderer

            try:
                self._made[name] = renderer(name)
            except ModuleNotFoundError as error:
                raise CommandError(
                    f"export: --renderer: {name} is drawn with {error.name}, which is not "
                    f"installed: pip install {error.name}"
                ) from None
        return self._made[name]


def _function(name: str) -> Callable[[Any], Any]:
    try:
        found = load(name)
    except ValueError as error:
        raise CommandError(f"export: --renderer: {error}") from None
    assert not isinstance(found, str)
    return found


def _check_writer(kind: Kind) -> None:
    from jaxlog._render.film_files import CodecError, check_writer

    try:
        check_writer(kind)
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    except CodecError as error:
        raise CommandError(f"export: {error}") from None


def _missing(error: ModuleNotFoundError) -> CommandError:
    return CommandError(
        f"export: needs {error.name}, which is not installed: pip install 'jaxlog[film]'"
    )


def _write(
    file: Path, episode: RecordedEpisode, settings: FilmSettings, drawing: _Drawing | None
) -> None:
    from jaxlog._render.film_files import write_film

    try:
        pictures = _shown(episode, settings.array) if drawing is None else drawing.frames(episode)
        with whole_file(file) as opened:
            write_film(opened, pictures, settings.kind, settings.speed)
    except ModuleNotFoundError as error:  # what makes pixels of an SVG
        raise _missing(error) from None
    steps = counted(episode.episode.get("total_steps", len(episode)), "step")
    steps = steps if episode.is_whole else f"{len(episode):,} of {steps}"
    seconds = math.ceil(10 * len(episode) / settings.speed) / 10
    out(f"{file}: {steps}, {seconds:g} s")


def _shown(episode: RecordedEpisode, array: str) -> np.ndarray:
    names = framed(episode.arrays)
    if not names or (array and array not in names):
        has = f"has these: {', '.join(names)}" if names else "has none"
        library = episode.renderer.partition("/")[0]
        states = f"; its states are drawn with --renderer {library}" if library else ""
        raise CommandError(
            f"export: --array: got {array!r}, expected a recorded array with two axes besides that "
            f"of the steps; {episode.file} {has}{states}"
        )
    shown = episode.arrays[array or names[0]]
    for words in left_out(shown):
        note(f"{episode.file}: {array or names[0]}: {words}")
    return frames(shown)
