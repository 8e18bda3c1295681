"""Writes a file for each recorded episode, and keeps a bounded number of them."""

from __future__ import annotations

import contextlib
import math
import re
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from jaxlog import _run_files
from jaxlog._format.episode_file import ENDING, FOLDER, file_name, write_steps
from jaxlog._format.events import EpisodeEvent
from jaxlog.sinks.kept_files import KeptFiles

KEEP = 200
"""The default of the setting `keep_episodes`."""
_NAME = re.compile(rf"step_\d{{10,}}-lane_\d{{4,}}-env_[\d-]+-episode_\d{{6,}}(_\d+)?{ENDING}")


class EpisodeFiles:
    """The files of the recorded episodes of a run.

    If there are more than `keep`, one is deleted: the newer half stays, and of the older ones that
    goes whose return is closest to their median. So the latest, the best and the worst are kept.
    The choice follows from the episodes' returns in their order alone, so that a resumed run
    keeps what a run keeps that nobody stopped. The lines of deleted files stay.

    Args:
      directory: the directory of the run.
      keep: the most files.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        self._files = KeptFiles(directory, FOLDER, _NAME, "the file of a recorded episode")
        self._keep = keep
        self._kept: list[tuple[str, float]] = []  # names and returns, the oldest first
        self._last: tuple[EpisodeEvent, str | None] | None = None

    def resume(self, lines: Path) -> None:
        """Removes the files that the lines of a resumed run do not know, and drafts."""
        for name, total in _written(lines):
            self._kept.append((name, total))
            self._excess()
        self._files.keep_only({name for name, _ in self._kept})

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
        )
        if name is not None:
            self._kept.append((name, float(event.episode.get("total_reward", math.nan))))
            for old in self._excess():
                self._files.remove(old)
        self._last = event, name
        return name

    def _excess(self) -> Iterator[str]:
        """Forgets the files that are too many, and yields their names."""
        found: list[str] = []
        while len(self._kept) > self._keep:
            older = self._kept[: len(self._kept) - max(self._keep // 2, 1)]
            finite = [total for _, total in older if math.isfinite(total)]
            middle = statistics.median(finite) if finite else 0.0
            _, place = min(
                (abs(total - middle) if math.isfinite(total) else math.inf, place)
                for place, (_, total) in enumerate(older)
            )
            found.append(self._kept.pop(place)[0])
        return iter(found)


def _written(lines: Path) -> Iterator[tuple[str, float]]:
    """The files that the lines of episodes name, with the returns of the episodes."""
    try:
        text = _run_files.read_lines(lines)
    except OSError:
        return
    for line in text.split(b"\n"):
        if b'"file":"' not in line:
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError):
            episode = _run_files.loads(line)["episode"]
            total = episode.get("total_reward")
            yield str(episode["file"]), math.nan if total is None else float(total)
