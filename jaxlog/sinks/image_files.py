"""Writes a PNG file for each image, and keeps a bounded number of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jaxlog._format.events import MetricsEvent
from jaxlog._format.media import Image
from jaxlog._format.media_lines import ENDING, FOLDER, FileOfImage, file_name
from jaxlog._render.png import image_png
from jaxlog.sinks.kept_files import KeptFiles

KEEP = 1000
"""The default of the setting `keep_images`."""
_Series = tuple[str, str, int]
"""The call, the name and the lane of images that follow each other."""
_Place = tuple[_Series, int]
"""The series of an image, and its step."""
_NAME = re.compile(rf".+-step_\d{{10,}}-lane_\d{{4,}}(_\d+)?{ENDING}")


class ImageFiles:
    """The files of the images of a run.

    Of the older files (see `KeptFiles`), that goes whose neighbours of the same name and lane are
    closest in steps: a history stays that is spread evenly.

    Args:
      directory: the directory of the run.
      keep: the most files.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        one = "the file of an image"
        self._files = KeptFiles(directory, FOLDER, _NAME, one, keep, _least_missed)
        self._last: tuple[MetricsEvent, dict[tuple[int, str], FileOfImage]] | None = None

    def resume(self, lines: Path) -> None:
        """Removes the files that the lines of a resumed run do not know, and drafts."""
        self._files.resume(lines, _files_of_line)

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
                found[lane.index, name] = self._files.add(
                    partial(file_name, event.name, name, event.step, lane.index),
                    lambda file, data=data: file.write(data),
                    ((event.name, name, lane.index), event.step),
                )
        self._last = event, found
        return found


def _least_missed(images: Sequence[_Place]) -> int:
    """The place of the image whose neighbours of its series are closest to each other in steps."""
    before: dict[_Series, list[int]] = {}
    best, place = None, 0
    for number, (series, step) in enumerate(images):
        last = before.setdefault(series, [])
        if len(last) >= 2:
            gap = abs(step - images[last[-2]][1])
            if best is None or gap < best:
                best, place = gap, last[-1]
        last.append(number)
    return place


def _files_of_line(line: Any) -> Iterator[tuple[str, _Place]]:
    """The files that a line names, each with its series and step."""
    for name, one in line["media"].items():
        if isinstance(one.get("file"), str):
            series = str(line["name"]), str(name), int(line["lane"])
            yield one["file"], (series, int(line["step"]))
