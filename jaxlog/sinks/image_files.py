"""Writes a PNG file for each image, and keeps a bounded number of them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from jaxlog import _run_files
from jaxlog._format.events import MetricsEvent
from jaxlog._format.media import Image
from jaxlog._format.media_lines import ENDING, FOLDER, FileOfImage, file_name
from jaxlog._render.png import image_png
from jaxlog.sinks.kept_files import KeptFiles

KEEP = 1000
"""The default of the setting `keep_images`."""
_NAME = re.compile(rf".+-step_\d{{10,}}-lane_\d{{4,}}(_\d+)?{ENDING}")


class ImageFiles:
    """The files of the images of a run.

    If there are more than `keep`, one is deleted: the newer half stays, and of the older ones that
    goes whose neighbours of the same name and lane are closest in steps, so that a history stays
    that is spread evenly. The choice follows from the lines alone, so that a resumed run keeps what
    a run keeps that nobody stopped. The lines of deleted files stay.

    Args:
      directory: the directory of the run.
      keep: the most files.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        self._files = KeptFiles(directory, FOLDER, _NAME, "the file of an image")
        self._keep = keep
        self._kept: list[tuple[str, Any, int]] = []  # names, series and steps, the oldest first
        self._last: tuple[MetricsEvent, dict[tuple[int, str], FileOfImage]] | None = None

    def resume(self, lines: Path) -> None:
        """Removes the files that the lines of a resumed run do not know, and drafts."""
        for kept in _written(lines):
            self._kept.append(kept)
            self._excess()
        self._files.keep_only({name for name, _, _ in self._kept})

    def clear(self) -> None:
        """Removes the files of a run that is replaced."""
        self._files.clear()

    def write(self, event: MetricsEvent) -> dict[tuple[int, str], FileOfImage]:
        """Writes the images of an event, each whole or not at all.

        Returns:
          The path of each below the run's directory, by the number of the lane and the name; None
          for one that could not be written, which costs nothing but the file.
        """
        if self._last is not None and self._last[0] is event:
            return self._last[1]  # the lines could not be written, and are tried again
        found: dict[tuple[int, str], FileOfImage] = {}
        for lane in event.lanes:
            for name, image in lane.media.items():
                if not isinstance(image, Image):
                    continue
                data = image_png(image)
                path = self._files.add(
                    partial(file_name, event.name, name, event.step, lane.index),
                    lambda file, data=data: file.write(data),
                )
                found[lane.index, name] = path
                if path is not None:
                    self._kept.append((path, (event.name, name, lane.index), event.step))
                    for old in self._excess():
                        self._files.remove(old)
        self._last = event, found
        return found

    def _excess(self) -> list[str]:
        """Forgets the files that are too many, and returns their names."""
        found: list[str] = []
        while len(self._kept) > self._keep:
            older = self._kept[: len(self._kept) - max(self._keep // 2, 1)]
            found.append(self._kept.pop(_least_missed(older))[0])
        return found


def _least_missed(kept: list[tuple[str, Any, int]]) -> int:
    """The place of the file whose neighbours of its series are closest to each other in steps."""
    before: dict[Any, list[int]] = {}
    best, place = None, 0
    for number, (_, series, step) in enumerate(kept):
        last = before.setdefault(series, [])
        if len(last) >= 2:
            gap = abs(step - kept[last[-2]][2])
            if best is None or gap < best:
                best, place = gap, last[-1]
        last.append(number)
    return place


def _written(lines: Path) -> Iterator[tuple[str, Any, int]]:
    """The files that the lines name, each with its series and step, in their order."""
    try:
        text = _run_files.read_lines(lines)
    except OSError:
        return
    for line in text.split(b"\n"):
        if b'"file":"' not in line:
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            found = _run_files.loads(line)
            for name, one in found["media"].items():
                if isinstance(one.get("file"), str):
                    series = str(found["name"]), name, int(found["lane"])
                    yield one["file"], series, int(found["step"])
