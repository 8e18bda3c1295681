"""Writes a file for each recorded episode, and keeps a bounded number of them."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jaxlog._format.episode_file import ENDING, FOLDER, file_name, write_steps
from jaxlog._format.events import EpisodeEvent
from jaxlog.sinks.kept_files import KeptFiles

KEEP = 200
"""The default of the setting `keep_episodes`."""
_NAME = re.compile(rf"step_\d{{10,}}-lane_\d{{4,}}-env_[\d-]+-episode_\d{{6,}}(_\d+)?{ENDING}")


class EpisodeFiles:
    """The files of the recorded episodes of a run.

    Of the older files (see `KeptFiles`), that goes whose return is closest to their median: the
    latest, the best and the worst are kept.

    Args:
      directory: the directory of the run.
      keep: the most files.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        one = "the file of a recorded episode"
        self._files = KeptFiles(directory, FOLDER, _NAME, one, keep, _least_missed)
        self._last: tuple[EpisodeEvent, str | None] | None = None

    def resume(self, lines: Path) -> None:
        """Removes the files that the lines of a resumed run do not know, and drafts."""
        self._files.resume(lines, _file_of_line)

    def clear(self) -> None:
        """Removes the files of a run that is replaced."""
        self._files.clear()

    def write(self, event: EpisodeEvent) -> str | None:
        """Writes the file of an episode, whole or not at all.

        Returns:
          Its path below the run's directory; None if it could not be written, which costs nothing
          but the file.
        """
        if self._last is not None and self._last[0] is event:
            return self._last[1]  # the line could not be written, and is tried again
        recording = event.recording
        assert recording is not None
        name = self._files.add(
            partial(file_name, event.name, event.step, event.lane, event.episode),
            lambda file: write_steps(file, recording),
            float(event.episode.get("total_reward", math.nan)),
        )
        self._last = event, name
        return name


def _least_missed(totals: Sequence[float]) -> int:
    """The place of the return that is closest to the median of those that are finite."""
    finite = [total for total in totals if math.isfinite(total)]
    middle = statistics.median(finite) if finite else 0.0
    _, place = min(
        (abs(total - middle) if math.isfinite(total) else math.inf, place)
        for place, total in enumerate(totals)
    )
    return place


def _file_of_line(line: Any) -> list[tuple[str, float]]:
    """The file that the line of an episode names, with the return of the episode."""
    episode = line["episode"]
    total = episode.get("total_reward")
    return [(str(episode["file"]), math.nan if total is None else float(total))]
