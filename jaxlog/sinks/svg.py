"""The sink `svg`, which draws sampled episodes, and episodes and steps of a single environment.

It writes into the run's directory, where NAME is the name of the call:

    svg/NAME/step_0000000100/lane_0003_env_000019.svg    a sampled episode
    svg/NAME/step_0000000100/sheet.svg                   all episodes of that step
    svg/NAME/step_0000000100.svg                         an episode of a single environment
    svg/steps/episode_000003/step_0000000012.svg         a step of a single environment

A file is written under another name and then renamed, so that readers see the whole file or none.
"""

from __future__ import annotations

import collections
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, WithJsonSchema

from jaxlog._format.events import EpisodeEvent, RunInfo, StepEvent
from jaxlog._format.svg_files import (
    FOLDER,
    LANE,
    LAYOUT,
    SHEET,
    STEPS,
    episode_name,
    safe_name,
    step_name,
)
from jaxlog._render import Style, load, picture, sheet
from jaxlog._render.markup import START
from jaxlog._render.sheet import facts_of
from jaxlog._render.states import states
from jaxlog._render.style import ARC_COLOURS
from jaxlog._run_files import DRAFT, replacing
from jaxlog._say import Once
from jaxlog._say import log as _log
from jaxlog.sinks.renderer import OWN, Renderer
from jaxlog.sinks.sink import Sink, SinkSettings

_STEPS_KEPT = 64
"""The number of steps whose counts of drawn episodes are kept in memory."""

_DRAFT_NAME = re.compile(rf"\.(.+\.svg)(?:\.[0-9a-f]{{16}})?{re.escape(DRAFT)}")
"""The names of drafts; those of jaxlog 0.1 have no random part."""


_HEX = r"^#[0-9a-fA-F]{6}$"
_Colour = Annotated[
    str,
    Field(pattern=_HEX),
    WithJsonSchema({"type": "string", "pattern": _HEX, "description": "a colour as '#rrggbb'"}),
]


class SvgSettings(SinkSettings, frozen=True):
    """Draws sampled episodes, initial against final state, into the run's directory."""

    kind: Literal["svg"] = "svg"
    renderer: Renderer = Field(
        default="auto",
        description="How a state is drawn: auto (chosen by its arrays, or by the state's own "
        f"drawing), grid, image, line, card, or {OWN}.",
    )
    palette: Annotated[tuple[_Colour, ...], Strict(False)] = Field(
        default=ARC_COLOURS,
        description="The colours of a grid's cells, each as '#rrggbb', for 0, for 1, and so on. "
        "Larger values have paler colours.",
    )
    size: int = Field(
        default=240,
        ge=32,
        le=2000,
        description="The maximum width and height of the drawing of a state, in pixels.",
    )
    max_episodes_per_step: int = Field(
        default=100,
        ge=1,
        description="How many episodes of one call are drawn at one step; the lanes share them "
        "equally. The sheet says how many were left out.",
    )
    contact_sheet: bool = Field(
        default=True, description="Also draw all episodes of a step on one page."
    )
    steps: bool = Field(
        default=True,
        description="Draw the steps of a single environment that have states.",
    )


