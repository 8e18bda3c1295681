"""The sink `jsonl`, which writes the run's lines as JSON into files that readers use.

Flushed lines are in the files even if the process is killed. Then at most the last line of a file
is incomplete; it is removed when the run is resumed.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from jaxlog import _run_files
from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.lines import (
    ARRAYS,
    EPISODES,
    MEDIA,
    START,
    array_lines_of,
    file_of,
    lines_of,
)
from jaxlog._format.media_lines import media_lines_of
from jaxlog._format.named_files import column_files, line_files
from jaxlog._text import counted
from jaxlog.sinks.episode_files import KEEP, EpisodeFiles
from jaxlog.sinks.growing import GrowingFile, OpenFiles, cut
from jaxlog.sinks.image_files import KEEP as KEEP_IMAGES
from jaxlog.sinks.image_files import ImageFiles
from jaxlog.sinks.sink import Sink, SinkSettings


def keep_episodes() -> Any:
    """The field of the setting `keep_episodes`, which the sink `arrow` has, too."""
    return Field(
        default=KEEP,
        ge=1,
        description="How many files of recorded episodes are kept: the newest, and of the others "
        "the best and the worst. The lines of deleted files stay.",
    )


def keep_images() -> Any:
    """The field of the setting `keep_images`, which the sink `arrow` has, too."""
    return Field(
        default=KEEP_IMAGES,
        ge=1,
        description="How many files of images are kept: the newest, and of the others some that "
        "are spread evenly over the steps. The lines of deleted files stay.",
    )


class JsonlSettings(SinkSettings, frozen=True):
    """Writes `{name}_metrics.jsonl` and `episodes.jsonl` into the run's directory.

    Arrays that calls log whole are in `arrays.jsonl`, images and tables in `media.jsonl`. Each
    image is a file in `images/`, and each recorded episode one in `episodes/`. For a single
    environment, it also writes `tasks.jsonl`, `steps.jsonl` and `evaluations.jsonl`.
    """

    kind: Literal["jsonl"] = "jsonl"
    keep_episodes: int = keep_episodes()
    keep_images: int = keep_images()


class JsonlSink(Sink):
    """Writes a line per step and lane, per episode, and per step of a single environment."""

    Settings = JsonlSettings
    needs_directory = True
    _has_lines = True  # False for a sink beside another that writes them

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._files: dict[str, GrowingFile] = {}
        self._open_files = OpenFiles()

    def check(self, run: RunInfo) -> None:
        """Checks that the directory has no lines of another run, and all lines of the state.

        Raises:
          FileExistsError: there are lines of another run.
          ValueError: lines that were there when the state was taken are missing.
        """
        assert run.directory is not None
        files = {path.name: path for path in self._written_files(run.directory)}
        if run.if_exists == "error":
            for path in (*line_files(run.directory), *column_files(run.directory)):
                if path.stat().st_size:
                    raise FileExistsError(
                        f"{path}: has the lines of another run; choose another directory, delete "
                        "it, or give open if_exists='replace'"
                    )
        for name, size in (run.position or {}).items():
            found = files[name].stat().st_size if name in files else 0
            found += name in files and self._lacks_its_end(files[name])
            if found < size:
                raise ValueError(
                    f"{run.directory / name}: got {counted(found, 'byte')}, expected "
                    f"the {size:,} it had when the state was taken; put the file back, or start "
                    "over with if_exists='replace'"
                )

    def open(self, run: RunInfo) -> None:
        """Prepares the files: deletes those of a replaced run, truncates those of a resumed one.

        Lines that were written after the state are removed; without a state, an incomplete last
        line is. A complete last line that lacks its line break gets one.
        """
        assert run.directory is not None
        self._directory = run.directory
        self._episode_files = EpisodeFiles(run.directory, self.settings.keep_episodes)
        self._image_files = ImageFiles(run.directory, self.settings.keep_images)
        if run.if_exists == "replace" and "arrow" not in run.sink_kinds:
            for path in column_files(run.directory):
                path.unlink()
        for path in self._written_files(run.directory):
            if run.if_exists == "replace":
                path.unlink()
                continue
            if self._lacks_its_end(path):
                with path.open("ab") as file:
                    file.write(b"\n")
            if run.position is not None:
                cut(path, run.position.get(path.name, 0))
            else:
                cut(path, self._whole_size(path))
        if run.if_exists == "replace":
            self._episode_files.clear()
            self._image_files.clear()
        elif run.if_exists == "resume" and self._has_lines:
            self._episode_files.resume(run.directory / EPISODES)
            self._image_files.resume(run.directory / MEDIA)

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        beside = self._beside(event)
        self._write(event)
        for name, lines in beside.items():
            self._file(name).add(lines)

    def _beside(self, event: MetricsEvent) -> dict[str, bytes]:
        """The lines of an event in other files than that of its metrics, by the name of the file.

        The files of its images are written.
        """
        found = {ARRAYS: array_lines_of(event)}
        if event.has_media:
            found[MEDIA] = media_lines_of(event, self._image_files.write(event))
        return {name: lines for name, lines in found.items() if lines}

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        if event.recording is not None and self._has_lines:
            name = self._episode_files.write(event)
            if name is not None:
                event = dataclasses.replace(event, episode={**event.episode, "file": name})
        self._write(event)

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        self._write(event)

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        self._write(event)

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        self._write(event)

    def _write(self, event: Event) -> None:
        num_records = event.num_logged if isinstance(event, MetricsEvent) else 1
        self._file(file_of(event)).add(lines_of(event), num_records)

    def flush(self) -> None:  # noqa: D102
        with contextlib.ExitStack() as every:  # also flushes the files after one that fails
            for file in self._files.values():
                every.callback(file.flush)

    def pending(self) -> int:
        """The number of records that are not in a file yet."""
        return sum(file.pending for file in self._files.values())

    def position(self) -> dict[str, int]:
        """The size of each file."""
        return {path.name: path.stat().st_size for path in self._written_files(self._directory)}

    def close(self) -> None:  # noqa: D102
        with contextlib.ExitStack() as every:
            for file in self._files.values():
                every.callback(file.close)

    def _file(self, name: str) -> GrowingFile:
        if name not in self._files:
            self._files[name] = GrowingFile(self._directory / name, self._open_files)
        return self._files[name]

    def _written_files(self, directory: Path) -> list[Path]:
        """The files that this sink wrote there; a user may have files of the same names."""
        return [path for path in line_files(directory) if _is_own(path)]

    def _whole_size(self, path: Path) -> int:
        """The size of a file without a last line that is incomplete."""
        return _whole_lines(path)

    def _lacks_its_end(self, path: Path) -> bool:
        """True if only the last line break is missing, which an editor may have removed."""
        whole = _whole_lines(path)
        with path.open("rb") as file:
            file.seek(whole)
            return _run_files.is_whole(file.read())


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(START))
    return start == START[: len(start)]


def _whole_lines(path: Path) -> int:
    """The size of a file up to the end of its last complete line, in bytes."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - 2**16)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
