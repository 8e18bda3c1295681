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
from jaxlog._reading.finding import check_run
from jaxlog._reading.recorded import RecordedEpisode, recordings
from jaxlog._render.choose import load
from jaxlog._render.film import framed, frames, left_out

if TYPE_CHECKING:
    from jaxlog._render.film_files import Kind


class FilmSettings(NamedTuple):
    """The choices of a film.

    Attributes:
      kind: the format.
      array: the array that they show; empty for an image, or else a grid.
      renderer: the user's function that draws the tree of a step, as `module:function`; empty for
        the array as it is.
      speed: the steps of a second.
    """

    kind: Kind
    array: str
    renderer: str
    speed: float


def export_films(run: Path, directory: Path, settings: FilmSettings, *, force: bool) -> None:
    """Writes a film of each recorded episode whose file is there.

    Args:
      run: the directory of the run.
      directory: where the films are written.
      settings: how they are made.
      force: True to overwrite files.

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
    draw = _loaded(settings.renderer)
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
    for file, episode in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(file, episode, settings, draw)
        except ValueError as error:  # one is damaged: the others are written
            note(f"{episode.file}: {error}")


def _loaded(renderer: str) -> Callable[[Any], Any] | None:
    if not renderer:
        return None
    try:
        draw = load(renderer)
    except ValueError as error:
        raise CommandError(f"export: --renderer: {error}") from None
    if isinstance(draw, str):
        raise CommandError(
            f"export: --renderer: got {renderer!r}, expected module:function, a function of yours "
            "that takes the tree of a step and returns uint8 [height, width, 3]; without it, "
            "--array is shown"
        )
    return draw


def _write(
    file: Path,
    episode: RecordedEpisode,
    settings: FilmSettings,
    draw: Callable[[Any], Any] | None,
) -> None:
    try:
        from jaxlog._render.film_files import write_film

        pictures = _shown(episode, settings.array) if draw is None else _drawn(episode, draw)
        with whole_file(file) as opened:
            write_film(opened, pictures, settings.kind, settings.speed)
    except ModuleNotFoundError as error:
        raise CommandError(
            f"export: needs {error.name}, which is not installed: pip install 'jaxlog[film]'"
        ) from None
    total = episode.episode.get("total_steps")
    of_all = "" if episode.is_whole else f" of {total:,}"
    seconds = math.ceil(10 * len(episode) / settings.speed) / 10
    out(f"{file}: {len(episode):,}{of_all} steps, {seconds:g} s")


def _shown(episode: RecordedEpisode, array: str) -> np.ndarray:
    names = framed(episode.arrays)
    if not names or (array and array not in names):
        has = f"has these: {', '.join(names)}" if names else "has none"
        raise CommandError(
            f"export: --array: got {array!r}, expected a recorded array with two axes besides that "
            f"of the steps; {episode.file} {has}"
        )
    shown = episode.arrays[array or names[0]]
    for words in left_out(shown):
        note(f"{episode.file}: {array or names[0]}: {words}")
    return frames(shown)


def _drawn(episode: RecordedEpisode, draw: Callable[[Any], Any]) -> Iterator[np.ndarray]:
    for place in range(len(episode)):
        try:
            yield np.asarray(draw(episode.at(place)))
        except Exception as error:  # whatever the user's function raises
            raise CommandError(
                f"export: --renderer: step {place} of {episode.file}: {type(error).__name__}: "
                f"{error}"
            ) from error