class SvgSink(Sink):
    """Draws an SVG for each sampled episode, and a contact sheet for each step."""

    Settings = SvgSettings
    needs_directory = True

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._style = Style(load(settings.renderer), settings.palette, settings.size)
        self._drawn: collections.OrderedDict[Path, _Drawn] = collections.OrderedDict()
        self._unfinished: dict[Path, None] = {}  # folders whose sheet is not up to date
        self._is_first_warning = Once()

    def check(self, run: RunInfo) -> None:
        """Checks that the folder can be used and has no pictures of another run.

        Raises:
          FileExistsError: it has pictures of another run.
          NotADirectoryError: a file has the name of the folder.
        """
        assert run.directory is not None
        folder = run.directory / FOLDER
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(
                f"{folder}: is a file, and the sink svg needs a folder of this name; move it away"
            )
        if run.if_exists == "error":
            for path, _ in _own_files(folder):
                raise FileExistsError(
                    f"{path}: is a picture of another run; choose another directory, delete "
                    f"{folder}, or give open if_exists='replace'"
                )

    def open(self, run: RunInfo) -> None:
        """Removes the pictures of a replaced run, and of steps that a resumed run logs again."""
        assert run.directory is not None
        self._folder = run.directory / FOLDER
        replaced = run.if_exists == "replace"
        resumes = {safe_name(name): step for name, step in run.resumes.items()}
        for path, step in list(_own_files(self._folder)):
            first = resumes.get(path.relative_to(self._folder).parts[0], 0)
            logged_again = run.resumes_at is not None and step >= first
            if replaced or logged_again or path.suffix == DRAFT:
                path.unlink(missing_ok=True)
                for folder in list(path.parents)[:3]:
                    if folder.is_relative_to(self._folder):
                        with contextlib.suppress(OSError):  # it is not empty
                            folder.rmdir()

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102  as Sink says
        if event.recording is not None:
            return  # it has all its steps, of which one picture would show none
        folder = self._folder / safe_name(event.name)
        if not event.sampled:
            self._write(_free(folder, step_name(event.step)), event)
            return
        folder = folder / step_name(event.step)
        drawn = self._drawn_of(folder)
        share = max(1, self.settings.max_episodes_per_step // max(event.num_lanes, 1))
        if sum(drawn.lanes.values()) >= self.settings.max_episodes_per_step or (
            drawn.lanes[event.lane] >= share
        ):
            drawn.left_out += 1
        else:
            self._write(_free(folder, episode_name(event.lane, event.episode)), event)
            drawn.lanes[event.lane] += 1
        if self.settings.contact_sheet:
            self._unfinished[folder] = None

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        if self.settings.steps and states(event):
            folder = self._folder / STEPS / f"episode_{event.episode:06d}"
            self._write(_free(folder, step_name(event.step)), event)

    def flush(self) -> None:
        """Draws the sheets of the steps with new episodes, from the episodes' files."""
        while self._unfinished:
            folder = next(iter(self._unfinished))
            pictures = (path.read_text("utf-8") for path, _ in _episodes(folder))
            try:
                page = sheet(pictures, self._drawn_of(folder).left_out)
            except ValueError as error:  # another program has changed a file
                self._warn_once(folder / SHEET, f"cannot be drawn: {error}")
            else:
                _replace(folder / SHEET, page)
            del self._unfinished[folder]

    def close(self) -> None:  # noqa: D102
        self.flush()

    def _write(self, path: Path, event: EpisodeEvent | StepEvent) -> None:
        _replace(path, picture(event, self._style, lambda why: self._warn_once(path, why)))

    def _warn_once(self, path: Path, why: str) -> None:
        if self._is_first_warning():
            _log.warning(
                "jaxlog: %s: %s. Its place in the picture says so. Said once.",
                path,
                why,
            )

    def _drawn_of(self, folder: Path) -> _Drawn:
        """The counts of a step, by this process and earlier ones."""
        if folder not in self._drawn:
            self._drawn[folder] = _Drawn(folder)
        self._drawn.move_to_end(folder)
        while len(self._drawn) > _STEPS_KEPT:
            self._drawn.popitem(last=False)
        return self._drawn[folder]


class _Drawn:
    """Counts the episodes of a step.

    Attributes:
      lanes: the number of drawn episodes, by lane.
      left_out: the number of episodes that were not drawn because of the limit.
    """

    def __init__(self, folder: Path) -> None:
        self.lanes: collections.Counter[int] = collections.Counter()
        self.left_out = 0
        for _, lane in _episodes(folder):
            self.lanes[lane] += 1
        if (folder / SHEET).is_file():
            with contextlib.suppress(ValueError):  # not written by jaxlog
                self.left_out = int(facts_of((folder / SHEET).read_text("utf-8"))["left_out"])


def _free(folder: Path, name: str) -> Path:
    """An unused path of that name, with a number appended if the step was logged before."""
    path, number = folder / f"{name}.svg", 1
    while path.exists():
        number += 1
        path = folder / f"{name}_{number}.svg"
    return path


def _replace(path: Path, svg: str) -> None:
    """Writes a file completely, or leaves it as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(svg.encode())


def _own_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The files that this sink wrote, with their steps; also drafts that a killed process left."""
    for path in sorted(folder.rglob("*.svg")) + sorted(folder.rglob(f".*.svg*{DRAFT}")):
        draft = _DRAFT_NAME.fullmatch(path.name)
        name = draft[1] if draft else path.name
        relative = path.with_name(name).relative_to(folder).as_posix()
        found = next((match for way in LAYOUT if (match := way.fullmatch(relative))), None)
        if found and path.is_file() and (path.name != name or _is_own(path)):
            yield path, int(found[1])


def _episodes(folder: Path) -> Iterator[tuple[Path, int]]:
    """The pictures of the episodes of a step, with their lanes."""
    for path in sorted(folder.glob("lane_*.svg")):
        found = re.fullmatch(LANE, path.name)
        if found and _is_own(path):
            yield path, int(found[1])


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(START)) == START.encode()
