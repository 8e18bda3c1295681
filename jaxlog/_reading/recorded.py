"""Reads the episodes that were recorded whole: their lines, and the arrays of their steps."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard, overload

import numpy as np

from jaxlog._format.episode_file import ENDING, FOLDER, read_steps
from jaxlog._format.events import EpisodeSteps
from jaxlog._format.lines import EPISODES
from jaxlog._format.recording import MAX_RECORDING_BYTES
from jaxlog._run_files import is_whole, lines_from, loads, open_file, read_small_below

FILE = "file"
"""The name of the entry of an episode's summary that has the path of its file."""
_DAMAGED = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class RecordedEpisode:
    """An episode that was recorded whole. Its arrays are read from its file when first needed.

    Reading them raises a `FileNotFoundError` if the file was deleted, as the setting
    `keep_episodes` says, and a `ValueError` if it is damaged.

    Attributes:
      call: the name of the call.
      step: the index of the update at which it was logged.
      env_step: the environment steps taken by then; None if they are not known.
      timestamp: the time of arrival, in seconds since 1970 (UTC).
      lane: the number of the lane.
      labels: the labels of the lane.
      episode: the summary: `environment_id`, `episode_number`, `total_reward`, `total_steps`,
        `end`, `chance` and others.
      file: the path of its file, below the run's directory.
      directory: the run's directory.
    """

    call: str
    step: int
    env_step: int | None
    timestamp: float
    lane: int
    labels: Mapping[str, Any]
    episode: Mapping[str, Any]
    file: str
    directory: Path

    @cached_property
    def recorded(self) -> EpisodeSteps:
        """The contents of the file: `steps`, `rewards`, `arrays` and `tree`."""
        return read_recording(self.directory, self.file)

    @property
    def steps(self) -> np.ndarray:
        """`int64[steps]`, the index of each recorded step in the episode, ascending."""
        return self.recorded.steps

    @property
    def rewards(self) -> np.ndarray:
        """`float32[steps]`, the reward of each recorded step."""
        return self.recorded.rewards

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The recorded arrays `[steps, ...]`, by their path in the pytree, joined by dots.

        They are in the order of the pytree's leaves: `jax.tree.unflatten(structure,
        list(episode.arrays.values()))` rebuilds it with its own classes.
        """
        return self.recorded.arrays

    @property
    def tree(self) -> Any:
        """The recorded arrays in the shape of the pytree, with dicts and lists as nodes."""
        return self.recorded.tree

    @property
    def renderer(self) -> str:
        """The name of the renderer that draws a step, for `jaxlog.renderer`; empty for none."""
        return self.recorded.renderer

    @property
    def is_whole(self) -> bool:
        """True if all steps were recorded; False if `max_steps` or `every` left some out."""
        return self.episode.get("recorded_steps") == self.episode.get("total_steps")

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        total, steps = self.episode.get("total_reward"), self.episode.get("total_steps")
        return (
            f"RecordedEpisode({self.call}, step {self.step:,}, lane {self.lane}, environment "
            f"{self.episode.get('environment_id')}: {steps} steps, return {total})"
        )

    def at(self, index: int) -> Any:
        """The tree of one recorded step, by its place among the recorded ones."""
        return _each(self.tree, index)

    def frames(self, render: Callable[[Any], Any]) -> Iterator[Any]:
        """Yields what a function makes of the tree of each recorded step, such as pictures.

        Args:
          render: a function of the tree of one step.
        """
        return (render(self.at(index)) for index in range(len(self)))


def _each(tree: Any, index: int) -> Any:
    match tree:
        case dict():
            return {key: _each(node, index) for key, node in tree.items()}
        case list():
            return [_each(node, index) for node in tree]
        case _:
            return tree[index]


class RecordedEpisodes(Sequence[RecordedEpisode]):
    """The recorded episodes of a run, in the order of their lines; from `RunData.recordings`."""

    def __init__(self, found: Sequence[RecordedEpisode]) -> None:
        self._found = tuple(found)

    @overload
    def __getitem__(self, index: int) -> RecordedEpisode: ...
    @overload
    def __getitem__(self, index: slice) -> RecordedEpisodes: ...
    def __getitem__(self, index: int | slice) -> RecordedEpisode | RecordedEpisodes:
        found = self._found[index]
        return RecordedEpisodes(found) if isinstance(found, tuple) else found

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"RecordedEpisodes({len(self)})"


def recordings(directory: Path) -> RecordedEpisodes:
    """The recorded episodes of a run; lines that are damaged are left out.

    It does not look for their files: older ones may have been deleted.
    """
    found: list[RecordedEpisode] = []
    with contextlib.suppress(OSError), open_file(directory / EPISODES) as file:
        for _, text in lines_from(file, 0):
            if b'"file":"' in text and (text.endswith(b"\n") or is_whole(text)):
                with contextlib.suppress(*_DAMAGED):
                    found.append(_of_line(loads(text), directory))
    return RecordedEpisodes(found)


def _of_line(line: Mapping[str, Any], directory: Path) -> RecordedEpisode:
    episode = dict(line["episode"])
    file = episode.pop(FILE)
    if not is_file_of_episode(file):
        raise ValueError(file)
    taken = line.get("env_step")
    return RecordedEpisode(
        str(line["name"]),
        int(line["step"]),
        None if taken is None else int(taken),
        float(line["timestamp"]),
        int(line["lane"]),
        dict(line["labels"]),
        episode,
        file,
        directory,
    )


def read_recording(directory: Path, file: str) -> EpisodeSteps:
    """Reads the steps of an episode from its file.

    Args:
      directory: the run's directory.
      file: the path below it.

    Raises:
      OSError: it cannot be read; a `FileNotFoundError` if it was deleted, as `keep_episodes` says.
      ValueError: it is damaged.
    """
    try:
        data = read_small_below(directory, file, 4 * MAX_RECORDING_BYTES)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{directory / file}: is not there; as many files of episodes are kept as "
            "keep_episodes of the sink says, so that older ones are deleted"
        ) from None
    try:
        return read_steps(io.BytesIO(data))
    except ValueError as error:
        raise ValueError(f"{directory / file}: {error}") from None


def is_file_of_episode(file: Any) -> TypeGuard[str]:
    """True for the path of a file of an episode, which is below the run's directory."""
    if not isinstance(file, str):
        return False
    parts = file.split("/")
    inside = len(parts) == 3 and parts[0] == FOLDER and ".." not in parts
    return inside and file.endswith(ENDING) and "\0" not in file and "\\" not in file
