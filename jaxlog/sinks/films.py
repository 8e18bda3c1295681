"""Films of recorded episodes, for sinks of tools that play them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from jaxlog._format.episode_file import tree_of
from jaxlog._format.events import EpisodeEvent, EpisodeSteps
from jaxlog._render import load
from jaxlog._render.film import framed, frames, left_out
from jaxlog._render.film_files import FilmError, Kind, check_writer, write_film
from jaxlog._say import log as _log
from jaxlog._text import counted
from jaxlog.sinks.sink import SinkSettings

MOST_FRAMES = 400
"""The most frames of a film: of more steps, as many that are spread evenly."""
MOST_BYTES = 2**23
"""The most bytes of a film."""


def _drawing(name: str) -> str:
    try:
        found = load(name) if name else None
    except ValueError as error:
        raise PydanticCustomError("film_renderer", "{why}", {"why": str(error)}) from None
    if isinstance(found, str):
        raise PydanticCustomError(
            "film_renderer",
            "got {name}, expected module:function, a function of yours that takes the tree of a "
            "step and returns uint8 [height, width, 3]",
            {"name": repr(name)},
        )
    return name


class FilmedSettings(SinkSettings, frozen=True):
    """The settings of a sink that shows films of recorded episodes."""

    films: int = Field(
        default=0,
        ge=0,
        le=16,
        description="How many of the recorded episodes of a step are shown as films; 0 for none. A "
        "film takes up to a few seconds of a core, on the thread of the sink, and needs "
        "`jaxlog[film]`. The report and the live view play recorded episodes without it.",
    )
    film_array: str = Field(
        default="",
        description="The recorded array that films show; empty for an image, or else a grid.",
    )
    film_renderer: Annotated[str, AfterValidator(_drawing)] = Field(
        default="",
        description="A function of yours, as `package.module:function`, that draws the frames: it "
        "takes the tree of a step and returns uint8 [height, width, 3]. Empty for the array.",
    )
    film_speed: float = Field(
        default=10.0, gt=0, le=100, description="The frames of a film that are shown in a second."
    )


class Film(NamedTuple):
    """A film of an episode.

    Attributes:
      data: the content of its file.
      shape: the height and the width of a frame.
      caption: names the episode, and how many of its steps are shown.
    """

    data: bytes
    shape: tuple[int, int]
    caption: str


class Films:
    """Makes the films of one sink. What goes wrong costs the film, and is said.

    Args:
      settings: of the sink.
      kind: the format.
    """

    def __init__(self, settings: Any, kind: Kind) -> None:
        self._settings = settings
        self._kind: Kind = kind
        self._said: set[str] = set()

    def check(self) -> None:
        """Checks that the library that writes the format is installed, with its codec.

        Raises:
          ModuleNotFoundError: it is not.
          CodecError: it was built without the codec.
        """
        if self._settings.films:
            try:
                check_writer(self._kind)
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(
                    f"films: need {error.name}, which is not installed; pip install 'jaxlog[film]'",
                    name=error.name,
                ) from error

    def of(self, events: Sequence[EpisodeEvent]) -> list[Film]:
        """The films of the first recorded episodes among some, as many as the setting says."""
        recorded = [event for event in events if event.recording is not None]
        films = (self._made(event) for event in recorded[: self._settings.films])
        return [film for film in films if film is not None]

    def _made(self, event: EpisodeEvent) -> Film | None:
        recording = event.recording
        assert recording is not None
        try:
            return self._film(event, recording)
        except Exception as error:  # whatever the user's function raises
            kind = type(error).__name__
            if kind not in self._said:
                self._said.add(kind)
                _log.warning(
                    "jaxlog: the sink %s has no film of the episode of the call %s, step %d: %s. "
                    "The run goes on. Said once for each kind of error.",
                    self._settings.kind,
                    event.name,
                    event.step,
                    error if isinstance(error, FilmError) else f"{kind}: {error}",
                )
            return None

    def _film(self, event: EpisodeEvent, recording: EpisodeSteps) -> Film:
        steps = len(recording.steps)
        kept = np.unique(np.linspace(0, steps - 1, min(steps, MOST_FRAMES)).round().astype(int))
        if self._settings.film_renderer:
            draw = load(self._settings.film_renderer)
            assert not isinstance(draw, str)
            pictures: Any = _drawn(recording, kept, draw)
            notes: list[str] = []
        else:
            array = self._array(recording)
            pictures, notes = frames(array[kept]), left_out(array)
        file = io.BytesIO()
        shape = write_film(file, pictures, self._kind, self._settings.film_speed)
        data = file.getvalue()
        if len(data) > MOST_BYTES:
            raise FilmError(
                f"got a film of {len(data):,} bytes, expected at most {MOST_BYTES:,}; draw smaller "
                "frames, or record fewer steps with every= of empty_recorder"
            )
        return Film(data, shape, " · ".join([*_caption(event, len(kept)), *notes]))

    def _array(self, recording: EpisodeSteps) -> np.ndarray:
        names, wanted = framed(recording.arrays), self._settings.film_array
        if not names or (wanted and wanted not in names):
            has = f"has these: {', '.join(names)}" if names else "has none"
            raise FilmError(
                f"film_array: got {wanted!r}, expected a recorded array with two axes besides that "
                f"of the steps, and the episode {has}; or set film_renderer"
            )
        return recording.arrays[wanted or names[0]]


def _drawn(
    recording: EpisodeSteps, places: np.ndarray, draw: Callable[[Any], Any]
) -> Iterator[np.ndarray]:
    """Draws each step from its tree, which has dicts and lists as nodes."""
    for place in places.tolist():
        arrays = {leaf.name: recording.arrays[leaf.name][place] for leaf in recording.leaves}
        yield np.asarray(draw(tree_of(list(recording.leaves), arrays)))


def _caption(event: EpisodeEvent, shown: int) -> list[str]:
    own = event.episode
    words = [f"lane {event.lane}"] if event.num_lanes > 1 else []
    words.append(f"environment {own.get('environment_id')}")
    if "total_reward" in own:
        words.append(f"return {float(own['total_reward']):.4g}")
    total = own.get("total_steps", shown)
    steps = counted(total, "step")
    words.append(f"{shown:,} of {steps}" if shown != total else steps)
    return words
